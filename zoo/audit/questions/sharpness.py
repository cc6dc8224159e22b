"""Are the images as sharp as real ones? Blur removes high frequencies; noise shows in the smooth regions of an image.

Blur is measured by the power of each image in a band of high frequencies, by the discrete cosine transform, for which
the image border is no edge. The band begins at the frequency above which held-out images have a share of `BAND` of
their power, and at the top octave at the latest. The top octave of images that were enlarged, such as scikit-learn's
digits, is almost empty, so that a ratio there means nothing; their band begins lower.

All images are compared at one size, to which both sides are resized in the same way and no image is enlarged.

Noise is measured by the estimator of Donoho (1995, IEEE Trans. Inf. Theory 41): median(|d|) / 0.6745 over diagonal
differences d. Edges are sparse and hardly change the median; noise is everywhere.
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
from zoo.audit.evidence.folders import resized
from zoo.audit.evidence.images import ImageSet
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder, Handle
from zoo.audit.findings.finding import Figure, Finding, NotApplicable
from zoo.audit.findings.formatting import percent
from zoo.audit.statistics.significance import ALARM, auc, bootstrap_median, holm, mann_whitney, random_halves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Are the images as sharp as real ones?"

BAND = 0.05
"""Smallest share of the power of held-out images in the band. Less is invisible, and its ratios are unstable."""
BLURRED = 0.5
"""Ratio of power in the band below which images are blurred: a Gaussian blur of 0.5 to 0.6 pixels, about the weakest
that is visible."""
ADDED_NOISE = 10.0
"""Smallest added noise of noisy images in grey levels (of 255): the root of the difference of the variances. Less than
4 % of the range is hardly visible. The bound is absolute, because relative to a real image without noise, such as a
digit on black, a few grey levels are an infinite ratio."""
NOISE_RATIO = 1.5
"""Smallest ratio of noise levels of noisy images, which excludes images with much fine texture."""
SMALLEST = 8  # pixels; smaller images have no meaningful spectrum
FEWEST = 20  # images of each origin
VALUES = 2**20
"""Largest number of values (pixels times channels) that are transformed at once; there are about ten copies of them."""


@dataclass(frozen=True)
class Detail:
    """Spectrum and noise of N images.

    Args:
        power: power of each image (N,) in the band, relative to the mean power of held-out images over all frequencies.
        noise: noise level of each image (N,) in grey levels.
        spectrum: median power per coefficient, by radial frequency (bins,).
    """

    power: Tensor
    noise: Tensor
    spectrum: NDArray[np.float64]


def comparable_size(*sets: ImageSet) -> int:
    """Return the height in pixels at which sharpness is compared: that of the sets, or less where files are smaller.

    An enlarged image is blurred, whoever made it. So the size is one that at least half of the files of each set reach.
    """
    sides = [int(images.sides.median()) for images in sets if images.sides is not None]
    return min([sets[0].shape[-2], *sides])


def not_enlarged(images: ImageSet, size: int) -> ImageSet:
    """Return the images whose files are not smaller than a size in pixels, resized to it in one step."""
    if images.sides is not None:
        images = images.take((images.sides >= size).nonzero()[:, 0])
    return resized(images, size)


def radial_frequency(height: int, width: int) -> NDArray[np.float64]:
    """Return the frequency (H, W) of each coefficient of a cosine transform; 1 is the Nyquist frequency of an axis."""
    radius: NDArray[np.float64] = np.hypot(
        *np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")
    )
    return radius


def power_spectra(pixels: Tensor) -> NDArray[np.float32]:
    """Compute the power spectra (N, H, W) of images (N, C, H, W) uint8, averaged over channels, without the DC."""
    coefficients = dctn(pixels.numpy().astype(np.float32), axes=(2, 3), norm="ortho", overwrite_x=True)
    power = np.square(coefficients, out=coefficients).mean(1)
    power[:, 0, 0] = 0
    return np.asarray(power, dtype=np.float32)


def mean_spectrum(images: ImageSet) -> NDArray[np.float64]:
    """Compute the mean power spectrum (H, W) of images, a few at a time, of which only the sum is kept."""
    total = np.zeros(images.shape[-2:])
    for part in images.parts(values=VALUES):
        total += power_spectra(part).sum(0, dtype=np.float64)
    return total / len(images)


def noise_levels(pixels: Tensor) -> Tensor:
    """Estimate the standard deviation (N,) of white noise in images (N, C, H, W) uint8, in grey levels."""
    x = pixels.float()
    diagonal = (x[..., 1:, 1:] - x[..., 1:, :-1] - x[..., :-1, 1:] + x[..., :-1, :-1]) / 2
    return diagonal.abs().flatten(1).median(1).values / 0.6745


def band_start(power: NDArray[np.float64], radius: NDArray[np.float64]) -> float:
    """Find the frequency above which a share of BAND of the power lies, at most 0.5 (the top octave).

    Args:
        power: power (H, W) of each coefficient.
        radius: radial frequency (H, W) of each coefficient.
    """
    order = np.argsort(-radius, axis=None, kind="stable")
    above = np.cumsum(power.ravel()[order]) / max(power.sum(), 1e-12)
    reached = int(np.searchsorted(above, BAND))
    return min(0.5, float(radius.ravel()[order][min(reached, radius.size - 1)]))


def _measure(images: ImageSet, radius: NDArray[np.float64], start: float, scale: float) -> Detail:
    """Measure spectrum and noise of images, a few at a time; of each, two numbers and the radial averages are kept.

    Args:
        images: images (N, C, H, W), held as bytes.
        radius: radial frequency (H, W) of each coefficient.
        start: frequency from which the band extends.
        scale: mean power of held-out images over all frequencies.
    """
    bins = np.minimum((radius * radius.shape[0]).round().astype(int), radius.shape[0])
    counts = np.bincount(bins.ravel()).clip(1)
    # Filled in place: small results between the large temporaries would keep the allocator from reusing their memory.
    power, noise = torch.empty(len(images), dtype=torch.float64), torch.empty(len(images))
    rings = np.empty((len(images), len(counts)), np.float32)
    done = 0
    for part in images.parts(values=VALUES):
        here = slice(done, done := done + len(part))
        spectrum = power_spectra(part)
        power[here] = torch.from_numpy(spectrum[:, radius >= start].sum(1, dtype=np.float64) / scale)
        noise[here] = noise_levels(part)
        rings[here] = [np.bincount(bins.ravel(), one.ravel()) / counts for one in spectrum]
    return Detail(power, noise, np.median(rings, axis=0).astype(np.float64))


def run(evidence: Evidence) -> Finding:
    """Compare power at high frequencies and noise level of generated and held-out images.

    Raises:
        NotApplicable: if images are too small, too few, or without contrast.
    """
    size = comparable_size(evidence.held_out, evidence.generated)
    real, fake = (not_enlarged(images, size) for images in (evidence.held_out, evidence.generated))
    height, width = real.shape[-2:]
    if min(height, width) < SMALLEST:
        raise NotApplicable(f"sharpness needs images of at least {SMALLEST} px; these have {height} x {width}")
    if min(len(real), len(fake)) < FEWEST:
        raise NotApplicable(
            f"sharpness needs at least {FEWEST} generated and {FEWEST} held-out images; got {len(fake)} and {len(real)}"
        )
    evidence.report("power spectra")
    radius = radial_frequency(height, width)
    mean = mean_spectrum(real)
    if not mean.sum():
        raise NotApplicable("the held-out images have no contrast: each is of a single colour")
    start = band_start(mean, radius)
    generated, held_out = (_measure(images, radius, start, float(mean.sum())) for images in (fake, real))
    finding = Builder("sharpness", QUESTION)
    fine_detail = _add_detail(finding, generated, held_out, evidence)
    noise_level = _add_noise(finding, generated, held_out, evidence)
    detail, level, usual = fine_detail.statistic.value, _median(generated.noise), _median(held_out.noise)
    finding.add_test(
        fine_detail,
        p=mann_whitney(generated.power, held_out.power, "less"),
        effect_matters=detail < BLURRED,
        verdict="blurred",
        reason=f"the high frequencies have {percent(detail)} of their power in real images",
    )
    finding.add_test(
        noise_level,
        p=mann_whitney(generated.noise, held_out.noise, "greater"),
        effect_matters=level**2 - usual**2 > ADDED_NOISE**2 and level > NOISE_RATIO * usual,
        verdict="noisy",
        reason=f"noise of {level:.0f} grey levels, real images have {usual:.0f}",
    )
    blurred, noisy = finding.decide(ALARM, holm)
    finding.add_figure(_spectrum_figure(generated.spectrum, held_out.spectrum, start))
    finding.add_protocol(
        {
            "generated": len(fake),
            "held_out": len(real),
            "size": f"{height} x {width} px, to which no image was enlarged",
            "left_out_as_smaller": len(evidence.generated) + len(evidence.held_out) - len(fake) - len(real),
            "band_from": round(start, 4),
            "band": f"radial frequencies from {start:.2f} x Nyquist, {percent(BAND)} or more of held-out power",
            "blurred_below": BLURRED,
            "noisy_above": NOISE_RATIO,
            "added_noise_above": ADDED_NOISE,
            "p_below": ALARM,
            "p_blurred": blurred.corrected_p,
            "p_noisy": noisy.corrected_p,
            "test": "Mann-Whitney over images, both tests corrected (Holm)",
        }
    )
    return finding.build(_answer(detail, level, usual, blurred.raised, noisy.raised))


def _answer(detail: float, level: float, usual: float, blurred: bool, noisy: bool) -> str:
    """Return the answer as text.

    Args:
        detail: power at high frequencies, relative to held-out images.
        level: noise level of generated images in grey levels.
        usual: noise level of held-out images in grey levels.
        blurred: whether the alarm for blur was raised.
        noisy: whether the alarm for noise was raised.
    """
    power = f"the high frequencies have {percent(detail)} of their power in real images"
    noise = f"the noise level is about {level:.1f} grey levels (real images {usual:.1f})"
    if blurred and noisy:
        return f"No: {power}, and {noise}."
    if blurred:
        return f"No, they are blurred: {power}."
    if noisy:
        return f"No, they are noisy: {noise}."
    return f"Yes: {power}, and {noise}."


def _add_detail(finding: Builder, generated: Detail, held_out: Detail, evidence: Evidence) -> Handle:
    """Add the ratio of power in the band, whose handle is returned, and its AUC."""
    repeats, seed = evidence.budget.repeats, evidence.seed_of("sharpness")
    halves = list(random_halves(len(held_out.power), repeats, seed))
    null_ratios = [_ratio(held_out.power[one], held_out.power[two]) for one, two in halves]
    null_areas = [auc(held_out.power[one], held_out.power[two])[0] for one, two in halves[:50]]
    n = len(generated.power)
    handle = finding.add_statistic(
        "fine detail",
        (
            _ratio(generated.power, held_out.power),
            *_ratio_interval(generated.power, held_out.power, repeats, seed),
        ),
        null=(1.0, *_range(null_ratios)),
        n=n,
        description="median power at high frequencies, over that of held-out images; below 1: softer",
    )
    finding.add_statistic(
        "fine detail, AUC",
        auc(generated.power, held_out.power),
        null=(0.5, *_range(null_areas)),
        n=n,
        description="probability that a generated image has more power at high frequencies than a held-out one",
    )
    return handle


def _add_noise(finding: Builder, generated: Detail, held_out: Detail, evidence: Evidence) -> Handle:
    """Add the noise level, and return its handle."""
    repeats, seed = evidence.budget.repeats, evidence.seed_of("sharpness")
    return finding.add_statistic(
        "noise level",
        (_median(generated.noise), *bootstrap_median(generated.noise, repeats, seed)),
        null=(_median(held_out.noise), *bootstrap_median(held_out.noise, repeats, seed)),
        n=len(generated.power),
        unit="grey levels",
        description="median over images of the noise in smooth regions, of 255",
    )


def _spectrum_figure(fake: NDArray[np.float64], real: NDArray[np.float64], start: float) -> Figure | None:
    """Plot the median power spectra (bins,) of generated and held-out images; None without matplotlib."""
    frequencies = np.arange(1, len(real)) / (len(real) - 1)

    def draw(axes: Axes) -> None:
        for values, name in ((real, "held_out"), (fake, "generated")):
            label = name.replace("_", "-")
            axes.plot(frequencies, np.maximum(values[1:], 1e-2), color=figures.COLOURS[name], label=label)
        axes.axvspan(start, 1, color=figures.COLOURS["null"], alpha=0.15, linewidth=0, label="high frequencies")
        axes.set(yscale="log", xlabel="frequency (1: Nyquist)", ylabel="power, median image")
        axes.legend()

    return figures.plot(
        draw,
        "spectrum",
        "Power of the median image by frequency. On the right, generated images below the held-out curve are blurred; "
        "above it they are noisy, or have a pattern of the network.",
    )


def _median(values: Tensor) -> float:
    """Return the median of values (N,)."""
    return float(values.double().median())


def _ratio(above: Tensor, below: Tensor) -> float:
    """Return the ratio of the medians of two samples; infinite over 0, and 1 for 0 over 0."""
    x, y = _median(above), _median(below)
    return x / y if y else (1.0 if not x else math.inf)


def _ratio_interval(above: Tensor, below: Tensor, repeats: int, seed: int) -> tuple[float, float]:
    """Compute the 95 % percentile interval of the ratio of medians by resampling both samples."""
    draw = torch.Generator().manual_seed(seed)
    ratios = [
        _ratio(*(side[torch.randint(len(side), (len(side),), generator=draw)] for side in (above, below)))
        for _ in range(repeats)
    ]
    return _range(ratios)


def _range(values: list[float]) -> tuple[float, float]:
    """Return the 2.5 % and the 97.5 % quantile of values."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
