"""Does it copy training images? Whether it is nearer to them than to others of their kind, and by how much."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.evidence import PIXEL_SIZE, Evidence
from zoo.audit.evidence.images import MIRRORED, ImageSet, digests
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic, Verdict
from zoo.audit.findings.words import percent
from zoo.audit.statistics.fld import generalisation_gap
from zoo.audit.statistics.memory import AROUND, Surroundings, authentic, data_copying, project, surroundings, threshold
from zoo.audit.statistics.significance import ALARM, Z95, holm, shares_differ, wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Does it copy training images?"

SPACES = ("features", "pixels")
VIEWS = (*SPACES, f"{MIRRORED}pixels")
"""What images are compared in. A generator that learnt mirrored images may copy mirrored ones, which lie far from their
originals in pixels, and in features only as far as those know left from right."""
RATES = (0.001, 0.01)  # at which held-out images are remarkably near to a real one
LEAST = 50  # images of each origin
SHARE_MATTERS = 0.1
"""Least share of images won from memory that rings: what a training set and a held-out set that were not quite drawn
alike (other writers, another year) may pretend to, stays below."""
RATE_MATTERS = 0.005  # least copying rate beyond held-out images' that rings: one image in 200
HINT = 0.01
"""Corrected p-value of what is told without ringing: one honest generator in a hundred hears of it."""
COPIES_MATTER = 2  # different exact copies; a single one may be an accident of the data
CELLS = 5  # of C_T
MIXTURE, SCORED = 500, 1_000  # centres of the mixture of Gaussians; images of each kind that it is held against
SHOWN = 16


@dataclass(frozen=True)
class _Test:
    """One that can ring: its kind, its statistic's place, p-value, whether the effect matters, and what it says."""

    kind: str
    place: int
    p: float
    matters: bool
    flag: str
    answer: str


def ask(evidence: Evidence) -> Finding:
    """Tests that ring only for memory of training images, and the usual statistics beside them.

    1. Exchange: of the real images that are nearest to something generated, how many are training images? By chance, as
       many as the training set's share of all real images. (See `zoo.audit.statistics.memory`.)
    2. Copying rate: how many images are remarkably near to a real one, nearer than all but 1 % or 0.1 % of the held-out
       images? One half of these sets the threshold, the other half checks it; and those real images must be training
       images more often than by chance, else the generator only draws what looks alike.
    3. Equality, pixel for pixel or mirrored, against how often real images are equal.

    Companions, which never ring, as their nulls do not hold for blurred or partial generators: C_T, authenticity, and
    the generalisation gap of FLD, each beside its value for held-out images posing as generated.
    """
    for part in ("held_out", "generated"):
        if len(evidence.part(part)) < LEAST:
            raise NotApplicable(
                f"copying is judged by at least {LEAST} held-out and {LEAST} generated images; "
                f"{part.replace('_', '-')} ones: {len(evidence.part(part))}"
            )
    halves = torch.randperm(len(evidence.held_out), generator=evidence.rng("copying halves"))
    setting, checking = halves[: len(halves) // 2], halves[len(halves) // 2 :]
    statistics: list[Statistic] = []
    tests: list[_Test] = []
    thresholds: dict[str, float] = {}
    _equal(evidence, statistics, tests)
    for space in VIEWS:
        made, real = _surroundings(evidence, "generated", space), _surroundings(evidence, "held_out", space)
        _exchange(made, real, space, statistics, tests)
        for rate in RATES:
            limit = threshold(real.ratios[setting], rate)
            if limit is not None:
                thresholds[f"threshold at {percent(rate, 1)} in {space}"] = limit
                _near(made, real.ratios[checking], limit, rate, space, statistics, tests)
    corrected = holm(np.array([test.p for test in tests]))
    ringing = [test for test, p in zip(tests, corrected) if p < ALARM and test.matters]
    for test in ringing:
        statistics[test.place] = Statistic(**{**vars(statistics[test.place]), "alarm": True})
    evidence.report("C_T, authenticity and the gap of FLD")
    for space in SPACES:
        statistics += _companions(evidence, space, setting, checking)
    statistics.append(_gap(evidence, setting, checking))
    flags: dict[Verdict, str] = {"memorising": ringing[0].flag} if ringing else {}
    hint = min(((p, test) for test, p in zip(tests, corrected) if p < HINT), default=None, key=lambda pair: pair[0])
    return Finding(
        "copying",
        QUESTION,
        "alarm" if ringing else "note" if hint else "passed",
        _answer(ringing, hint, statistics),
        tuple(statistics),
        flags,
        _figures(evidence),
        {
            "train": len(evidence.train),
            "held_out": len(evidence.held_out),
            "generated": len(evidence.generated),
            "extractor": evidence.space,
            "pixels at": min(PIXEL_SIZE, evidence.train.pixels.shape[-1]),
            "remarkably near": f"by distance to the nearest real image over that to the {AROUND}th nearest",
            "thresholds set on": len(setting),
            "checked on": len(checking),
            **thresholds,
            "p-values, corrected (Holm)": {
                statistics[test.place].name: float(f"{p:.2g}") for test, p in zip(tests, corrected)
            },
            "rings at": f"corrected p below {ALARM:g}, and a share of {percent(SHARE_MATTERS)} or a rate of "
            f"{percent(RATE_MATTERS, 1)} beyond the null's or {COPIES_MATTER} exact copies",
            "C_T": f"{CELLS} cells, 64 principal components",
            "FLD": f"up to {MIXTURE:,} centres, {SCORED:,} images",
            "seed": evidence.seed,
        },
    )


def _answer(ringing: list[_Test], hint: tuple[float, _Test] | None, statistics: list[Statistic]) -> str:
    if ringing:
        return " ".join(test.answer for test in _plainest(ringing))
    if hint:
        p, test = hint
        why = f"the corrected p is {p:.1g}, and an alarm takes one below {ALARM:g}"
        if p < ALARM:
            why = "so small an effect also comes of a training and a held-out set that were not quite drawn alike"
        return f"A hint, no alarm. {test.answer} But {why}."
    exact, share = statistics[0], next(s for s in statistics if s.name.startswith("won from memory"))
    assert share.low is not None
    copies = "none is an exact copy"
    if exact.value:
        copies = f"{exact.value:.2g} % are exact copies, too few to tell from accidents"
    return (
        "No sign of it: the real image nearest to a generated one is a training image no more often than chance allows "
        f"({share.value:+.1f} % beyond their share, interval {share.low:.1f} to {share.high:.1f} %), and {copies}."
    )


def _plainest(ringing: list[_Test]) -> list[_Test]:
    """The first, and the first of another kind."""
    return ringing[:1] + [test for test in ringing if test.kind != ringing[0].kind][:1]


# --- tests that can ring ---------------------------------------------------------------------------------------------


def _equal(evidence: Evidence, statistics: list[Statistic], tests: list[_Test]) -> None:
    """Different images that equal a training image, as it is or mirrored, against twins within the training set."""
    as_they_are = [digests(part) for part in (evidence.train, evidence.generated)]
    times, drawn = (
        Counter(_either_way(plain, part)) for plain, part in zip(as_they_are, (evidence.train, evidence.generated))
    )
    copies = [image for image in drawn if image in times]
    share = sum(drawn[image] for image in copies) / len(evidence.generated)
    known = set(as_they_are[0])
    mirrored = sum(drawn[image] for image in copies) - sum(image in known for image in as_they_are[1])
    twins = sum(count for count in times.values() if count > 1)
    real = len(evidence.train) + len(evidence.held_out)
    low, high = wilson(len(copies), len(drawn))
    several = len(drawn) == len(evidence.generated)
    how = f"pixel for pixel, {mirrored:,} of them mirrored" if mirrored else "pixel for pixel"
    statistics.append(
        Statistic(
            "exact copies",
            100 * share,
            100 * low if several else None,
            100 * high if several else None,
            100 * twins / real,
            *_hundredfold(wilson(twins, real)),
            n=len(evidence.generated),
            unit="%",
            says=f"images equal to a training image, {how} ({len(copies):,} different ones); beside it, how often "
            "real images equal one",
        )
    )
    words = f"{percent(share, 1)} of its images are training images, {how}"
    tests.append(
        _Test(
            "equality",
            len(statistics) - 1,
            shares_differ(len(copies), len(drawn), twins, real),
            len(copies) >= COPIES_MATTER,
            words,
            f"{words} ({len(copies):,} different ones); real images equal one another in {percent(twins / real, 1)}.",
        )
    )


def _either_way(plain: list[bytes], part: ImageSet) -> list[bytes]:
    """Digests that are the same for an image and its mirror image, from a part's own digests."""
    return [min(both) for both in zip(plain, digests(part.mirrored()))]


def _exchange(
    made: Surroundings, real: Surroundings, space: str, statistics: list[Statistic], tests: list[_Test]
) -> None:
    found, null = made.exchange(), real.exchange()
    value, low, high = found.excess
    share = found.trained / max(1, found.winners)
    statistics.append(
        Statistic(
            f"won from memory in {space}",
            100 * value,
            100 * low,
            100 * high,
            100 * null.excess[0],
            100 * null.excess[1],
            100 * null.excess[2],
            n=found.winners,
            unit="%",
            says=f"of the {found.winners:,} real images nearest to something generated, {percent(share, 1)} "
            f"are training images, where chance gives {percent(found.chance, 1)}: the excess, out of what it could be",
        )
    )
    tests.append(
        _Test(
            "exchange",
            len(statistics) - 1,
            found.p,
            value >= SHARE_MATTERS,
            f"{percent(share, 1)} of the real images nearest to its own are training images, "
            f"where chance gives {percent(found.chance, 1)}",
            f"Its images are nearer to training images than to others of their kind: the nearest real image (by "
            f"{space}) is a training image for {percent(share, 1)}, where chance gives "
            f"{percent(found.chance, 1)}.",
        )
    )


def _near(
    made: Surroundings,
    checking: Tensor,
    limit: float,
    rate: float,
    space: str,
    statistics: list[Statistic],
    tests: list[_Test],
) -> None:
    near = made.ratios <= limit
    hits, n = int(near.sum()), len(near)
    null, m = int((checking <= limit).sum()), len(checking)
    found = made.exchange(near)
    statistics.append(
        Statistic(
            f"copying rate at {percent(rate, 1)} in {space}",
            100 * hits / n,
            *_hundredfold(wilson(hits, n)),
            100 * null / m,
            *_hundredfold(wilson(null, m)),
            n=n,
            unit="%",
            says=f"images remarkably near to one real image; {found.trained:,} of the {found.winners:,} real images "
            f"are training images (chance: {percent(found.chance, 1)})",
        )
    )
    words = f"{percent(hits / n, 1)} of its images are remarkably near to a training image"
    tests.append(
        _Test(
            "rate",
            len(statistics) - 1,
            max(shares_differ(hits, n, null, m), found.p),
            hits / n - null / m >= RATE_MATTERS,
            words,
            f"{words} (by {space}), where {percent(null / m, 1)} of new images are as near to any real image.",
        )
    )


def _surroundings(evidence: Evidence, queries: str, view: str) -> Surroundings:
    space = view.removeprefix(MIRRORED)
    queries = queries if space == view else f"{MIRRORED}{queries}"
    near = [evidence.nearest(queries, references, AROUND, space) for references in ("train", "held_out")]
    return surroundings(near[0], near[1], len(evidence.train), len(evidence.held_out))


def _hundredfold(ends: tuple[float, float]) -> tuple[float, float]:
    return 100 * ends[0], 100 * ends[1]


# --- companions ------------------------------------------------------------------------------------------------------


def _companions(evidence: Evidence, space: str, setting: Tensor, checking: Tensor) -> list[Statistic]:
    """C_T and authenticity."""
    train, held_out, generated = (evidence.features(part, space) for part in ("train", "held_out", "generated"))
    t, h, g = project(train, held_out, generated)
    seed = evidence.seed_of("C_T")
    found, null = data_copying(t, h, g, CELLS, seed), data_copying(t, h[checking], h[setting], CELLS, seed)
    statistics = []
    if found.cells:
        reach = Z95 * found.deviation
        statistics.append(
            Statistic(
                f"C_T in {space}",
                found.value,
                found.value - reach,
                found.value + reach,
                null.value if null.cells else 0.0,
                -reach,
                reach,
                n=len(g),
                says="far below 0: nearer to training images than held-out ones are, as copies are and blurred images "
                "too; never rings by itself",
            )
        )
    real = authentic(evidence.nearest("held_out", "train", AROUND, space), train)
    made = authentic(evidence.nearest("generated", "train", AROUND, space), train)
    shares = [(int(x.sum()), len(x)) for x in (made, real)]
    (value, low, high), (null_value, null_low, null_high) = (
        (100 * hits / n, *_hundredfold(wilson(hits, n))) for hits, n in shares
    )
    statistics.append(
        Statistic(
            f"authentic in {space}",
            value,
            low,
            high,
            null_value,
            null_low,
            null_high,
            n=len(made),
            unit="%",
            says="images farther from their nearest training image than that one is from its nearest other; never "
            "rings by itself",
        )
    )
    return statistics


def _gap(evidence: Evidence, setting: Tensor, checking: Tensor) -> Statistic:
    train, held_out, generated = (evidence.features(part) for part in ("train", "held_out", "generated"))
    draw = evidence.rng("mixture")
    known = train[torch.randperm(len(train), generator=draw)[:SCORED]]
    new = held_out[checking[:SCORED]]
    centres = min(MIXTURE, len(generated), len(setting))
    made = generated[torch.randperm(len(generated), generator=draw)[:centres]]
    found = generalisation_gap(made, known, new)
    null = generalisation_gap(held_out[setting[:centres]], known, new)
    return Statistic(
        "generalisation gap of FLD",
        *found,
        *null,
        n=centres,
        says="far below 0: a density made of generated images fits training images better than new ones; never rings "
        "by itself",
    )


# --- pictures --------------------------------------------------------------------------------------------------------


def _figures(evidence: Evidence) -> tuple[Figure, ...]:
    made, real = (_surroundings(evidence, part, "features") for part in ("generated", "held_out"))
    near = evidence.nearest("generated", "train", AROUND)
    found = [
        _closest(evidence, made),
        _cumulative(
            near.distances[:, 0],
            evidence.nearest("held_out", "train", AROUND).distances[:, 0],
            "distances",
            "distance to the nearest training image",
            "Share of images that are nearer to a training image than a distance in features. Generated above held-out "
            "on the whole: it copies, or it blurs.",
        ),
        _cumulative(
            made.ratios,
            real.ratios,
            "remarkably-near",
            f"distance to the nearest real image / to the {AROUND}th",
            "Share of images below a relative distance. Copies are a step at the left, where held-out images are not.",
        ),
    ]
    return tuple(figure for figure in found if figure is not None)


def _closest(evidence: Evidence, made: Surroundings) -> Figure:
    """The most remarkable pairs, each training image once."""
    near = evidence.nearest("generated", "train", AROUND)
    own = (made.winners < made.train).nonzero()[:, 0]
    order = own if len(own) else torch.arange(len(made.winners))
    order = order[torch.from_numpy(np.lexsort((near.distances[order, 0].numpy(), made.ratios[order].numpy())))]
    chosen: dict[int, int] = {}
    for query in order.tolist():
        chosen.setdefault(int(near.places[query, 0]), query)
        if len(chosen) == SHOWN:
            break
    return figures.pairs(
        evidence.generated.images(torch.tensor(list(chosen.values()))),
        evidence.train.images(torch.tensor(list(chosen))),
        "nearest-training-images",
        "The generated images that are most remarkably near to a training image, the nearest first; below each, that "
        "training image. Every training image is shown once.",
        ("generated", "training"),
    )


def _cumulative(made: Tensor, real: Tensor, name: str, label: str, caption: str) -> Figure | None:
    def draw(axes: Axes) -> None:
        for part, values in (("held_out", real), ("generated", made)):
            ordered = values.sort().values
            shares = torch.arange(1, len(ordered) + 1) / len(ordered)
            axes.step(ordered, shares, where="post", color=figures.COLOURS[part], label=part.replace("_", "-"))
        axes.set_xlabel(label)
        axes.set_ylabel("share of images")
        axes.set_xlim(left=0)
        axes.legend(loc="upper left")

    return figures.plot(draw, name, caption)
