"""Small residual image classifier, trained from scratch; the classification accuracy score is computed with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

AT_ONCE, VALUES_AT_ONCE = 256, 2**22  # largest number of images, and of their values, in one pass without gradients


class ImageRows(Protocol):
    """Images (N, C, H, W) that are indexed as a tensor is: a tensor, or images in a file that are read when needed."""

    @property
    def shape(self) -> torch.Size:
        """The shape (N, C, H, W)."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: slice | Tensor, /) -> Tensor: ...


class Residual(nn.Module):
    """Residual block of two convolutions that halves the resolution.

    Args:
        inputs: number of input channels.
        outputs: number of output channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / 2, W / 2), rounded up."""
        summed: Tensor = self.body(x) + self.shortcut(x)
        return summed.relu()


def small_resnet(channels: int, resolution: int, num_classes: int, width: int = 32) -> nn.Sequential:
    """Build a residual classifier that maps images (B, channels, R, R) to logits (B, num_classes).

    The resolution is halved until it is at most 4 px, while the number of channels doubles up to 8 * width.

    Args:
        channels: number of image channels.
        resolution: height and width R of the images, in pixels.
        num_classes: number of classes.
        width: number of channels of the first layer.
    """
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    current = width
    while resolution > 4:
        layers.append(Residual(current, min(2 * current, 8 * width)))
        current, resolution = min(2 * current, 8 * width), -(-resolution // 2)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(current, num_classes))


def trained_classifier(
    images: ImageRows,
    classes: Tensor,
    num_classes: int,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    width: int = 32,
    device: torch.device | None = None,
    each_batch: Callable[[], None] = lambda: None,
) -> nn.Module:
    """Train a `small_resnet` on labelled images and return it in eval mode.

    The optimizer is AdamW with weight decay 0.01 and a learning rate that falls from 1e-3 to 0 along half a cosine.
    Each batch is shifted by up to a sixteenth of the image size. All randomness comes from `seed`.

    Args:
        images: square images (N, C, R, R), uint8.
        classes: class indices (N,).
        num_classes: number of classes.
        epochs: number of passes over the images.
        batch_size: training batch size; an incomplete last batch is dropped.
        seed: seed of initial weights, order and shifts.
        width: number of channels of the first layer.
        device: device to train on; None for the CPU.
        each_batch: function called after each batch, such as a progress bar.
    """
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        torch.manual_seed(seed)
        network = small_resnet(images.shape[1], images.shape[-1], num_classes, width).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
        batches = max(1, len(images) // batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
        for _ in range(epochs):
            for chosen in torch.split(torch.randperm(len(images)), batch_size)[:batches]:
                x = _shifted(images[chosen].to(device).float() / 127.5 - 1)
                optimizer.zero_grad()
                torch.autograd.backward(cross_entropy(network(x), classes[chosen].to(device)))
                optimizer.step()
                schedule.step()
                each_batch()
    return network.eval()


@torch.no_grad()
def classified_right(
    network: nn.Module, images: ImageRows, labels: Tensor, device: torch.device | None = None
) -> Tensor:
    """Check which images a classifier assigns to their own class.

    Args:
        network: classifier from images (B, C, H, W) in [-1, 1] to logits.
        images: images (N, C, H, W), uint8.
        labels: class indices (N,).
        device: device to compute on; None for the CPU.

    Returns:
        Whether each image is classified correctly (N,), on the CPU.
    """
    size = max(1, min(AT_ONCE, VALUES_AT_ONCE // images.shape[1:].numel()))
    predicted = [
        network(images[first : first + size].to(device).float() / 127.5 - 1).argmax(1).cpu()
        for first in range(0, len(images), size)
    ]
    return torch.cat(predicted) == labels


def _shifted(images: Tensor) -> Tensor:
    """Shift a whole batch by one random offset, up to a sixteenth of its size, repeating edges; none below 16 px."""
    size = images.shape[-1]
    reach = size // 16
    if not reach:
        return images
    x, y = (int(torch.randint(0, 2 * reach + 1, ())) for _ in range(2))
    return pad(images, (reach,) * 4, mode="replicate")[:, :, y : y + size, x : x + size]
