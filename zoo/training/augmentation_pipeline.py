"""The augmentation pipeline of StyleGAN2-ADA: geometric and colour transformations, each with the same probability p.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", arXiv:2006.06676, section 2 and
appendix B. The order, the distributions and the strengths are the paper's:

- *pixel blitting*: horizontal flip, quarter turns, shifts by up to an eighth of the size in whole pixels;
- *general geometry*: scaling, rotation, stretching along any axis, fractional shifts;
- *colour*: brightness, contrast, luma flip, hue and saturation, together one matrix for each image;
- *cutout* of a square of half the size, off unless it is asked for.

Filtering in the frequency domain and noise, with which the paper found no further gain, are not included.

Departures, which make it cheap at the sizes that train on a CPU:

- Only images for which something was drawn are touched. The others, and with p = 0 all of them, keep their bits.
- Images that are only flipped, turned and shifted by whole pixels are copied pixel by pixel.
- The others are resampled once, on a grid of twice the resolution as in the paper. Its low-pass filters are a sinc with
  a Lanczos window of three pixels to each side, made orthonormal, in place of an orthonormal wavelet of as many taps:
  with either, an image that is taken to the finer grid and back stays as it is.
- Places outside the image are reflected without end at its edges, so that the outermost pixels are repeated; the
  authors' padding does not repeat them and ends after one image size.

A discriminator's gradient reaches the generator through the pipeline. The second derivative through the resampling does
not exist in torch, and the loop needs none: losses get images that are augmented already, so gradient penalties
differentiate by these. On a GPU the gradient of the resampling is summed in no fixed order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

GEOMETRIC = ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac")
COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")
FACTORS: dict[str, float] = {**dict.fromkeys((*GEOMETRIC, *COLOUR), 1.0), "cutout": 0.0}
"""Factor of p for each transformation, in the order of the names."""

SHIFT = 0.125
"""Largest shift in whole pixels and deviation of the fractional shift, as fractions of the size."""
SCALE = 0.2
"""Deviation of the binary logarithm of scaling and of stretching."""
BRIGHTNESS = 0.2
"""Deviation of the brightness that is added, on the scale of images, [-1, 1]."""
CONTRAST = 0.5
"""Deviation of the binary logarithm of the contrast."""
SATURATION = 1.0
"""Deviation of the binary logarithm of the saturation."""
HOLE = 0.5
"""Side of the square that cutout hides, as a fraction of the size."""
WINDOW = 3
"""Pixels to each side that the low-pass filter covers."""


@dataclass
class Parameters:
    """What is done to each of B images: tensors (B,) or (B, 2) on the CPU, angles in radians, shifts in pixels.

    Args:
        flip: 1 for mirrored left to right, else 0.
        turns: number of counterclockwise quarter turns.
        shift: whole pixels to the right and down.
        scale: factor of the size.
        before: counterclockwise rotation before stretching.
        stretch: factor of the width; the height is divided by it.
        after: rotation after stretching.
        drift: fractional pixels to the right and down.
        brightness: value added to all channels.
        contrast: factor of all channels.
        luma: -1 for an inverted luma, else 1.
        hue: angle of the rotation around the luma axis.
        saturation: factor of the distance from the luma axis.
        hole: 1 for a square that is hidden, else 0.
        centre: centre of the square, from the left and from the top, as fractions of the size.
    """

    flip: Tensor
    turns: Tensor
    shift: Tensor
    scale: Tensor
    before: Tensor
    stretch: Tensor
    after: Tensor
    drift: Tensor
    brightness: Tensor
    contrast: Tensor
    luma: Tensor
    hue: Tensor
    saturation: Tensor
    hole: Tensor
    centre: Tensor

    @classmethod
    def identity(cls, n: int) -> Parameters:
        """Return the parameters with which n images stay as they are."""
        shapes = {"shift": (n, 2), "drift": (n, 2), "centre": (n, 2)}
        factors = ("scale", "stretch", "contrast", "luma", "saturation")
        names = (field.name for field in fields(cls))
        return cls(**{name: torch.full(shapes.get(name, (n,)), float(name in factors)) for name in names})

    @classmethod
    def draw(cls, n: int, p: float, size: int, factors: Mapping[str, float] = FACTORS) -> Parameters:
        """Draw the parameters of n images from torch's random state of the CPU.

        Args:
            n: number of images.
            p: probability of each transformation, in [0, 1].
            size: height and width of the images, in pixels.
            factors: factor of p for each transformation, by name.
        """
        shares = {name: min(p * factors.get(name, 0.0), 1.0) for name in FACTORS}
        half = 1 - math.sqrt(1 - shares.pop("rotate"))  # either rotation is then drawn with the whole probability
        names = (*shares, "before", "after")
        limits = torch.tensor([*shares.values(), half, half])
        chosen = dict(zip(names, (torch.rand(len(names), n) < limits[:, None]).unbind()))
        flip, turns, right, down, before, after, luma, hue, x, y = torch.rand(10, n).unbind()
        scale, stretch, drift_x, drift_y, brightness, contrast, saturation = torch.randn(7, n).unbind()

        def given(name: str, value: Tensor, otherwise: float = 0.0) -> Tensor:
            return torch.where(chosen[name], value, torch.tensor(otherwise))

        def angle(uniform: Tensor) -> Tensor:
            return (2 * uniform - 1) * math.pi

        whole = (torch.stack([right, down], 1) * 2 - 1) * SHIFT * size
        return cls(
            flip=given("xflip", (flip * 2).floor()),
            turns=given("rotate90", (turns * 4).floor()),
            shift=torch.where(chosen["xint"][:, None], whole.round(), torch.tensor(0.0)),
            scale=given("scale", torch.exp2(scale * SCALE), 1.0),
            before=given("before", angle(before)),
            stretch=given("aniso", torch.exp2(stretch * SCALE), 1.0),
            after=given("after", angle(after)),
            drift=torch.stack([given("xfrac", d * SHIFT * size) for d in (drift_x, drift_y)], 1),
            brightness=given("brightness", brightness * BRIGHTNESS),
            contrast=given("contrast", torch.exp2(contrast * CONTRAST), 1.0),
            luma=given("lumaflip", 1 - 2 * (luma * 2).floor(), 1.0),
            hue=given("hue", angle(hue)),
            saturation=given("saturation", torch.exp2(saturation * SATURATION), 1.0),
            hole=given("cutout", torch.ones(n)),
            centre=torch.stack([x, y], 1),
        )


def pipeline(images: Tensor, p: float, factors: Mapping[str, float] = FACTORS) -> Tensor:
    """Transform each image at random; drawn from torch's random state of the CPU, which nothing has to wait for.

    Args:
        images: images (B, C, H, H).
        p: probability of each transformation, in [0, 1]; with 0 nothing is drawn and the images are returned.
        factors: factor of p for each transformation, by name.
    """
    if p <= 0:
        return images
    return transformed(images, Parameters.draw(len(images), p, images.shape[-1], factors))


def transformed(images: Tensor, parameters: Parameters) -> Tensor:
    """Transform images (B, C, H, H) by given parameters; the result has their type, computed in float32 or better."""
    dtype = images.dtype
    with torch.autocast(images.device.type, enabled=False):
        working = images if dtype in (torch.float32, torch.float64) else images.float()
        changed = _geometry(working, parameters)
        changed = _colour(changed, parameters)
        changed = _cutout(changed, parameters)
        return images if changed is working else changed.to(dtype)


# --- geometry --------------------------------------------------------------------------------------------------------


def _geometry(images: Tensor, parameters: Parameters) -> Tensor:
    """Flip, turn, shift, scale, rotate and stretch."""
    p, size = parameters, images.shape[-1]
    smooth = (p.scale != 1) | (p.before != 0) | (p.stretch != 1) | (p.after != 0) | (p.drift != 0).any(1)
    whole = ((p.flip != 0) | (p.turns != 0) | (p.shift != 0).any(1)) & ~smooth
    if size == 1 or not (smooth | whole).any():
        return images
    linear, offset = backward_maps(parameters)
    pixels = torch.arange(size) - (size - 1) / 2
    finer = (torch.arange(2 * size) - 0.5) / 2 - (size - 1) / 2
    filters = low_pass(size, images.device, images.dtype)

    def copied(chosen: Tensor, rows: Tensor) -> Tensor:
        return _sampled(chosen, linear[rows], offset[rows], pixels, "nearest")

    def resampled(chosen: Tensor, rows: Tensor) -> Tensor:
        fine = _filtered(chosen, filters)
        return _filtered(_sampled(fine, linear[rows], offset[rows], finer, "bilinear"), filters.T / 2)

    for mask, change in ((whole, copied), (smooth, resampled)):
        images = _replaced(images, mask, change)
    return images


def backward_maps(parameters: Parameters) -> tuple[Tensor, Tensor]:
    """Return matrices (B, 2, 2) and offsets (B, 2) from a place (x, y) in an output to the place that it shows.

    Places are in pixels to the right of and below the centre of the image. The transformations are applied in the order
    of `Parameters`, so the map undoes them from the last to the first.
    """
    p, zero = parameters, torch.zeros_like(parameters.scale)
    quarter = torch.tensor([1.0, 0.0, -1.0, 0.0])
    cos, sin = quarter[p.turns.long()], quarter[(p.turns.long() + 3) % 4]  # exact, unlike cos and sin
    mirror = 1 - 2 * p.flip
    blit = _matrices(mirror * cos, -mirror * sin, sin, cos)
    before, after = (_matrices(a.cos(), -a.sin(), a.sin(), a.cos()) for a in (p.before, p.after))
    general = before @ _matrices(1 / p.stretch, zero, zero, p.stretch) @ after / p.scale[:, None, None]
    offset = blit @ (general @ p.drift[:, :, None] + p.shift[:, :, None])
    return blit @ general, -offset[:, :, 0]


def _matrices(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Return the matrices [[a, b], [c, d]], (B, 2, 2)."""
    return torch.stack([a, b, c, d], 1).view(-1, 2, 2)


def _sampled(images: Tensor, linear: Tensor, offset: Tensor, places: Tensor, mode: str) -> Tensor:
    """Return images whose pixel at (x, y) shows the place `linear @ (x, y) + offset` of the given ones, reflected.

    Args:
        images: images (B, C, N, N) of any resolution.
        linear: matrices (B, 2, 2) and
        offset: offsets (B, 2), as `backward_maps` returns them.
        places: x of the columns, and y of the rows, of the output in pixels from the centre: as many as the image has
            pixels to a side, or twice as many.
        mode: `nearest` or `bilinear`.
    """
    size = int(places[-1] - places[0] + 1)
    device, dtype = images.device, images.dtype
    row = linear[:, :, 0, None] * places  # (B, 2, columns)
    column = linear[:, :, 1, None] * places + offset[:, :, None]  # (B, 2, rows)
    row, column = ((2 / size * part).to(device, dtype, non_blocking=True) for part in (row, column))
    grid = row.mT[:, None, :, :] + column.mT[:, :, None, :]  # (B, rows, columns, 2), in [-1, 1] within the image
    return grid_sample(images, grid, mode=mode, padding_mode="reflection", align_corners=False)


@cache
def low_pass(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the filter (2 size, size) to twice a resolution; half its transpose is the one back."""
    with torch.inference_mode(False), torch.no_grad():
        beyond = torch.arange(-WINDOW, size + WINDOW)
        distance = ((torch.arange(2 * size) - 0.5) / 2)[:, None].double() - beyond
        window = torch.sinc(distance) * torch.sinc(distance / WINDOW) * (distance.abs() < WINDOW)
        inside = size - 0.5 - ((beyond + 0.5).remainder(2 * size) - size).abs()  # reflected at the edges of the image
        matrix = torch.zeros(2 * size, size, dtype=torch.double).index_add_(1, inside.long(), window)
        squares, vectors = torch.linalg.eigh(matrix.T @ matrix / 2)
        filters: Tensor = matrix @ (vectors / squares.sqrt()) @ vectors.T
        return filters.to(device, dtype).contiguous()


def _filtered(images: Tensor, matrix: Tensor) -> Tensor:
    """Return images (B, C, M, M) whose columns and rows are those of images (B, C, N, N) times a matrix (M, N)."""
    return ((images @ matrix.T).transpose(2, 3) @ matrix.T).transpose(2, 3)


# --- colour, cutout --------------------------------------------------------------------------------------------------


def _colour(images: Tensor, parameters: Parameters) -> Tensor:
    """Change brightness, contrast, luma, hue and saturation."""
    matrices, offsets = colour_maps(parameters, images.shape[1])
    changed = (matrices != torch.eye(images.shape[1])).flatten(1).any(1) | (offsets != 0)

    def recoloured(chosen: Tensor, rows: Tensor) -> Tensor:
        matrix, offset = (each[rows].to(chosen.device, chosen.dtype) for each in (matrices, offsets))
        return torch.baddbmm(offset[:, None, None], matrix, chosen.flatten(2)).view(chosen.shape)

    return _replaced(images, changed, recoloured)


def colour_maps(parameters: Parameters, channels: int) -> tuple[Tensor, Tensor]:
    """Return matrices (B, C, C) and offsets (B,) that take the channels of a pixel to those of the output.

    In the order of the paper: brightness, contrast, luma flip, hue, saturation. Every one of them either acts along the
    luma axis, on which all channels are equal, or across it. One channel has nothing across it, so hue and saturation
    do nothing; hue is a rotation in three dimensions and does nothing with any other number of channels.
    """
    p = parameters
    along = torch.full((channels, channels), 1 / channels)
    across = torch.eye(channels) - along
    turn = torch.zeros(channels, channels)
    hue = p.hue
    if channels == 3:
        turn = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    else:
        hue = torch.zeros_like(hue)
    luma, cos, sin = (p.contrast * factor for factor in (p.luma, p.saturation * hue.cos(), p.saturation * hue.sin()))
    plain = (p.luma == 1) & (hue == 0) & (p.saturation == 1)  # for which the sum of the parts may be rounded
    matrices = sum(factor[:, None, None] * part for factor, part in ((luma, along), (cos, across), (sin, turn)))
    assert isinstance(matrices, Tensor)
    contrasts = p.contrast[:, None, None] * torch.eye(channels)
    return torch.where(plain[:, None, None], contrasts, matrices), luma * p.brightness


def _cutout(images: Tensor, parameters: Parameters) -> Tensor:
    """Set a square to 0, whose centre lies anywhere in the image."""

    def hidden(chosen: Tensor, rows: Tensor) -> Tensor:
        size = chosen.shape[-1]
        distance = (torch.arange(size) + 0.5) / size - parameters.centre[rows][:, :, None]
        across, down = (distance.abs() < HOLE / 2).to(chosen.device).unbind(1)
        return chosen.masked_fill(down[:, None, :, None] & across[:, None, None, :], 0.0)

    return _replaced(images, parameters.hole != 0, hidden)


def _replaced(images: Tensor, mask: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return images of which those in the mask (B,), on the CPU, are what `change(images, rows)` makes of them."""
    rows = mask.nonzero().flatten()
    if len(rows) in (0, len(images)):
        return change(images, rows) if len(rows) else images
    places = rows.to(images.device, non_blocking=True)
    return images.index_copy(0, places, change(images.index_select(0, places), rows))
