"""How many distinct images can the generator make? The birthday paradox, with thresholds for duplicates from real data.

Arora and Zhang 2017 (arXiv:1706.08224) let people inspect the closest pairs. Here two images are duplicates if they are
closer, in features and in pixels, than all but a few pairs of distinct real images. One half of the held-out images
sets these thresholds, the other half shows how many pairs of distinct images pass for duplicates.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import PIXEL_SIZE, Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder, Handle
from zoo.audit.findings.finding import Figure, Finding, NotApplicable
from zoo.audit.statistics.birthday import (
    Duplicates,
    SupportEstimate,
    Thresholds,
    estimate_support,
    find_duplicates,
    first_collision,
    fit_thresholds,
)
from zoo.audit.statistics.distances import closest_pairs, nearest
from zoo.audit.statistics.significance import ALARM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "How many distinct images can it make?"

SPACES = ("features", "pixels")
FEWEST_HELD_OUT = 150  # half of them set the thresholds
FEWEST_GENERATED = 100
ALLOWED_PAIRS = 5  # pairs of distinct real images, in the half that sets the thresholds, that pass for duplicates
PLANTED = (100, 1_000, 10_000)  # sizes of known supports that the measurement is checked on
ORDERS = 200  # random orders of the sample behind the probability of a collision
SHOWN = 16  # pairs in the picture
CONSIDERED = 5_000  # pairs that those are chosen from
PAGE = 100
PAGE_REPEATS = PAGE * (PAGE - 1) / (2 * math.log(2))
"""About 7,140: with fewer distinct images, a page of 100 more likely than not has a duplicate, a fault that anyone who
looks at samples can see."""
EXCUSED = 0.5
"""A support of at least this share of the training images is no collapse: a generator that reproduces a small data set
has as many duplicates. Whether it does reproduce it is the question of copying."""


def run(evidence: Evidence) -> Finding:
    """Estimate the number of distinct images from the duplicates in a sample, beyond those expected by chance.

    Raises:
        NotApplicable: if there are too few images.
    """
    held_out, generated = len(evidence.held_out), evidence.generated
    if held_out < FEWEST_HELD_OUT or len(generated) < FEWEST_GENERATED:
        raise NotApplicable(
            f"the thresholds for duplicates need at least {FEWEST_HELD_OUT} held-out images, and the search for them "
            f"at least {FEWEST_GENERATED} generated ones; got {held_out:,} and {len(generated):,}"
        )
    order = torch.randperm(held_out, generator=evidence.rng("support halves"))
    setting, checking = order[: held_out // 2], order[held_out // 2 :]
    real = [evidence.features("held_out", space) for space in SPACES]
    fake = [evidence.features("generated", space) for space in SPACES]
    evidence.report("duplicates among generated images")
    thresholds = fit_thresholds([features[setting] for features in real], ALLOWED_PAIRS)
    null = find_duplicates([features[checking] for features in real], thresholds)
    sample = find_duplicates(fake, thresholds)
    estimate = estimate_support(sample, null, significance_level=1 - 2 * ALARM)
    limit = min(PAGE_REPEATS, EXCUSED * len(evidence.train))
    finding = Builder("support", QUESTION)
    size = _add_estimate(finding, estimate, sample, null)
    collapsed = estimate.significant and estimate.high < limit
    if collapsed:
        finding.add_flag("collapsed", f"it has about {_rounded(estimate.size)} distinct images", size)
    planted = _add_planted(finding, evidence, thresholds, null, sample.images)
    finding.add_figure(_closest_pairs(evidence, thresholds, sample, fake))
    finding.add_figure(_collision_curves(evidence, sample, null, planted))
    finding.add_protocol(
        {
            "generated": sample.images,
            "held_out": held_out,
            "train": len(evidence.train),
            "extractor": evidence.space,
            "threshold in features": thresholds.distances[0],
            "threshold in pixels": thresholds.distances[1],
            "pixels at": min(PIXEL_SIZE, evidence.train.shape[-1]),
            "thresholds set on": len(setting),
            "pairs of these below the thresholds": ALLOWED_PAIRS,
            "checked on": len(checking),
            "pairs of those below the thresholds": null.count,
            "collapsed below": round(limit),
            "interval": "Poisson's, widened to the variance by the jackknife",
            "seed": evidence.seed,
        }
    )
    return finding.build(_answer(collapsed, estimate, sample, limit), note=estimate.significant)


def _add_estimate(finding: Builder, estimate: SupportEstimate, sample: Duplicates, null: Duplicates) -> Handle:
    """Add the size of the support, whose handle is returned, and the number of duplicates."""
    size = finding.add_statistic(
        "support",
        (estimate.size, estimate.low, estimate.high),
        null=math.inf,
        n=sample.images,
        unit="images",
        description="number of distinct images if all are equally likely, otherwise the effective number, 1 / (sum of "
        "squared probabilities)",
    )
    null_low, null_high = (end * (sample.pairs / null.pairs) for end in null.interval(0.95))
    finding.add_statistic(
        "duplicate pairs",
        (sample.count, *sample.interval(0.95)),
        null=(estimate.expected, null_low, null_high),
        n=sample.images,
        unit="pairs",
        description="pairs of generated images that are duplicates; null: pairs expected of distinct real images",
    )
    return size


def _answer(collapsed: bool, estimate: SupportEstimate, sample: Duplicates, limit: float) -> str:
    """Return the answer as text: the number of distinct images, or its lower bound.

    Args:
        collapsed: whether the alarm was raised.
        estimate: the estimated number of distinct images.
        sample: duplicates among the generated images.
        limit: number of distinct images below which a generator has collapsed.
    """
    counts = (
        f"among {sample.images:,} generated images there are {sample.count:,} pairs of duplicates, where "
        f"{estimate.expected:,.0f} are expected of distinct real images"
    )
    if not estimate.significant:
        if math.isinf(estimate.low):
            return f"No limit was found: {counts}."
        return f"At least {_rounded(estimate.low)} distinct images, and no upper limit was found: {counts}."
    about = (
        f"about {_rounded(estimate.size)} distinct images (95 % interval {_rounded(estimate.low)} to "
        f"{_rounded(estimate.high)})"
    )
    if collapsed:
        return f"Only {about}: {counts}. A page of {PAGE} images is likely to contain a duplicate."
    if estimate.low > limit:
        return (
            f"Some images repeat, as with {about}: {counts}. A collapse would be fewer than {_rounded(limit)} images."
        )
    return f"Some images repeat, as with {about}: {counts}. Whether that is a collapse is uncertain."


def _rounded(size: float) -> str:
    """Return a size with three significant digits and thousands separators; "any number" if it is not finite."""
    if not math.isfinite(size):
        return "any number"
    digits = max(0, math.floor(math.log10(max(size, 1))) - 2)
    return f"{round(size, -digits):,.0f}"


def _add_planted(
    finding: Builder, evidence: Evidence, thresholds: Thresholds, null: Duplicates, n: int
) -> dict[int, Duplicates]:
    """Add estimates for n draws from exactly k training images, which show how accurate the measurement is here.

    Returns:
        The duplicates among the draws, for each k that there are enough training images for.
    """
    planted: dict[int, Duplicates] = {}
    for k in PLANTED:
        if k > len(evidence.train):
            continue
        draw = evidence.rng(f"planted support {k}")
        chosen = torch.randperm(len(evidence.train), generator=draw)[:k][torch.randint(k, (n,), generator=draw)]
        planted[k] = find_duplicates([evidence.features("train", space)[chosen] for space in SPACES], thresholds)
        estimate = estimate_support(planted[k], null)
        finding.add_statistic(
            f"support of {k:,} planted images",
            (estimate.size, estimate.low, estimate.high),
            null=k,
            n=n,
            unit="images",
            description=f"estimate for real images drawn from exactly {k:,}: the accuracy of the measurement here",
        )
    return planted


def _closest_pairs(evidence: Evidence, thresholds: Thresholds, sample: Duplicates, fake: list[Tensor]) -> Figure:
    """Draw the closest pairs, each image once, with the training image nearest to the first of each pair."""
    chosen = _chosen_pairs(evidence, thresholds, sample, fake[0])
    first, second = (torch.tensor([pair[side] for pair in chosen]) for side in (0, 1))
    trained = nearest(fake[0][first], evidence.features("train")).indices[:, 0]
    images = torch.stack(
        [evidence.generated.images(first), evidence.generated.images(second), evidence.train.images(trained)], 1
    )
    half = -(-len(chosen) // 2)
    rows = torch.cat([images[:half], images[half:]], 1) if len(chosen) == 2 * half else images
    columns = rows.shape[1]
    which = "duplicates by both thresholds" if sample.count else "none of them duplicates"
    return figures.pictures(
        rows.flatten(0, 1),
        columns,
        "closest-pairs",
        f"The closest pairs among {sample.images:,} generated images, {which}, and the training image nearest to the "
        "first of each. If the training image differs, the repetition is a lack of diversity rather than memorisation.",
        ["generated", "generated", "training"] * (columns // 3),
    )


def _chosen_pairs(
    evidence: Evidence, thresholds: Thresholds, sample: Duplicates, features: Tensor
) -> list[tuple[int, int]]:
    """Choose up to SHOWN pairs of similar generated images, the closest first, for the figure.

    A pair is left out if one of its images is within the feature threshold of an image in a pair chosen earlier, so
    that the figure does not show one motif several times.

    Args:
        evidence: source of the random draw.
        thresholds: thresholds of duplicates; that in feature space is used.
        sample: duplicates among the generated images. If there are any, at most CONSIDERED of them, drawn at random,
            are the candidates; otherwise the CONSIDERED closest pairs are.
        features: features (N, D) of the generated images.

    Returns:
        Indices of both images, for each pair.
    """
    if sample.count:
        subset = torch.randperm(len(sample.first), generator=evidence.rng("pairs shown"))[:CONSIDERED]
        i, j = sample.first[subset], sample.second[subset]
        order = (features[i] - features[j]).norm(dim=1).argsort(stable=True)
        i, j = i[order], j[order]
    else:
        _, i, j = closest_pairs(features, CONSIDERED)
    chosen: list[tuple[int, int]] = []
    for a, b in zip(i.tolist(), j.tolist()):
        seen = torch.tensor([image for pair in chosen for image in pair], dtype=torch.long)
        new = features[[a, b]]
        if not len(seen) or float(torch.cdist(new, features[seen]).min()) > thresholds.distances[0]:
            chosen.append((a, b))
        if len(chosen) == SHOWN:
            break
    return chosen


def _collision_curves(
    evidence: Evidence, sample: Duplicates, null: Duplicates, planted: dict[int, Duplicates]
) -> Figure | None:
    """Plot the probability of a duplicate against the number of images drawn; None without matplotlib."""
    seed = evidence.seed_of("collision curve")
    origins: list[tuple[str | int, Duplicates]] = [("generated", sample), ("held_out", null), *planted.items()]
    curves = {name: first_collision(pairs, ORDERS, seed) for name, pairs in origins}

    def draw(axes: Axes) -> None:
        sizes = torch.unique(torch.logspace(math.log10(2), math.log10(sample.images), 120).round())
        for name, drawn in curves.items():
            until = sizes[sizes <= (null.images if name == "held_out" else sample.images)]
            probability = (drawn[:, None] <= until).double().mean(0)
            if isinstance(name, str):
                axes.plot(until, probability, color=figures.COLOURS[name], label=name.replace("_", "-"))
                continue
            grey, half = figures.COLOURS["null"], float(until[(probability - 0.5).abs().argmin()])
            label = "so many real images" if name == min(planted) else None
            axes.plot(until, probability, color=grey, linestyle="--", label=label)
            axes.annotate(
                f"{name:,}",
                (half, 0.5),
                fontsize=7,
                ha="right",
                color=grey,
                xytext=(-3, 2),
                textcoords="offset points",
            )
        axes.set_xscale("log")
        axes.set(xlabel="images drawn", ylabel="probability of a duplicate")
        axes.set_ylim(-0.03, 1.03)
        axes.legend(loc="upper left")

    return figures.plot(
        draw,
        "collisions",
        "Probability of a duplicate among the images drawn so far: generated images, held-out images (all distinct), "
        "and real images drawn from exactly as many as the dashed lines say.",
    )
