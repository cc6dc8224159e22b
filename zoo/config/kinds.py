"""The classes that each section of a recipe may name. The caller gives them; this package knows nothing of GANs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
        abstract: classes to extend, which a recipe cannot name.
        precision_fault: function that returns why a precision of the trainer is refused, or None.
    """

    model: Kind
    data: Kind
    source: type
    callback: Kind
    logger: Kind
    abstract: tuple[type, ...] = ()
    precision_fault: Callable[[str], str | None] = lambda precision: None
