"""Extractors, which map images to the features that metrics compare, and the disk cache of real images' features."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.config.building import build
from zoo.config.class_names import find_class
from zoo.config.settings import check_settings
from zoo.errors import FeatureError, did_you_mean
from zoo.features.base_extractor import Extractor
from zoo.features.cache import Features, cached_features, features_by_digest, features_of
from zoo.features.clip import ClipViTB32, ClipViTB32TorchFidelity
from zoo.features.digits import DigitClassifier
from zoo.features.dinov2 import DINOv2DGM, DINOv2TorchFidelity
from zoo.features.effnet import EffNetLite0
from zoo.features.inception import (
    Inception,
    InceptionClean,
    InceptionLegacyPytorch,
    InceptionSpatial,
    InceptionTorchvision,
)
from zoo.features.pixels import Pixels, Points
from zoo.features.sscd import SSCD, SSCDDistilled
from zoo.features.timm_models import PREFIX, TimmModel
from zoo.io.files import sha256_of
from zoo.layers.levels import quantised

__all__ = [
    "EXTRACTORS",
    "SSCD",
    "ClipViTB32",
    "ClipViTB32TorchFidelity",
    "DINOv2DGM",
    "DINOv2TorchFidelity",
    "DigitClassifier",
    "EffNetLite0",
    "Extractor",
    "Features",
    "Inception",
    "InceptionClean",
    "InceptionLegacyPytorch",
    "InceptionSpatial",
    "InceptionTorchvision",
    "Pixels",
    "Points",
    "SSCDDistilled",
    "TimmModel",
    "cached_features",
    "extractor",
    "features_by_digest",
    "features_of",
    "quantised",
]


def _stacked_digits() -> DigitClassifier:
    return DigitClassifier(stacked=True)


def _digits() -> DigitClassifier:
    return DigitClassifier()


def _stacked_mnist() -> DigitClassifier:
    return DigitClassifier(stacked=True, of="mnist")


def _mnist() -> DigitClassifier:
    return DigitClassifier(of="mnist")


EXTRACTORS: dict[str, Callable[..., Extractor]] = {
    "inception": Inception,
    "inception-clean": InceptionClean,
    "inception-legacy-pytorch": InceptionLegacyPytorch,
    "inception-torchvision": InceptionTorchvision,
    "inception-spatial": InceptionSpatial,
    "dinov2-dgm": DINOv2DGM,
    "dinov2-torch-fidelity": DINOv2TorchFidelity,
    "clip-vit-b32": ClipViTB32,
    "clip-vit-b32-torch-fidelity": ClipViTB32TorchFidelity,
    "effnet-lite0": EffNetLite0,
    "sscd": SSCD,
    "sscd-distilled": SSCDDistilled,
    "digits": _digits,
    "stacked-digits": _stacked_digits,
    "mnist": _mnist,
    "stacked-mnist": _stacked_mnist,
    "pixels": Pixels,
    "points": Points,
}


def extractor(name: str, **options: Any) -> Extractor:
    """Build an extractor by its name.

    Args:
        name: name of the extractor, a key of `EXTRACTORS`; `timm:` and the name of a model of timm, such as
            `timm:convnext_tiny.fb_in22k`; or the import path of a subclass of `Extractor`, such as
            `my_ideas.MyNetwork`.
        options: options of its constructor, such as `weights=PATH` (inception, dinov2, clip, timm), `model=vits14`
            (dinov2), `size=128` or `features=320` (effnet-lite0), `size=8` (pixels).

    Raises:
        UserError: if the name or an option is unknown, a package is missing, or the weights are not available.
    """
    make = _of_timm(name) if name.startswith(PREFIX) else EXTRACTORS.get(name) or _own(name)
    values, faults = check_settings(make, options, "extractor.", called=name)
    if faults:
        raise FeatureError("; ".join(faults))
    if name in EXTRACTORS or name.startswith(PREFIX):
        return make(**values)
    built: Extractor = build(make, values, f"extractor {name}")
    if built.name.partition("-")[0] in {known.partition("-")[0] for known in (*EXTRACTORS, "timm")}:
        raise FeatureError(
            f"extractor {name} calls itself {built.name!r}, as one of this library; its numbers could be taken for "
            "those of that one. Give it another name"
        )
    # Cached features are found by the protocol: it must differ where the code or the settings do.
    code = sha256_of(Path(inspect.getfile(make)))[:16]
    settings = {key: str(value) for key, value in values.items()}
    built.protocol = {**built.protocol, "class": name, "code": code, **settings}
    return built


def _of_timm(name: str) -> Callable[..., Extractor]:
    """Return the constructor of an extractor of timm, whose model is part of its name."""

    def make(weights: str | None = None) -> TimmModel:
        return TimmModel(name.removeprefix(PREFIX), weights)

    return make


def _own(path: str) -> Callable[..., Extractor]:
    """Return an extractor class of the user's own by its import path."""
    if "." not in path:
        raise FeatureError(
            f"there is no extractor {path!r}.{did_you_mean(path, EXTRACTORS)} One of your own is named by its path: "
            f"my_ideas.{path}"
        )
    found = find_class(path)
    if not (isinstance(found, type) and issubclass(found, Extractor)):
        raise FeatureError(f"extractor {path} is no extractor. Extend zoo.features.Extractor")
    return found
