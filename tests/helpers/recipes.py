"""Recipes with the words of a command line, and a short file of one's own."""

from __future__ import annotations

from pathlib import Path

from zoo.config.arguments import parse_arguments
from zoo.config.recipe import Recipe
from zoo.runs.recipes import load_recipe

MINIMAL = "images: 10\nmodel: {class: DCGAN, resolution: 16}\ndata: {class: Digits}\n"


def recipe(name: str, *words: str) -> Recipe:
    """The recipe as the command line would have it."""
    return load_recipe(name, parse_arguments(words))


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
