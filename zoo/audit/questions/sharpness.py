"""Are the images as sharp as real ones? Blur takes the finest detail away; noise fills the quiet places of an image.

Blur is read off the spectrum: the power of each image (cosine transform, so that edges of the picture are no edges of a
period) in the band of finest detail, which begins where held-out images have a share of `BAND` of their power above it,
and at the top octave at the latest. Images that were enlarged, as scikit-learn's digits are, have an all but empty top
octave, where any ratio means nothing; their band begins lower.

Noise is read off the quiet places: the standard deviation of the noise by Donoho's estimate (1995), the median absolute
value of diagonal differences over 0.6745. Strokes and edges are few and leave a median alone, noise is everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic, Verdict
from zoo.audit.findings.words import percent
from zoo.audit.statistics.significance import ALARM, auc, bootstrap, holm, mann_whitney, random_halves
from zoo.metrics.pairwise_distances import tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Are the images as sharp as real ones?"

BAND = 0.05
"""Share of the power of held-out images that the band of finest detail holds at least. Less is too little to be seen,
and ratios of it explode."""
BLURRED = 0.5
"""Blurred below this ratio of power in the band: a Gaussian blur of 0.5 to 0.6 pixels, about the least one notices."""
ADDED = 10.0
"""Noisy from this many grey levels of 255 on, added to the noise of real images: the root of the difference of both
variances. Less than 4 % of the range is hardly seen; an absolute bound, because a real image without any noise, as a
digit on black, would make a generator's last few levels an infinite ratio."""
NOISY = 1.5
"""And noisy only above this ratio of noise levels, so that images rich in fine texture are not."""
SMALLEST = 8  # pixels: below, there is no spectrum to speak of
FEWEST = 20


@dataclass(frozen=True)
class Detail:
    """What is measured of a set of images.

    Args:
        power: (N,) of each image in the band, as a share of held-out images' mean power.
        noise: (N,) noise level of each image in grey levels.
        spectrum: (bins,) median power by radial frequency, per coefficient.
    """

    power: Tensor
    noise: Tensor
    spectrum: NDArray[np.float64]


def radial_frequency(height: int, width: int) -> NDArray[np.float64]:
    """Frequency (H, W) of each coefficient of a cosine transform; 1 is the finest grating along one axis (Nyquist)."""
    radius: NDArray[np.float64] = np.hypot(
        *np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")
    )
    return radius


def power_spectra(pixels: Tensor) -> NDArray[np.float64]:
    """Power (N, H, W) of images (N, C, H, W) uint8, mean over channels, without that of the mean."""
    found = np.square(dctn(pixels.numpy().astype(np.float32), axes=(2, 3), norm="ortho")).mean(1)
    found[:, 0, 0] = 0
    return np.asarray(found, dtype=np.float64)


def noise_levels(pixels: Tensor) -> Tensor:
    """Standard deviation (N,) of white noise in images (N, C, H, W) uint8, by diagonal differences, in grey levels."""
    x = pixels.float()
    diagonal = (x[..., 1:, 1:] - x[..., 1:, :-1] - x[..., :-1, 1:] + x[..., :-1, :-1]) / 2
    return diagonal.abs().flatten(1).median(1).values / 0.6745


def band_start(power: NDArray[np.float64], radius: NDArray[np.float64]) -> float:
    """The frequency above which a share of BAND of the power (H, W) lies; at most that of the top octave, 0.5."""
    order = np.argsort(-radius, axis=None, kind="stable")
    above = np.cumsum(power.ravel()[order]) / max(power.sum(), 1e-12)
    reached = int(np.searchsorted(above, BAND))
    return min(0.5, float(radius.ravel()[order][min(reached, radius.size - 1)]))


def _measure(pixels: Tensor, radius: NDArray[np.float64], start: float, scale: float) -> Detail:
    bins = np.minimum((radius * radius.shape[0]).round().astype(int), radius.shape[0])
    counts = np.bincount(bins.ravel()).clip(1)
    power, noise, spectra = [], [], []
    for rows in tiles(len(pixels)):
        for part in torch.split(pixels[rows], 256):
            spectrum = power_spectra(part)
            power.append(torch.from_numpy(spectrum[:, radius >= start].sum(1) / scale))
            noise.append(noise_levels(part))
            spectra.append(np.stack([np.bincount(bins.ravel(), one.ravel()) for one in spectrum]) / counts)
    return Detail(torch.cat(power), torch.cat(noise), np.median(np.concatenate(spectra), axis=0))


def ask(evidence: Evidence) -> Finding:
    """Power in the band of finest detail and level of noise, of generated images against held-out ones.

    Raises:
        NotApplicable: for images too small, too few, or without any contrast.
    """
    real, fake = evidence.held_out.pixels, evidence.generated.pixels
    height, width = real.shape[-2:]
    if min(height, width) < SMALLEST:
        raise NotApplicable(f"sharpness needs images of at least {SMALLEST} px; these have {height} x {width}")
    if min(len(real), len(fake)) < FEWEST:
        raise NotApplicable(
            f"sharpness needs at least {FEWEST} generated and {FEWEST} held-out images; got {len(fake)} and {len(real)}"
        )
    evidence.report("spectra")
    radius = radial_frequency(height, width)
    mean = sum(power_spectra(part).sum(0) for part in torch.split(real, 256)) / len(real)
    assert isinstance(mean, np.ndarray)
    if not mean.sum():
        raise NotApplicable("the held-out images are all of one colour: there is nothing to be sharp")
    start = band_start(mean, radius)
    a, b = (_measure(pixels, radius, start, float(mean.sum())) for pixels in (fake, real))
    p = holm(np.array([mann_whitney(a.power, b.power, "less"), mann_whitney(a.noise, b.noise, "greater")]))
    detail, level, usual = _ratio(a.power, b.power), _middle(a.noise), _middle(b.noise)
    blurred = bool(detail < BLURRED and p[0] < ALARM)
    noisy = bool(level**2 - usual**2 > ADDED**2 and level > NOISY * usual and p[1] < ALARM)
    flags: dict[Verdict, str] = {}
    if blurred:
        flags["blurred"] = f"the finest detail has {percent(detail)} of the power it has in real images"
    if noisy:
        flags["noisy"] = f"noise of {level:.0f} grey levels, real images have {usual:.0f}"
    figure = _figure(a.spectrum, b.spectrum, start)
    return Finding(
        "sharpness",
        QUESTION,
        "alarm" if flags else "passed",
        _answer(detail, a, b, blurred, noisy),
        _statistics(a, b, blurred, noisy, evidence),
        flags,
        () if figure is None else (figure,),
        {
            "generated": len(fake),
            "held_out": len(real),
            "band_from": round(start, 4),
            "band": f"radial frequencies from {start:.2f} of Nyquist's, {percent(BAND)} or more of held-out power",
            "blurred_below": BLURRED,
            "noisy_above": NOISY,
            "added_noise_above": ADDED,
            "p_below": ALARM,
            "p_blurred": float(p[0]),
            "p_noisy": float(p[1]),
            "test": "Mann-Whitney of the images, Holm over both",
        },
    )


def _answer(detail: float, a: Detail, b: Detail, blurred: bool, noisy: bool) -> str:
    levels = f"noise of about {_middle(a.noise):.1f} grey levels (real images {_middle(b.noise):.1f})"
    if blurred and noisy:
        return f"No: they lack fine detail ({percent(detail)} of the power it has in real images) and carry {levels}."
    if blurred:
        return f"No, they are blurred: their finest detail has {percent(detail)} of the power it has in real images."
    if noisy:
        return f"No, they are noisy: they carry {levels}."
    return (
        f"Yes: their finest detail has {percent(detail)} of the power it has in real images, and they carry {levels}."
    )


def _statistics(a: Detail, b: Detail, blurred: bool, noisy: bool, evidence: Evidence) -> tuple[Statistic, ...]:
    repeats, seed = evidence.budget.repeats, evidence.seed_of("sharpness")
    halves = list(random_halves(len(b.power), repeats, seed))
    nulls = [_ratio(b.power[one], b.power[two]) for one, two in halves]
    low, high = _ratio_interval(a.power, b.power, repeats, seed)
    area, area_low, area_high = auc(a.power, b.power)
    null_areas = [auc(b.power[one], b.power[two])[0] for one, two in halves[:50]]
    noise = bootstrap(a.noise, "median", repeats, seed)
    held = bootstrap(b.noise, "median", repeats, seed)
    n = len(a.power)
    return (
        Statistic(
            "fine detail",
            _ratio(a.power, b.power),
            low,
            high,
            1.0,
            *_range(nulls),
            n,
            alarm=blurred,
            says="median power in the band of finest detail over that of held-out images; below 1 is softer",
        ),
        Statistic(
            "fine detail, AUC",
            area,
            area_low,
            area_high,
            0.5,
            *_range(null_areas),
            n,
            says="chance that a generated image has more fine detail than a held-out one",
        ),
        Statistic(
            "noise level",
            _middle(a.noise),
            *noise,
            _middle(b.noise),
            *held,
            n,
            "grey levels",
            alarm=noisy,
            says="median over the images of the noise in their quiet places, of 255",
        ),
    )


def _figure(fake: NDArray[np.float64], real: NDArray[np.float64], start: float) -> Figure | None:
    places = np.arange(1, len(real)) / (len(real) - 1)

    def draw(axes: Axes) -> None:
        for values, name in ((real, "held_out"), (fake, "generated")):
            axes.plot(places, np.maximum(values[1:], 1e-2), color=figures.COLOURS[name], label=name.replace("_", "-"))
        axes.axvspan(start, 1, color=figures.COLOURS["null"], alpha=0.15, linewidth=0, label="finest detail")
        axes.set(yscale="log", xlabel="frequency (1: the finest grating)", ylabel="power, median image")
        axes.legend()

    return figures.plot(
        draw,
        "spectrum",
        "Power of the median image by frequency. On the right, below the held-out curve: blurred; "
        "above it: noisy, or with a pattern of the network's own.",
    )


def _middle(values: Tensor) -> float:
    return float(values.double().median())


def _ratio(above: Tensor, below: Tensor) -> float:
    """Of medians; infinite over nothing."""
    x, y = _middle(above), _middle(below)
    return x / y if y else (1.0 if not x else math.inf)


def _ratio_interval(above: Tensor, below: Tensor, repeats: int, seed: int) -> tuple[float, float]:
    """95 % percentile interval of the ratio of medians, both sides drawn again."""
    draw = torch.Generator().manual_seed(seed)
    found = [
        _ratio(*(side[torch.randint(len(side), (len(side),), generator=draw)] for side in (above, below)))
        for _ in range(repeats)
    ]
    return _range(found)


def _range(values: list[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
