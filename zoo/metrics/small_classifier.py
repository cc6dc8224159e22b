"""A small residual classifier of images, trained from scratch: what the classification accuracy score is made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad


class Residual(nn.Module):
    """Two convolutions beside a shortcut, halving the resolution."""

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
        """(B, inputs, H, W) to (B, outputs, H / 2, W / 2), rounded up."""
        summed: Tensor = self.body(x) + self.shortcut(x)
        return summed.relu()


def small_resnet(channels: int, resolution: int, num_classes: int, width: int = 32) -> nn.Sequential:
    """A residual classifier of images (B, channels, R, R): halved until 4 px or less, widths doubling up to 8 times."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    now = width
    while resolution > 4:
        layers.append(Residual(now, min(2 * now, 8 * width)))
        now, resolution = min(2 * now, 8 * width), -(-resolution // 2)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(now, num_classes))


def trained_classifier(
    images: Tensor,
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
    """A `small_resnet` in eval mode, all of whose randomness comes from `seed`.

    AdamW with learning rate 1e-3, falling to 0 by half a cosine, and weight decay 0.01; batches are moved by up to a
    sixteenth of their size.

    Args:
        images: (N, C, H, W) uint8.
        classes: (N,).
        num_classes: how many there are.
        epochs: over the images.
        batch_size: of the training; an incomplete last batch is left out.
        seed: of initial weights and order.
        width: of the first layer.
        device: to train on.
        each_batch: is called after each.
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
def classified_right(network: nn.Module, images: Tensor, labels: Tensor, device: torch.device | None = None) -> Tensor:
    """Which of uint8 images (N, C, H, W) are of the class (N,) that the network gives them: (N,) bool."""
    found = [network(part.to(device).float() / 127.5 - 1).argmax(1).cpu() for part in torch.split(images, 256)]
    return torch.cat(found) == labels


def _shifted(images: Tensor) -> Tensor:
    """A batch moved by up to a sixteenth of its size, edges repeated; nothing below 16 px."""
    size = images.shape[-1]
    reach = size // 16
    if not reach:
        return images
    x, y = (int(torch.randint(0, 2 * reach + 1, ())) for _ in range(2))
    return pad(images, (reach,) * 4, mode="replicate")[:, :, y : y + size, x : x + size]
