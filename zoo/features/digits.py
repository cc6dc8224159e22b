"""Small classifiers of handwritten digits: features and classes for the digit data sets, without further packages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor, nn

from zoo.errors import FeatureError
from zoo.features.base_extractor import Extractor, resized
from zoo.features.weights import fill, weights_sha256

FEATURES = 64


@dataclass(frozen=True)
class Trained:
    """A classifier that the package contains.

    Args:
        source: the digits that it was trained on, for protocols.
        size: height and width of its images, in pixels.
        sha256: digest of its weights.
        file: name of the file of its weights, in this folder.
    """

    source: str
    size: int
    sha256: str
    file: str

    @property
    def path(self) -> Path:
        """The file of the weights."""
        return Path(__file__).parent / self.file


DIGITS = Trained(
    "scikit-learn digits", 16, "3e128384523c642111211431b202135775f820034b361f5961113d67903562f3", "digits.safetensors"
)
MNIST = Trained("MNIST", 28, "84e2d89ac9f0a5ec16fa5a27d987c16af7ffb492d44eaa082a48a50b4dc2b5ae", "mnist.safetensors")


def classifier(size: int = DIGITS.size) -> nn.Sequential:
    """Build the untrained network: images (B, 1, size, size) in [-1, 1] to logits (B, 10).

    Without its last layer it computes the 64 features.

    Args:
        size: height and width of the images: 16 pixels, or 28 for one more stage.
    """
    stages = [16, 24, 32] if size == DIGITS.size else [16, 32, 32]
    layers: list[nn.Module] = [nn.Conv2d(1, stages[0], 3, padding=1), nn.ReLU()]
    if size == MNIST.size:
        layers += [nn.MaxPool2d(2)]
    for before, after in pairwise(stages):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    side = 4 if size == DIGITS.size else 3
    layers += [nn.Flatten(), nn.Linear(stages[-1] * side**2, FEATURES), nn.ReLU(), nn.Linear(FEATURES, 10)]
    return nn.Sequential(*layers)


class DigitClassifier(Extractor):
    """Features (64) and logits (10) of a classifier of digits: of scikit-learn's, or of MNIST.

    It suits similar images: white digits on black, of 16 px (scikit-learn) or 28 px (MNIST) or resized to it. It was
    trained on the training split alone, and its accuracy on the held-out digits is part of the protocol. The weights
    were trained by `studies/train_digit_classifier.py`.

    Args:
        stacked: treat each of three channels as a digit: 3 x 64 features, and 1,000 classes numbered
            red + 10 green + 100 blue, as in `zoo.data.StackedDigits` and `zoo.data.StackedMNIST`.
        of: `digits` for scikit-learn's, or `mnist`.
    """

    def __init__(self, stacked: bool = False, of: Literal["digits", "mnist"] = "digits") -> None:
        trained = MNIST if of == "mnist" else DIGITS
        facts = _facts(trained)
        super().__init__(
            f"stacked-{of}" if stacked else of,
            (3 if stacked else 1) * FEATURES,
            {
                "network": "convolutional classifier of digits" + (", once for each channel" if stacked else ""),
                "layer": f"{'3 x ' if stacked else ''}{FEATURES}-d, before the logits, over their root mean square",
                "weights": f"{trained.source}, {facts['train']} training images, {facts['accuracy']:.2%} right on "
                f"{facts['held_out']} held-out ones, sha256 {trained.sha256[:16]}",
                "resize": f"antialiased bilinear to {trained.size} px",
                "input": "uint8, x / 127.5 - 1" + ("" if stacked else ", mean of the channels"),
            },
            batch_size=256,
        )
        self.stacked, self.size, self.scale = stacked, trained.size, facts["scale"]
        self.channels = (3,) if stacked else (1, 3)
        self.logits_width = 1000 if stacked else 10
        with torch.device("meta"):
            network = classifier(trained.size)
        with safe_open(trained.path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        fill(network, state, trained.path, "this classifier")
        self.body, self.head = network[:-1], network[-1]
        self.freeze()

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits; see `Extractor.forward_pixels`."""
        images = resized(pixels, self.size) / 127.5 - 1
        if not self.stacked:
            features: Tensor = self.body(images.mean(1, keepdim=True))
            return features / self.scale, self.head(features)
        count = len(images)
        features = self.body(images.reshape(count * 3, 1, self.size, self.size))
        red, green, blue = self.head(features).log_softmax(1).view(count, 3, 10).unbind(1)
        joint = blue[:, :, None, None] + green[:, None, :, None] + red[:, None, None, :]
        return features.view(count, 3 * FEATURES) / self.scale, joint.flatten(1)


def _facts(trained: Trained) -> dict[str, Any]:
    """Read the facts recorded with the weights: sizes of the splits, held-out accuracy, scale of the features.

    Raises:
        FeatureError: if the file is damaged.
    """
    if weights_sha256(trained.path) != trained.sha256:
        raise FeatureError(f"{trained.path} is damaged; install the package again")
    with safe_open(trained.path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["facts"])
    return facts
