"""Releases: the file format of a published model, and how a model writes one."""
