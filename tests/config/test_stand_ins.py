"""Truths of stand-ins: they have the settings of the real classes, and reading them runs no code."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from pytorch_lightning import Trainer

from zoo.config import stand_ins
from zoo.config.class_names import PUBLIC, class_path, find_class
from zoo.config.settings import keyword_parameter, settings_of
from zoo.config.stand_ins import NoStandInError, forget, stand_in
from zoo.config.type_descriptions import describe_type
from zoo.runs.recipe_text import recipe_kinds
from zoo.runs.recipes import KINDS

SECTIONS = ("model", "data", "callback", "logger")
RECIPE_CLASSES = [
    name for name in PUBLIC if any(issubclass(find_class(name), getattr(KINDS, kind).base) for kind in SECTIONS)
]


# --- the same as the real classes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPE_CLASSES)
def test_a_stand_in_has_the_settings_of_the_class(name: str) -> None:
    real, read = find_class(name), stand_in(PUBLIC[name])
    assert read is not real
    assert settings_of(read) == settings_of(real)
    assert list(settings_of(read)) == list(settings_of(real))
    assert getattr(read, "nested", ()) == getattr(real, "nested", ())
    assert class_path(read) == name
    assert inspect.getdoc(read) == inspect.getdoc(real)


@pytest.mark.parametrize("kind", SECTIONS)
def test_stand_ins_belong_to_the_sections_of_the_classes(kind: str) -> None:
    kinds = recipe_kinds(stand_in, find_class)
    real = {name for name in PUBLIC if issubclass(find_class(name), getattr(KINDS, kind).base)}
    read = {name for name, path in PUBLIC.items() if issubclass(stand_in(path), getattr(kinds, kind).base)}
    assert read == real
    assert real


def test_the_stand_in_of_the_trainer_has_its_settings() -> None:
    """Types that no recipe can express are others, of the same names."""

    def described(target: Any) -> dict[str, tuple[str, Any]]:
        return {name: (describe_type(hint), default) for name, (hint, default) in settings_of(target).items()}

    read = stand_in("pytorch_lightning.Trainer")
    assert described(read) == described(Trainer)
    assert settings_of(read)["deterministic"][0] == bool | Literal["warn"] | None


# --- read, not run ---------------------------------------------------------------------------------------------------

TYPES = """
from typing import Literal
Colour = Literal["red", "green"]
LARGEST = 7
"""
CLASSES = """
from __future__ import annotations
import datetime as dt
from functools import wraps
from typing import TYPE_CHECKING
import numpy as np
from my_read import types
from my_read.types import LARGEST
if TYPE_CHECKING:
    from my_read.nowhere import Secret
else:
    raise SystemExit("this file must not run")

class Root:
    def __init__(self, size: int = LARGEST, *, width: float) -> None:
        raise SystemExit("nor this line")

class Mine(Root, abstract=True):
    "A class."

    nested = ("base",)
    other = print("nor this one")

    @print
    def __init__(self, colour: types.Colour = "red", when: dt.timedelta = None, table: np.ndarray = None, **rest):
        raise SystemExit("nor this line")

def work(n: int, name: str = "x", **options: int) -> None:
    "Do it."
    raise SystemExit("nor this line")

@wraps(work)
def main(**options): ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package `my_read` that may be read and cannot be imported."""
    (tmp_path / "my_read").mkdir()
    for name, text in {"__init__": "from my_read.classes import Mine", "types": TYPES, "classes": CLASSES}.items():
        (tmp_path / "my_read" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(stand_ins, "READ", (*stand_ins.READ, "my_read"))


@pytest.mark.usefixtures("package")
def test_a_class_is_read_with_its_bases_types_and_defaults() -> None:
    read = stand_in("my_read.Mine")
    assert read is stand_in("my_read.classes.Mine")
    settings = settings_of(read)
    assert settings["colour"] == (Literal["red", "green"], "red")
    assert settings["size"] == (int, 7)
    assert settings["width"] == (float, inspect.Parameter.empty)
    assert set(settings) == {"size", "width", "colour"}  # no recipe can express a duration or a table
    assert (read.__doc__, read.nested, hasattr(read, "other")) == ("A class.", ("base",), False)
    assert "my_read.classes" not in sys.modules
    forget()
    assert stand_in("my_read.Mine") is not read


@pytest.mark.usefixtures("package")
def test_a_function_is_read_and_a_wrapper_is_what_it_wraps() -> None:
    read = stand_in("my_read.classes.work")
    assert settings_of(read) == {"n": (int, inspect.Parameter.empty), "name": (str, "x")}
    assert (keyword_parameter(read), read.__name__, read.__doc__) == ("options", "work", "Do it.")
    assert stand_in("my_read.classes.main") is read


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("path", ["my_read.classes.Nothing", "my_read.nowhere.Mine", "zoo.models.nothing.Mine"])
def test_what_is_not_there_has_no_stand_in(path: str) -> None:
    with pytest.raises(NoStandInError, match=path):
        stand_in(path)
