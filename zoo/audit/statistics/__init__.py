"""Statistics, hypothesis tests and distances of the audit; one file for each kind."""
