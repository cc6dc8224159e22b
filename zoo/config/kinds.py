"""The classes that each section of a recipe may name. The caller gives them; this package knows nothing of GANs.

They are the real classes, or stand-ins of them (`zoo.config.stand_ins`), with which the text of a recipe can be checked
before torch is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zoo.config.class_names import find_class


@dataclass(frozen=True)
class Kind:
    """A base class and its description in error texts.

    Args:
        base: class that a named class must extend.
        description: description with an article, such as "a GAN".
    """

    base: type
    description: str


@dataclass(frozen=True)
class Kinds:
    """The base class of each section of a recipe.

    Args:
        model: base class of `model`, and of a model within a model.
        data: base class of `data`.
        source: the library's own source of images, whose settings all sources share.
        callback: base class of each entry of `callbacks`.
        logger: base class of each entry of `loggers`.
        trainer: class whose settings are those of `trainer`.
        abstract: classes to extend, which a recipe cannot name.
        precision_fault: function that returns why a precision of the trainer is refused, or None.
        strategy_fault: function that returns why a strategy for several devices is refused, or None.
        find: function that returns the class of a name, as `find_class` does.
    """

    model: Kind
    data: Kind
    source: type
    callback: Kind
    logger: Kind
    trainer: type
    abstract: tuple[type, ...] = ()
    precision_fault: Callable[[str], str | None] = lambda precision: None
    strategy_fault: Callable[[str], str | None] = lambda strategy: None
    find: Callable[..., Any] = find_class
