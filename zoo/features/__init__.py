"""Extractors, which map images to the features that metrics compare, and the disk cache of real images' features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoo.config.settings import check_settings
from zoo.errors import FeatureError, did_you_mean
from zoo.features.cache import Features, cached_features, features_by_digest, features_of
from zoo.features.digits import DigitClassifier
from zoo.features.effnet import EffNetLite0
from zoo.features.extractor import Extractor, quantised
from zoo.features.inception import Inception
from zoo.features.pixels import Pixels, Points

__all__ = [
    "EXTRACTORS",
    "DigitClassifier",
    "EffNetLite0",
    "Extractor",
    "Features",
    "Inception",
    "Pixels",
    "Points",
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


EXTRACTORS: dict[str, Callable[..., Extractor]] = {
    "inception": Inception,
    "effnet-lite0": EffNetLite0,
    "digits": _digits,
    "stacked-digits": _stacked_digits,
    "pixels": Pixels,
    "points": Points,
}


def extractor(name: str, **options: Any) -> Extractor:
    """Build an extractor by its name.

    Args:
        name: name of the extractor: `inception`, `effnet-lite0`, `digits`, `stacked-digits`, `pixels` or `points`.
        options: options of its constructor, such as `weights=PATH` (inception), `size=128` or `features=320`
            (effnet-lite0), `size=8` (pixels).

    Raises:
        FeatureError: if the name or an option is unknown, a package is missing, or the weights are not available.
    """
    if name not in EXTRACTORS:
        raise FeatureError(f"there is no extractor {name!r}.{did_you_mean(name, EXTRACTORS)}")
    values, faults = check_settings(EXTRACTORS[name], options, "extractor.", called=name)
    if faults:
        raise FeatureError("; ".join(faults))
    return EXTRACTORS[name](**values)
