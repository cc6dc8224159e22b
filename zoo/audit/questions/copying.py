"""Does the generator copy training images? These tests can raise an alarm:

1. Equality: generated images that equal a training image, pixel for pixel or mirrored, against how often real images
   equal one another.
2. Exchange: the share of training images among the real images nearest to a generated one, against the share of the
   training set among all real images (see `zoo.audit.statistics.memory`).
3. Closest images: the same exchange for the generated images that are closest to a real one, at the depth at which
   training images are most clearly too many, corrected for that choice (see `zoo.audit.statistics.closest`). So many
   images must also be closer than held-out images are.

The second compares images in features, in pixels and in mirrored pixels, the third also in registered pixels, where
copies may be moved, mirrored, cropped or turned (see `zoo.audit.statistics.registration`). The images that are copies
by the last of these are listed with the training image that they copy (see `zoo.audit.questions.copied_images`).

The copying rate is reported: the share of generated images that are closer to a real image than all but 1 % or 0.1 % of
the held-out images are. One half of these sets the threshold, the other half checks it. C_T, authenticity and the
generalisation gap of FLD are reported beside their values for held-out images. They raise no alarm, because their nulls
do not hold for blurred or partial generators.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.evidence import PIXEL_SIZE, Evidence
from zoo.audit.evidence.images import MIRRORED, digests, mirror_invariant
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder, Handle, HypothesisTest
from zoo.audit.findings.finding import Figure, Finding, NotApplicable
from zoo.audit.findings.formatting import percent
from zoo.audit.questions import copied_images
from zoo.audit.questions.copied_images import add_rate, can_register, list_copies
from zoo.audit.questions.published_copying import CELLS, MIXTURE, SCORED
from zoo.audit.questions.published_copying import add_authenticity as _add_authenticity
from zoo.audit.questions.published_copying import add_data_copying as _add_data_copying
from zoo.audit.questions.published_copying import add_fld_gap as _add_fld_gap
from zoo.audit.statistics import memory
from zoo.audit.statistics.closest import scan
from zoo.audit.statistics.memory import RATIO_RANK, RealNeighbours
from zoo.audit.statistics.significance import ALARM, fisher_exact, holm, wilson, wilson_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Does it copy training images?"

SPACES = ("features", "pixels")
VIEWS = (*SPACES, f"{MIRRORED}pixels")
"""Spaces in which images are compared. A generator trained on flipped images may copy mirrored ones, which are far from
the originals in pixels, and in features only as far as these depend on left and right."""
RATES = (0.001, 0.01)  # shares of the held-out images that are below the thresholds of the copying rate
FEWEST = 50  # images of each origin
SMALLEST_EXCESS = 0.1
"""Smallest excess win rate for an alarm. Training and held-out sets that were not drawn from quite the same
distribution (other writers, another year) stay below it."""
SMALLEST_RATE = 0.005  # smallest copying rate beyond that of held-out images for an alarm: one image in 200
FEWEST_COPIES = 2  # distinct exact copies for an alarm; a single one may be an accident of the data
HINT = 0.01
"""Corrected p-value below which a test is reported as a hint; about one honest generator in a hundred gets one."""
SHOWN = 16  # pairs in the picture


def run(evidence: Evidence) -> Finding:
    """Test for memorisation of training images.

    Raises:
        NotApplicable: if there are too few images.
    """
    sizes = len(evidence.held_out), len(evidence.generated)
    if min(sizes) < FEWEST:
        raise NotApplicable(
            f"copying needs at least {FEWEST} held-out and {FEWEST} generated images; got {sizes[0]:,} and {sizes[1]:,}"
        )
    halves = torch.randperm(len(evidence.held_out), generator=evidence.rng("copying halves"))
    setting, checking = halves[: len(halves) // 2], halves[len(halves) // 2 :]
    finding = Builder("copying", QUESTION)
    copies = _test_equality(finding, evidence)
    win_rates, thresholds = [], {}
    moved = can_register(evidence)
    for space in (*VIEWS, copied_images.SPACE) if moved else VIEWS:
        generated, held_out = (_real_neighbours(evidence, part, space) for part in ("generated", "held_out"))
        win_rates.append(_test_exchange(finding, generated, held_out, space))
        for rate in RATES if space in VIEWS else ():
            threshold = memory.ratio_threshold(held_out.ratios[setting], rate)
            if threshold is not None:
                thresholds[f"threshold at {percent(rate, 1)} in {space}"] = threshold
                _add_copying_rate(finding, generated, held_out.ratios[checking], threshold, rate, space)
        _test_closest(finding, generated, held_out, space)
    if moved:
        add_rate(finding, evidence)
    tests = finding.decide(ALARM, holm)
    listed = list_copies(finding, evidence) if moved else ""
    evidence.report("C_T, authenticity and the generalisation gap of FLD")
    for space in SPACES:
        _add_data_copying(finding, evidence, space, setting, checking)
        _add_authenticity(finding, evidence, space)
    _add_fld_gap(finding, evidence, setting, checking)
    _add_figures(finding, evidence)
    finding.add_protocol(
        {
            "train": len(evidence.train),
            "held_out": sizes[0],
            "generated": sizes[1],
            "extractor": evidence.space,
            "pixels at": min(PIXEL_SIZE, evidence.train.shape[-1]),
            "closeness": f"distance to the nearest real image / distance to the {RATIO_RANK}th nearest",
            "thresholds set on": len(setting),
            "checked on": len(checking),
            **thresholds,
            "p-values, corrected (Holm)": {
                test.statistics[0].statistic.name: float(f"{test.corrected_p:.2g}") for test in tests
            },
            "alarm at": f"corrected p below {ALARM:g}, and an excess win rate of {percent(SMALLEST_EXCESS)}, "
            f"{percent(SMALLEST_RATE, 1)} more close images than the null, or {FEWEST_COPIES} exact copies",
            "C_T": f"{CELLS} cells, 64 principal components",
            "FLD": f"up to {MIXTURE:,} centres, {SCORED:,} images",
            "seed": evidence.seed,
        }
    )
    answer = f"{_answer(tests, copies, win_rates[0])} {listed}".rstrip()
    return finding.build(answer, note=_hint(tests) is not None)


def _hint(tests: list[HypothesisTest]) -> HypothesisTest | None:
    """Return the test with the smallest corrected p-value, or None if that is not below HINT."""
    return min((test for test in tests if test.corrected_p < HINT), default=None, key=lambda test: test.corrected_p)


def _answer(tests: list[HypothesisTest], copies: Handle, win_rate: Handle) -> str:
    """Return the answer as text: the alarms (the first, and the first of another kind), a hint, or the null results."""
    raised = [test for test in tests if test.raised]
    if raised:
        others = [test for test in raised if test.kind != raised[0].kind]
        return " ".join(test.answer for test in raised[:1] + others[:1])
    hint = _hint(tests)
    if hint:
        why = f"the corrected p-value is {hint.corrected_p:.1g}, and an alarm requires one below {ALARM:g}"
        if hint.corrected_p < ALARM:
            why = "so small an effect also arises if training and held-out sets differ slightly in distribution"
        return f"A hint, no alarm. {hint.answer} However, {why}."
    share, excess = copies.statistic.value, win_rate.statistic
    exact = "there are no exact copies"
    if share:
        exact = f"only {share:.2g} % are exact copies, too few to rule out coincidence"
    return (
        "No sign of copying: the real images nearest to generated ones are training images no more often than expected "
        f"by chance (excess {excess.value:+.1f} %, 95 % interval {excess.low:.1f} to {excess.high:.1f} %); {exact}."
    )


def _test_equality(finding: Builder, evidence: Evidence) -> Handle:
    """Add a test for generated images that equal a training image, plain or mirrored; return its handle."""
    train, generated = (digests(part) for part in (evidence.train, evidence.generated))
    train_counts = Counter(mirror_invariant(train, evidence.train))
    drawn = Counter(mirror_invariant(generated, evidence.generated))
    copies = [image for image in drawn if image in train_counts]
    share = sum(drawn[image] for image in copies) / len(evidence.generated)
    known = set(train)
    mirrored = sum(drawn[image] for image in copies) - sum(image in known for image in generated)
    twins = sum(count for count in train_counts.values() if count > 1)
    real = len(evidence.train) + len(evidence.held_out)
    low, high = wilson(len(copies), len(drawn))
    how = f"pixel for pixel, {mirrored:,} of them mirrored" if mirrored else "pixel for pixel"
    statistic = finding.add_statistic(
        "exact copies",
        (100 * share, 100 * low, 100 * high) if len(drawn) == len(generated) else 100 * share,
        null=wilson_percent(twins, real),
        n=len(evidence.generated),
        unit="%",
        description=f"equal to a training image, {how} ({len(copies):,} distinct); null: real images equal to another",
    )
    reason = f"{percent(share, 1)} of the generated images are training images, {how}"
    finding.add_test(
        statistic,
        p=fisher_exact(len(copies), len(drawn), twins, real),
        effect_matters=len(copies) >= FEWEST_COPIES,
        verdict="memorising",
        reason=reason,
        kind="equality",
        answer=f"{reason} ({len(copies):,} distinct); {percent(twins / real, 1)} of the real images equal another one.",
    )
    return statistic


def _test_exchange(finding: Builder, generated: RealNeighbours, held_out: RealNeighbours, space: str) -> Handle:
    """Add a test whether the real images nearest to generated ones are too often training images; return its handle.

    In registered pixels the statistic is added without a test.
    """
    test = generated.exchange()
    value, low, high = test.excess
    null, null_low, null_high = held_out.exchange().excess
    rate, expected = percent(test.win_rate, 1), percent(test.expected, 1)
    statistic = finding.add_statistic(
        f"excess train-set win rate in {space}",
        (100 * value, 100 * low, 100 * high),
        null=(100 * null, 100 * null_low, 100 * null_high),
        n=test.winners,
        unit="%",
        description=f"train-set win rate: {rate} of the {test.winners:,} real images nearest to a generated one are "
        f"training images, {expected} expected by chance; excess: (rate - expected) / (1 - expected)",
    )
    if space not in VIEWS:  # its test of the closest images says more
        return statistic
    finding.add_test(
        statistic,
        p=test.p,
        effect_matters=value >= SMALLEST_EXCESS,
        verdict="memorising",
        reason=f"{rate} of the real images nearest to generated ones are training images, {expected} expected",
        kind="exchange",
        answer=f"Generated images are closer to training images than to held-out ones: {rate} of the real images "
        f"nearest to a generated one (in {space}) are training images, {expected} expected by chance.",
    )
    return statistic


def _add_copying_rate(
    finding: Builder, generated: RealNeighbours, checking: Tensor, threshold: float, rate: float, space: str
) -> None:
    """Add the share of generated ratios below a threshold, beside that of held-out ones, `checking` (M,)."""
    close = generated.ratios <= threshold
    test = generated.exchange(close)
    finding.add_statistic(
        f"copying rate at {percent(rate, 1)} in {space}",
        wilson_percent(int(close.sum()), len(close)),
        null=wilson_percent(int((checking <= threshold).sum()), len(checking)),
        n=len(close),
        unit="%",
        description=f"generated images unusually close to one real image; {test.train_winners:,} of these "
        f"{test.winners:,} real images are training images ({percent(test.expected, 1)} expected by chance)",
    )


def _test_closest(finding: Builder, generated: RealNeighbours, held_out: RealNeighbours, space: str) -> None:
    """Add a test whether the real images that generated ones are closest to are too often training images."""
    close = scan(generated, held_out.ratios)
    exchange = close.exchange
    statistic = finding.add_statistic(
        f"closest images in {space}",
        wilson_percent(close.hits, close.n),
        null=wilson_percent(close.null_hits, close.null_n),
        n=close.n,
        unit="%",
        description=f"the generated images that are closest to a real one, as many as show most clearly whether they "
        f"copy; {exchange.train_winners:,} of these {exchange.winners:,} real images are training images "
        f"({percent(exchange.expected, 1)} expected by chance); null: held-out images that are as close",
    )
    reason = f"{percent(close.hits / close.n, 1)} of the generated images are unusually close to a training image"
    reason += ", moved or not" if space not in VIEWS else ""
    finding.add_test(
        statistic,
        p=close.p,
        effect_matters=close.excess >= SMALLEST_RATE,
        verdict="memorising",
        reason=reason,
        kind="rate",
        answer=f"{reason} (in {space}); {percent(close.null_hits / close.null_n, 1)} of the held-out images are as "
        "close to any real image.",
    )


def _real_neighbours(evidence: Evidence, queries: str, view: str) -> RealNeighbours:
    """Find the real images nearest to `queries` (`generated` or `held_out`), in one of the VIEWS or registered."""
    if view == copied_images.SPACE:
        return copied_images.registered_neighbours(evidence, queries)
    space = view.removeprefix(MIRRORED)
    queries = queries if space == view else f"{MIRRORED}{queries}"
    nearest = [evidence.nearest(queries, references, RATIO_RANK, space) for references in ("train", "held_out")]
    return memory.real_neighbours(nearest[0], nearest[1], len(evidence.train), len(evidence.held_out))


def _add_figures(finding: Builder, evidence: Evidence) -> None:
    """Add the closest pairs, and how distances and their ratios are distributed."""
    generated, held_out = (_real_neighbours(evidence, part, "features") for part in ("generated", "held_out"))
    finding.add_figure(_closest_pairs(evidence, generated))
    fake = evidence.nearest("generated", "train", RATIO_RANK).distances[:, 0]
    real = evidence.nearest("held_out", "train", RATIO_RANK).distances[:, 0]
    caption = (
        "Share of images closer to a training image than a distance in feature space. If the curve of generated images "
        "is above that of held-out images throughout, the generator copies or blurs."
    )
    finding.add_figure(_cumulative(fake, real, "distances", "distance to the nearest training image", caption))
    label = f"distance to the nearest real image / to the {RATIO_RANK}th"
    caption = "Share of images below a relative distance. Copies are a step on the left that held-out images lack."
    finding.add_figure(_cumulative(generated.ratios, held_out.ratios, "remarkably-near", label, caption))


def _closest_pairs(evidence: Evidence, generated: RealNeighbours) -> Figure:
    """Draw the generated images that are closest to a training image, each training image once."""
    nearest = evidence.nearest("generated", "train", RATIO_RANK)
    own = (generated.winners < generated.train).nonzero()[:, 0]
    order = own if len(own) else torch.arange(len(generated.winners))
    order = order[torch.from_numpy(np.lexsort((nearest.distances[order, 0].numpy(), generated.ratios[order].numpy())))]
    chosen: dict[int, int] = {}
    for query in order.tolist():
        chosen.setdefault(int(nearest.indices[query, 0]), query)
        if len(chosen) == SHOWN:
            break
    return figures.pairs(
        evidence.generated.images(torch.tensor(list(chosen.values()))),
        evidence.train.images(torch.tensor(list(chosen))),
        "nearest-training-images",
        "The generated images that are unusually close to a training image, closest first, and below each of them that "
        "training image. Each training image is shown once.",
        ("generated", "training"),
    )


def _cumulative(generated: Tensor, held_out: Tensor, name: str, label: str, caption: str) -> Figure | None:
    """Plot cumulative distributions of values of generated (N,) and held-out images (M,); None without matplotlib."""

    def draw(axes: Axes) -> None:
        for part, values in (("held_out", held_out), ("generated", generated)):
            ordered = values.sort().values
            shares = torch.arange(1, len(ordered) + 1) / len(ordered)
            axes.step(ordered, shares, where="post", color=figures.COLOURS[part], label=part.replace("_", "-"))
        axes.set(xlabel=label, ylabel="share of images")
        axes.set_xlim(left=0)
        axes.legend(loc="upper left")

    return figures.plot(draw, name, caption)
