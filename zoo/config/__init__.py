"""Recipes and command lines, checked against the signatures that they will call."""
