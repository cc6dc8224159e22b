"""Layers that several models share, one file each, named for what it knows."""
