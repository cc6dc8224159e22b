"""What was done to a training image to get its copy: moved, mirrored, cropped, turned, recoloured, or noise added."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from zoo.data.pool import to_float

UNMOVED = 0.01  # shifts below this share of the side, and scales this close to 1, are no change
UPRIGHT = 1.5  # degrees below which an image is not turned
SAME_CONTRAST, SAME_BRIGHTNESS, SAME_COLOUR = 0.05, 5.0, 5.0  # factor minus 1; levels of 256
CLEAN = 3.0  # levels of 256: root mean square of what remains


@dataclass(frozen=True)
class Change:
    """The change that leads from a training image to its copy.

    Args:
        exact: whether both are equal, pixel for pixel, mirrored or not.
        mirrored: whether the copy is mirrored.
        x: pixels by which the content of the copy is moved to the right, after mirroring.
        y: pixels by which it is moved down.
        scale: share of the training image's side that the copy shows.
        degrees: angle by which the copy is turned clockwise, after mirroring.
        contrast: factor by which differences of brightness grew.
        brightness: levels of 256 by which the mean grew.
        colour: largest difference between a channel's change of mean and that of all channels, in levels of 256.
        residual: root mean square of what these changes do not explain, in levels of 256.
    """

    exact: bool
    mirrored: bool
    x: float
    y: float
    scale: float
    degrees: float
    contrast: float
    brightness: float
    colour: float
    residual: float

    def text(self, side: int) -> str:
        """Describe the change of an image of a side in pixels."""
        if self.exact:
            return "exact, mirrored" if self.mirrored else "exact"
        parts = ["mirrored"] if self.mirrored else []
        if self.scale < 1 - 2 * UNMOVED:
            parts.append(f"cropped to {100 * self.scale:.0f} % of the side")
        elif self.scale > 1 + 2 * UNMOVED:
            parts.append(f"shrunk to {100 / self.scale:.0f} % of the side")
        elif max(abs(self.x), abs(self.y)) > UNMOVED * side:
            parts.append(f"shifted by {_whole(self.x)}, {_whole(self.y)} px")
        if abs(self.degrees) > UPRIGHT:
            parts.append(f"rotated by {self.degrees:.0f} degrees")
        if abs(self.brightness) > SAME_BRIGHTNESS:
            parts.append("brighter" if self.brightness > 0 else "darker")
        if abs(self.contrast - 1) > SAME_CONTRAST:
            parts.append("more contrast" if self.contrast > 1 else "less contrast")
        if self.colour > SAME_COLOUR:
            parts.append("other colours")
        if self.residual > CLEAN:
            parts.append(f"noise or other content ({self.residual:.0f} levels)")
        return ", ".join(parts) or "nearly exact"


def registered_image(training: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Move a training image to where its copy shows it.

    Args:
        training: image (C, H, W), uint8.
        motion: motion (5,), see `zoo.audit.statistics.registration.Registered`.

    Returns:
        The image (C, H, W) in [-1, 1], with border pixels repeated, and a mask (H, W) of the pixels that are in the
        training image.
    """
    _, height, width = training.shape
    mirror, a, b, x, y = motion
    across = (torch.arange(width) * 2 + 1) / width - 1
    v, u = torch.meshgrid((torch.arange(height) * 2 + 1) / height - 1, across, indexing="ij")
    points = torch.stack([a * u - b * v + x, b * u + a * v + y], -1)
    moved = grid_sample(to_float(training)[None], points[None], padding_mode="border", align_corners=False)[0]
    inside = (points.abs() <= 1).all(-1)
    return (moved.flip(2), inside.flip(1)) if mirror else (moved, inside)


def change_between(generated: Tensor, training: Tensor, motion: Tensor) -> Change:
    """Find the change that leads from a training image to a generated image.

    Args:
        generated: image (C, H, W), uint8.
        training: image (C, H, W), uint8.
        motion: motion (5,) to which they were registered.
    """
    mirrored = bool(motion[0])
    exact = torch.equal(generated, training)
    flipped = torch.equal(generated, training.flip(2))
    if exact or flipped:
        return Change(True, not exact, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    _, height, width = generated.shape
    _, a, b, x, y = motion.tolist()
    scale = math.hypot(a, b)
    moved, inside = registered_image(training, motion)
    here, there = to_float(generated)[:, inside] * 127.5, moved[:, inside] * 127.5
    means = here.mean(1, keepdim=True), there.mean(1, keepdim=True)
    centred = here - means[0], there - means[1]
    contrast = float((centred[0] * centred[1]).sum() / centred[1].square().sum().clamp(min=1e-6))
    growth = (means[0] - means[1])[:, 0]
    rest = (centred[0] - contrast * centred[1]).square().mean().sqrt()
    return Change(
        False,
        mirrored,
        -(a * x + b * y) / scale**2 * width / 2,  # where the copy shows the training image's centre
        -(a * y - b * x) / scale**2 * height / 2,
        scale,
        -math.degrees(math.atan2(b, a)),
        contrast,
        float(growth.mean()),
        float((growth - growth.mean()).abs().max()),
        float(rest),
    )


def _whole(pixels: float) -> str:
    """Return pixels as text, rounded; no minus sign before a zero."""
    return f"{round(pixels):d}"
