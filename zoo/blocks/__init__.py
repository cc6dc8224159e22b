"""Layers that two papers or more share, one file for each kind."""
