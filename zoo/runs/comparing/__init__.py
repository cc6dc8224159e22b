"""The comparison of runs: what differs between their seeds, and what differs between their settings."""
