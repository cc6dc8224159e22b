"""Classification accuracy score (Ravuri and Vinyals 2019, arXiv:1905.10887): can one learn from generated images?

A classifier is trained on generated images alone, one for each real training image and of its class, and tested on
held-out real images; beside it stands the same classifier trained on the real images. A class that the generator drops
or muddles shows in its own accuracy. A memoriser scores like real data, so read it together with the audits.

The paper trains ResNet-50 on ImageNet for 90 epochs. Here the classifier is small, so that a CPU can do it: scores
compare with the reference beside them, not with the paper's tables.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from zoo.data.pool import Split, to_float
from zoo.errors import FeatureError
from zoo.features import quantised
from zoo.metrics.intervals import wilson
from zoo.metrics.small_classifier import classified_right, trained_classifier

Drawn = Callable[[Tensor], Iterable[Tensor]]


@dataclass(frozen=True)
class ClassificationAccuracy:
    """The score and its reference, shares of held-out images that are classified correctly.

    Args:
        score: of the classifier trained on generated images.
        reference: of the one trained on real images.
        per_class: the score of each class; None for a class without held-out images.
        reference_per_class: the reference of each class.
        low: lower end of the score's 95 % interval, for the number of held-out images (Wilson).
        high: upper end.
        protocol: how both were trained.
    """

    score: float
    reference: float
    per_class: list[float | None]
    reference_per_class: list[float | None]
    low: float
    high: float
    protocol: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def classification_accuracy_score(
    draw: Drawn,
    train: Split,
    held_out: Split,
    num_classes: int,
    *,
    epochs: int = 20,
    batch_size: int = 64,
    seed: int = 0,
    device: torch.device | None = None,
) -> ClassificationAccuracy:
    """Train on generated images and on real ones, test both on held-out ones.

    Args:
        draw: batches of generated images in [-1, 1] for given classes (N,), in their order.
        train: real training images, whose number and classes the generated ones get.
        held_out: real images to test on.
        num_classes: how many classes there are.
        epochs: over the training images.
        batch_size: of the training.
        seed: of initial weights and order, the same for both.
        device: to train on.

    Raises:
        FeatureError: when the data have no labels, or a part has no images.
    """
    if train.pool.labels is None or num_classes < 2:
        raise FeatureError(
            "metrics: cas (classification accuracy score) needs labelled data and a conditional model. Leave it out"
        )
    if not len(held_out) or not len(train):
        raise FeatureError("metrics: cas needs training images and held-out ones. Hold some out (data.held_out)")
    classes = torch.from_numpy(train.pool.labels[train.indices])
    test = _labelled(held_out)
    fake = torch.cat([quantised(images).to(torch.uint8).cpu() for images in draw(classes)])
    accuracy = []
    for images, title in ((fake, "classifier on generated images"), (None, "classifier on real images")):
        own = _labelled(train)[0] if images is None else images
        network = _trained(own, classes, num_classes, epochs, batch_size, seed, device, title)
        accuracy.append(classified_right(network, *test, device))
    labels = test[1]
    score, reference = (float(right.float().mean()) for right in accuracy)
    by_class, reference_by_class = ([_share(right[labels == c]) for c in range(num_classes)] for right in accuracy)
    low, high = wilson(int(accuracy[0].sum()), len(labels))
    protocol = {
        "classifier": "small ResNet, width 32, halved to 4 px",
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": "AdamW 1e-3, weight decay 0.01, cosine to 0",
        "augmentation": "shifts of up to a sixteenth",
        "n_train": len(classes),
        "n_test": len(labels),
        "seed": seed,
        "interval": "95 %, Wilson, of the test images",
    }
    return ClassificationAccuracy(score, reference, by_class, reference_by_class, low, high, protocol)


def _labelled(split: Split) -> tuple[Tensor, Tensor]:
    """All images of a part as uint8 and their classes."""
    batch = split.batch(torch.arange(len(split)))
    assert batch.labels is not None
    return quantised(to_float(batch.images)).to(torch.uint8), batch.labels


def _trained(
    images: Tensor,
    classes: Tensor,
    num_classes: int,
    epochs: int,
    batch_size: int,
    seed: int,
    device: torch.device | None,
    title: str,
) -> nn.Module:
    """A classifier trained on uint8 images (N, C, H, W), with a bar on terminals."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    bar = Progress(*columns, disable=not sys.stderr.isatty(), console=Console(stderr=True), transient=True)
    with bar:
        task = bar.add_task(title, total=epochs * max(1, len(images) // batch_size))
        return trained_classifier(
            images,
            classes,
            num_classes,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            device=device,
            each_batch=lambda: bar.advance(task),
        )


def _share(right: Tensor) -> float | None:
    return float(right.float().mean()) if len(right) else None
