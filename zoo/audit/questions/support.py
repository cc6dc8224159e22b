"""How many distinct images? The birthday paradox, with a threshold for "the same image" that real data set."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import PIXEL_SIZE, Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic, Status, Verdict
from zoo.audit.statistics.birthday import Alike, Duplicates, Support, alike, duplicates, first_collision, support
from zoo.audit.statistics.distances import closest_pairs, nearest
from zoo.audit.statistics.significance import ALARM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "How many distinct images can it make?"

SPACES = ("features", "pixels")
LEAST = 150  # held-out images, of which half set the threshold
LEAST_DRAWN = 100
PASS_AS_SAME = 5  # pairs of different real images, among the half that sets the threshold, that may pass as the same
PLANTED = (100, 1_000, 10_000)
ORDERS = 200  # in which the sample is drawn again, for the chance of a collision
SHOWN = 16  # pairs in the picture
CONSIDERED = 5_000  # pairs that it is chosen from
PAGE = 100
PAGE_REPEATS = PAGE * (PAGE - 1) / (2 * math.log(2))
"""About 7,140. With fewer images than this, a page of 100 more likely than not shows the same one twice: a fault that
whoever looks at samples sees."""
EXCUSED = 0.5
"""A support of at least this share of the training images is not called a collapse: one who replays a small data set
repeats himself as often. Whether he does replay it is the question of copying."""


def ask(evidence: Evidence) -> Finding:
    """Duplicates among generated images, beyond those among real ones, give the size of the support.

    Arora and Zhang 2017 (arXiv:1706.08224). What differs: people judged the closest pairs there; here a pair counts as
    the same image when it is closer, in features and in pixels, than all but a few pairs of different real images. One
    half of the held-out images sets these thresholds, the other half says how often different images pass as the same.
    """
    held_out, generated = len(evidence.held_out), evidence.generated
    if held_out < LEAST or len(generated) < LEAST_DRAWN:
        raise NotApplicable(
            f"what counts as the same image is learnt from at least {LEAST} held-out images, and looked for among at "
            f"least {LEAST_DRAWN} generated ones; there are {held_out:,} and {len(generated):,}"
        )
    order = torch.randperm(held_out, generator=evidence.rng("support halves"))
    setting, checking = order[: held_out // 2], order[held_out // 2 :]
    real = [evidence.features("held_out", space) for space in SPACES]
    made = [evidence.features("generated", space) for space in SPACES]
    evidence.report("pairs of images that are the same")
    same = alike([features[setting] for features in real], PASS_AS_SAME)
    null = duplicates([features[checking] for features in real], same)
    sample = duplicates(made, same)
    found = support(sample, null, sure=1 - 2 * ALARM)
    planted, controls = _planted(evidence, same, null, sample.images)
    limit = min(PAGE_REPEATS, EXCUSED * len(evidence.train))
    flags: dict[Verdict, str] = {}
    if found.significant and found.high < limit:
        flags["collapsed"] = f"it has about {_round(found.size)} different images"
    statistics = (
        Statistic(
            "support",
            found.size,
            found.low,
            found.high,
            math.inf,
            n=sample.images,
            unit="images",
            alarm=bool(flags),
            says="distinct images, if all are drawn equally often; else the effective number, "
            "1 / (sum of squared chances)",
        ),
        Statistic(
            "pairs alike",
            sample.count,
            *sample.interval(0.95),
            found.expected,
            *_scaled(null.interval(0.95), sample.pairs / null.pairs),
            n=sample.images,
            unit="pairs",
            says="pairs of generated images that are the same image; beside it, as many as different real images "
            "would give",
        ),
        *controls,
    )
    return Finding(
        "support",
        QUESTION,
        _status(flags, found),
        _answer(flags, found, sample, limit),
        statistics,
        flags,
        _figures(evidence, same, sample, null, planted, made),
        {
            "generated": sample.images,
            "held_out": held_out,
            "train": len(evidence.train),
            "extractor": evidence.space,
            "threshold in features": same.thresholds[0],
            "threshold in pixels": same.thresholds[1],
            "pixels at": min(PIXEL_SIZE, evidence.train.pixels.shape[-1]),
            "threshold set on": len(setting),
            "pairs of these that pass as the same": PASS_AS_SAME,
            "checked on": len(checking),
            "pairs of these that pass": null.count,
            "collapsed below": round(limit),
            "interval": "Poisson's, stretched to the jackknife's variance",
            "seed": evidence.seed,
        },
    )


def _status(flags: dict[Verdict, str], found: Support) -> Status:
    return "alarm" if flags else "note" if found.significant else "passed"


def _answer(flags: dict[Verdict, str], found: Support, sample: Duplicates, limit: float) -> str:
    counted = (
        f"among {sample.images:,} of its images {sample.count:,} pairs are the same image, where {found.expected:,.0f} "
        "pairs of different real images would pass for one"
    )
    if not found.significant:
        if math.isinf(found.low):
            return f"No end is in sight: {counted}."
        return f"At least {_round(found.low)} different images, and no end is in sight: {counted}."
    about = f"about {_round(found.size)} different images (between {_round(found.low)} and {_round(found.high)})"
    if flags:
        return f"It has only {about}: {counted}. A page of {PAGE} is likely to show the same image twice."
    return f"Some of its images come again, as often as if it had {about}: {counted}. That is no collapse" + (
        f", which begins below {_round(limit)} here." if found.low > limit else " beyond doubt."
    )


def _scaled(ends: tuple[float, float], by: float) -> tuple[float, float]:
    return ends[0] * by, ends[1] * by


def _round(size: float) -> str:
    """Three digits that mean something."""
    if not math.isfinite(size):
        return "any number"
    digits = max(0, math.floor(math.log10(max(size, 1))) - 2)
    return f"{round(size, -digits):,.0f}"


def _planted(
    evidence: Evidence, same: Alike, null: Duplicates, n: int
) -> tuple[dict[int, Duplicates], list[Statistic]]:
    """The same count for training images drawn from exactly k: whether known answers are found on these data."""
    made: dict[int, Duplicates] = {}
    statistics = []
    for k in PLANTED:
        if k > len(evidence.train):
            continue
        draw = evidence.rng(f"planted support {k}")
        chosen = torch.randperm(len(evidence.train), generator=draw)[:k][torch.randint(k, (n,), generator=draw)]
        made[k] = duplicates([evidence.features("train", space)[chosen] for space in SPACES], same)
        found = support(made[k], null)
        statistics.append(
            Statistic(
                f"support of {k:,} planted images",
                found.size,
                found.low,
                found.high,
                k,
                n=n,
                unit="images",
                says=f"as found for real images drawn from exactly {k:,}: what this measurement can do here",
            )
        )
    return made, statistics


# --- pictures --------------------------------------------------------------------------------------------------------


def _figures(
    evidence: Evidence,
    same: Alike,
    sample: Duplicates,
    null: Duplicates,
    planted: dict[int, Duplicates],
    made: list[Tensor],
) -> tuple[Figure, ...]:
    found = [_closest(evidence, same, sample, made), _curve(evidence, sample, null, planted)]
    return tuple(figure for figure in found if figure is not None)


def _closest(evidence: Evidence, same: Alike, sample: Duplicates, made: list[Tensor]) -> Figure:
    """The closest pairs, each image shown once, with the nearest training image of the first."""
    if sample.count:
        some = torch.randperm(len(sample.first), generator=evidence.rng("pairs shown"))[:CONSIDERED]
        i, j = sample.first[some], sample.second[some]
        order = (made[0][i] - made[0][j]).norm(dim=1).argsort(stable=True)
        i, j = i[order], j[order]
    else:
        _, i, j = closest_pairs(made[0], CONSIDERED)
    chosen: list[tuple[int, int]] = []
    for a, b in zip(i.tolist(), j.tolist()):
        seen = torch.tensor([image for pair in chosen for image in pair], dtype=torch.long)
        new = made[0][[a, b]]
        if not len(seen) or float(torch.cdist(new, made[0][seen]).min()) > same.thresholds[0]:
            chosen.append((a, b))
        if len(chosen) == SHOWN:
            break
    first, second = (torch.tensor([pair[side] for pair in chosen]) for side in (0, 1))
    trained = nearest(made[0][first], evidence.features("train")).places[:, 0]
    images = torch.stack(
        [evidence.generated.images(first), evidence.generated.images(second), evidence.train.images(trained)], 1
    )
    half = -(-len(chosen) // 2)
    rows = torch.cat([images[:half], images[half:]], 1) if len(chosen) == 2 * half else images
    columns = rows.shape[1]
    titles = ["generated", "generated", "training"] * (columns // 3)
    what = "the same image by both thresholds" if sample.count else "none of them the same image"
    return figures.pictures(
        rows.flatten(0, 1),
        columns,
        "closest-pairs",
        f"The closest pairs among {sample.images:,} generated images, {what}, and the training image nearest to the "
        "first of each. Where the training image differs, repetition is a lack of diversity rather than memory.",
        titles,
    )


def _curve(evidence: Evidence, sample: Duplicates, null: Duplicates, planted: dict[int, Duplicates]) -> Figure | None:
    seed = evidence.seed_of("collision curve")
    counted: dict[str | int, Duplicates] = {"generated": sample, "held_out": null}
    for k, found in planted.items():
        counted[k] = found
    curves = {name: first_collision(pairs, ORDERS, seed) for name, pairs in counted.items()}

    def draw(axes: Axes) -> None:
        sizes = torch.unique(torch.logspace(math.log10(2), math.log10(sample.images), 120).round())
        for name, found in curves.items():
            until = sizes[sizes <= (null.images if name == "held_out" else sample.images)]
            chance = (found[:, None] <= until).double().mean(0)
            if isinstance(name, str):
                axes.plot(until, chance, color=figures.COLOURS[name], label=name.replace("_", "-"))
                continue
            grey, half = figures.COLOURS["null"], float(until[(chance - 0.5).abs().argmin()])
            label = "real images, so many" if name == min(planted) else None
            axes.plot(until, chance, color=grey, linestyle="--", label=label)
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
        axes.set_xlabel("images drawn")
        axes.set_ylabel("chance that two are the same")
        axes.set_ylim(-0.03, 1.03)
        axes.legend(loc="upper left")

    return figures.plot(
        draw,
        "collisions",
        "How likely two of the images drawn so far are the same: generated, held out (all different), and real images "
        "drawn from exactly as many as the dashed lines say.",
    )
