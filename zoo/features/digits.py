"""Small classifier of handwritten digits: features and classes for the digit data sets, without further packages."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from zoo.errors import FeatureError
from zoo.features.extractor import Extractor, resized
from zoo.features.weights import weights_sha256

SIZE = 16
FEATURES = 64
WEIGHTS = Path(__file__).parent / "digits.safetensors"
SHA256 = "3e128384523c642111211431b202135775f820034b361f5961113d67903562f3"


def classifier() -> nn.Sequential:
    """Build the untrained network: images (B, 1, 16, 16) in [-1, 1] to logits (B, 10).

    Without its last layer it computes the 64 features.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 16, FEATURES),
        nn.ReLU(),
        nn.Linear(FEATURES, 10),
    )


class DigitClassifier(Extractor):
    """Features (64) and logits (10) of a classifier trained on the training split of scikit-learn's digits.

    It suits similar images: white digits on black, 16 px or resized to it. Its accuracy on the held-out digits is part
    of the protocol. The weights were trained by `studies/train_digit_classifier.py`.

    Args:
        stacked: treat each of three channels as a digit: 3 x 64 features, and 1,000 classes numbered
            red + 10 green + 100 blue, as in `zoo.data.StackedDigits`.
    """

    def __init__(self, stacked: bool = False) -> None:
        facts = _facts()
        super().__init__(
            "stacked-digits" if stacked else "digits",
            (3 if stacked else 1) * FEATURES,
            {
                "network": "convolutional classifier of digits" + (", once for each channel" if stacked else ""),
                "layer": f"{'3 x ' if stacked else ''}{FEATURES}-d, before the logits, over their root mean square",
                "weights": f"scikit-learn digits, {facts['train']} training images, {facts['accuracy']:.2%} right on "
                f"{facts['held_out']} held-out ones, sha256 {SHA256[:16]}",
                "resize": f"antialiased bilinear to {SIZE} px",
                "input": "uint8, x / 127.5 - 1" + ("" if stacked else ", mean of the channels"),
            },
            batch_size=256,
        )
        self.stacked, self.scale = stacked, facts["scale"]
        self.channels = (3,) if stacked else (1, 3)
        self.logits_width = 1000 if stacked else 10
        with torch.random.fork_rng(devices=[]):
            network = classifier()
        with safe_open(WEIGHTS, framework="pt") as file:
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no dict
        self.body, self.head = network[:-1], network[-1]
        self.freeze()

    def forward_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features and logits; see `Extractor.forward_pixels`."""
        images = resized(pixels, SIZE) / 127.5 - 1
        if not self.stacked:
            features: Tensor = self.body(images.mean(1, keepdim=True))
            return features / self.scale, self.head(features)
        count = len(images)
        features = self.body(images.reshape(count * 3, 1, SIZE, SIZE))
        red, green, blue = self.head(features).log_softmax(1).view(count, 3, 10).unbind(1)
        joint = blue[:, :, None, None] + green[:, None, :, None] + red[:, None, None, :]
        return features.view(count, 3 * FEATURES) / self.scale, joint.flatten(1)


def _facts() -> dict[str, float]:
    """Read the facts recorded with the weights: sizes of the splits, held-out accuracy, scale of the features.

    Raises:
        FeatureError: if the file is damaged.
    """
    if weights_sha256(WEIGHTS) != SHA256:
        raise FeatureError(f"{WEIGHTS} is damaged; install the package again")
    with safe_open(WEIGHTS, framework="pt") as file:
        facts: dict[str, float] = json.loads(file.metadata()["facts"])
    return facts
