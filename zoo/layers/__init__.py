"""Layers shared by several models, one kind of layer in each file."""
