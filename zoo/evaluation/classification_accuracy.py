"""Classification accuracy score (CAS; Ravuri and Vinyals 2019, arXiv:1905.10887).

A classifier is trained on generated images alone, as many of each class as there are real training images, and tested
on held-out real images. The reference is the accuracy of the same classifier trained on the real images. A class that
the generator misses or confuses has a low accuracy of its own. A generator that copies its training images scores like
real data, so read the score together with an audit.

The paper trains a ResNet-50 on ImageNet for 90 epochs. The classifier here is small enough for a CPU, so scores are
comparable with their reference, not with the paper's tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.pool import Split, to_float
from zoo.errors import FeatureError
from zoo.features import quantised
from zoo.io.progress import step
from zoo.metrics.intervals import wilson
from zoo.metrics.small_classifier import classified_right, trained_classifier

Generate = Callable[[Tensor], Iterable[Tensor]]


@dataclass(frozen=True)
class ClassificationAccuracy:
    """Classification accuracy score and its reference: accuracies on held-out real images, in [0, 1].

    Args:
        score: accuracy of the classifier trained on generated images.
        reference: accuracy of the classifier trained on real images.
        per_class: score of each class; None for a class without held-out images.
        reference_per_class: reference of each class; None for a class without held-out images.
        low: lower end of the score's 95 % interval (Wilson, for the number of held-out images).
        high: upper end of the score's 95 % interval.
        protocol: settings of both classifiers.
    """

    score: float
    reference: float
    per_class: list[float | None]
    reference_per_class: list[float | None]
    low: float
    high: float
    protocol: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain values, for JSON."""
        return asdict(self)


def classification_accuracy_score(
    generate: Generate,
    train: Split,
    held_out: Split,
    num_classes: int,
    *,
    epochs: int = 20,
    batch_size: int = 64,
    seed: int = 0,
    device: torch.device | None = None,
) -> ClassificationAccuracy:
    """Train one classifier on generated images and one on real images, and test both on held-out real images.

    Args:
        generate: function from class indices (N,) to batches of generated images in [-1, 1], N in all, in this order.
        train: real training images; as many images of each class are generated.
        held_out: real images to test on.
        num_classes: number of classes.
        epochs: number of passes over the training images.
        batch_size: training batch size.
        seed: seed of initial weights and order, the same for both classifiers.
        device: device to train on; None for the CPU.

    Raises:
        FeatureError: if the data have no labels, or there are no training or no held-out images.
    """
    if train.pool.labels is None or num_classes < 2:
        raise FeatureError(
            "metrics: cas (classification accuracy score) needs labelled data and a conditional model. Leave it out"
        )
    if not len(held_out) or not len(train):
        raise FeatureError("metrics: cas needs training images and held-out ones. Hold some out (data.held_out)")
    classes = torch.from_numpy(train.pool.labels[train.indices])
    test_images, test_labels = _images_and_labels(held_out)
    fake = torch.cat([quantised(images).to(torch.uint8).cpu() for images in generate(classes)])
    correct = []  # of each classifier: whether each held-out image is classified correctly
    for images, title in ((fake, "classifier on generated images"), (None, "classifier on real images")):
        train_images = _images_and_labels(train)[0] if images is None else images
        network = _train(train_images, classes, num_classes, epochs, batch_size, seed, device, title)
        correct.append(classified_right(network, test_images, test_labels, device))
    score, reference = (float(hits.float().mean()) for hits in correct)
    by_class, reference_by_class = ([_mean(hits[test_labels == c]) for c in range(num_classes)] for hits in correct)
    low, high = wilson(int(correct[0].sum()), len(test_labels))
    protocol = {
        "classifier": "small ResNet, width 32, halved to 4 px",
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": "AdamW 1e-3, weight decay 0.01, cosine to 0",
        "augmentation": "shifts of up to a sixteenth",
        "n_train": len(classes),
        "n_test": len(test_labels),
        "seed": seed,
        "interval": "95 %, Wilson, of the test images",
    }
    return ClassificationAccuracy(score, reference, by_class, reference_by_class, low, high, protocol)


def _images_and_labels(split: Split) -> tuple[Tensor, Tensor]:
    """Return all images (N, C, H, W) of a split as uint8 and their classes (N,)."""
    batch = split.batch(torch.arange(len(split)))
    assert batch.labels is not None
    return quantised(to_float(batch.images)).to(torch.uint8), batch.labels


def _train(
    images: Tensor,
    classes: Tensor,
    num_classes: int,
    epochs: int,
    batch_size: int,
    seed: int,
    device: torch.device | None,
    title: str,
) -> nn.Module:
    """Train a classifier on uint8 images (N, C, H, W) of classes (N,), and show the progress."""
    with step(title, epochs * max(1, len(images) // batch_size)) as advance:
        return trained_classifier(
            images,
            classes,
            num_classes,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            device=device,
            each_batch=lambda: advance(1),
        )


def _mean(hits: Tensor) -> float | None:
    return float(hits.float().mean()) if len(hits) else None
