"""Which classes the sections of a recipe may name. The caller says; this package knows nothing of GANs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A base class and the words for it in an error.

    Args:
        base: what a named class must extend.
        description: with its article, such as "a GAN".
    """

    base: type
    description: str


@dataclass(frozen=True)
class Kinds:
    """The base class of each section of a recipe.

    Args:
        model: of `model`, and of a model within a model.
        data: of `data`.
        source: the library's own source of images, whose settings all sources share.
        callback: of each entry of `callbacks`.
        logger: of each entry of `loggers`.
        abstract: classes to extend, which a recipe cannot name.
    """

    model: Kind
    data: Kind
    source: type
    callback: Kind
    logger: Kind
    abstract: tuple[type, ...] = ()
