"""Does the discriminator generalise? Its scores on training, held-out and generated images.

Brock et al. 2019 (arXiv:1809.11096, appendix) found BigGAN's discriminator right on more than 98 % of the training and
50 to 55 % of the validation images, by the sign of its scores. Karras et al. 2020 (arXiv:2006.06676, eq. 1) summarise
the same in the heuristics r_v and r_t. The AUC of training against held-out images needs no threshold, so only it can
raise an alarm.

Accuracy is measured with the subject's `zero`, its undecided score, as the threshold. A critic has none, so the
midpoint between the mean scores of held-out and of generated images is used, which does not depend on training images.
r_t of a critic compares the scores of training images with those of generated ones, pair by pair, as relativistic
losses do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Figure, Finding, NotApplicable
from zoo.audit.findings.formatting import percent
from zoo.audit.statistics.significance import ALARM, Z95, auc, holm, mann_whitney, wilson_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Does the discriminator generalise?"

PARTS = {"train": "training", "held_out": "held-out", "generated": "generated"}
FEWEST = 50  # images of each origin
SMALLEST_AUC = 0.6
"""Smallest AUC of training against held-out images for an alarm. Below it, the discriminator favours training images so
little that its gradients hardly point to them. On small sets whose images it has seen a thousand times each, it is
above 0.9."""
SMALLEST_DISTANCE = 4.0  # standard errors between the means of training and generated scores for r_v to be computed


def run(evidence: Evidence) -> Finding:
    """Compare the discriminator's scores of held-out images with those of training and of generated images.

    Raises:
        NotApplicable: without a discriminator or the classes it needs, or if there are too few images.
    """
    scores = _scores(evidence)
    train, held_out, generated = (scores[part] for part in PARTS)
    zero = evidence.subject.zero
    bound = float((held_out.mean() + generated.mean()) / 2) if zero is None else zero
    order = torch.randperm(len(held_out), generator=evidence.rng("discriminator halves"))
    halves = held_out[order[: len(order) // 2]], held_out[order[len(order) // 2 :]]
    finding = Builder("discriminator", QUESTION)
    area = auc(train, held_out)
    p = mann_whitney(train, held_out, "greater")
    preference = finding.add_statistic(
        "AUC of training against held-out images",
        area,
        null=auc(*halves),
        n=len(train) + len(held_out),
        description="probability that a training image scores higher than a held-out one; null: one half of the "
        "held-out images against the other",
    )
    finding.add_test(
        preference,
        p=p,
        effect_matters=area[0] >= SMALLEST_AUC,
        verdict="discriminator overfitted",
        reason=f"training images score higher than held-out ones in {percent(area[0])} of pairs",
    )
    (test,) = finding.decide(ALARM, holm)
    accuracies = _add_accuracies(finding, scores, bound)
    _add_gap(finding, train, held_out, halves)
    _add_heuristics(finding, scores, halves, zero)
    for name, values in (("training", train), ("held-out", held_out)):
        finding.add_statistic(
            f"AUC of {name} against generated images", auc(values, generated), n=len(values) + len(generated)
        )
    finding.add_figure(_histograms(scores, bound, zero))
    midpoint = "no zero: the midpoint between the mean scores of held-out and of generated images"
    finding.add_protocol(
        {
            **{part: len(scores[part]) for part in PARTS},
            "mode": "eval",
            "accuracy threshold": bound,
            "origin of the threshold": "the subject's zero" if zero is not None else midpoint,
            "p": p,
            "alarm at": f"p below {ALARM:g} and an AUC of at least {SMALLEST_AUC}",
            "seed": evidence.seed,
        }
    )
    return finding.build(_answer(area[0], accuracies, test.raised, p < ALARM), note=p < ALARM)


def _scores(evidence: Evidence) -> dict[str, Tensor]:
    """Compute the scores of all held-out and generated images, and of as many training images as held-out ones.

    Raises:
        NotApplicable: without a discriminator or the classes it needs, or if there are too few images.
    """
    if not evidence.subject.scores:
        raise NotApplicable("the subject has no discriminator: give it score(images) -> (B,)")
    for name, origin in PARTS.items():
        part = evidence.part(name)
        if evidence.subject.num_classes and part.labels is None:
            raise NotApplicable(
                f"a discriminator of {evidence.subject.num_classes} classes needs the classes of the {origin} images: "
                "give labels"
            )
        if len(part) < FEWEST:
            raise NotApplicable(
                f"the question needs at least {FEWEST} images of each origin; number of {origin} images: {len(part)}"
            )
    others = {name: evidence.scores(name) for name in ("held_out", "generated")}

    def score_subset() -> Tensor:
        n = max(len(evidence.held_out), FEWEST)
        chosen = torch.randperm(len(evidence.train), generator=evidence.rng("scored training images"))[:n]
        part = evidence.train.take(chosen)
        return evidence.subject.score(part.images(), part.labels)

    scores = {"train": evidence.once(("scores", "some training images"), score_subset), **others}
    for name, values in scores.items():
        if not bool(values.isfinite().all()):
            raise NotApplicable(f"some scores of {PARTS[name]} images are not finite")
    return scores


def _add_accuracies(finding: Builder, scores: dict[str, Tensor], bound: float) -> dict[str, float]:
    """Add the accuracy of each origin with the score `bound` as the threshold; return the accuracies in percent."""
    accuracies = {}
    for name, values in scores.items():
        real = name != "generated"
        right = int((values > bound).sum() if real else (values < bound).sum())
        accuracy = wilson_percent(right, len(values))
        finding.add_statistic(
            f"accuracy on {PARTS[name]} images",
            accuracy,
            n=len(values),
            unit="%",
            description=f"share of scores {'above' if real else 'below'} {bound:.3g}",
        )
        accuracies[name] = accuracy[0]
    return accuracies


def _add_gap(finding: Builder, train: Tensor, held_out: Tensor, halves: tuple[Tensor, Tensor]) -> None:
    """Add the difference between the mean scores of training and held-out images, in standard deviations (Cohen's d).

    Its standard error is sqrt(1/n + 1/m + d^2 / (2 (n + m))) (Hedges and Olkin 1985).
    """

    def effect_size(x: Tensor, y: Tensor) -> tuple[float, float, float]:
        deviation = float(((x.double().var() + y.double().var()) / 2).sqrt())
        if not deviation:
            return 0.0, 0.0, 0.0
        value = float(x.double().mean() - y.double().mean()) / deviation
        error = (1 / len(x) + 1 / len(y) + value**2 / (2 * (len(x) + len(y)))) ** 0.5
        return value, value - Z95 * error, value + Z95 * error

    finding.add_statistic(
        "gap of mean scores",
        effect_size(train, held_out),
        null=effect_size(*halves),
        n=len(train) + len(held_out),
        unit="SD",
        description="mean score of training images - that of held-out images, in standard deviations of the scores",
    )


def _add_heuristics(
    finding: Builder, scores: dict[str, Tensor], halves: tuple[Tensor, Tensor], zero: float | None
) -> None:
    """Add r_t and r_v of Karras et al. 2020: 0 if the discriminator generalises, 1 if it overfits completely.

    r_t = E[sign(D(train))] and r_v = (E[D(train)] - E[D(held-out)]) / (E[D(train)] - E[D(generated)]). D is the score
    less `zero`; if that is None, as for a critic, r_t is the mean sign of D(train) - D(generated) over all pairs.
    r_v is left out unless its denominator is above SMALLEST_DISTANCE standard errors.
    """
    train, held_out, generated = (scores[part].double() for part in PARTS)
    if zero is None:
        r_t, null = _mean_sign_of_pairs(train, generated), _mean_sign_of_pairs(held_out, generated)
        description = "for a critic: mean sign of the score of a training image - that of a generated image"
    else:
        r_t, null = _mean((train - zero).sign()), _mean((held_out - zero).sign())
        description = "mean sign of the scores of training images; 0 if as many are below zero as above"
    finding.add_statistic("r_t", r_t, null=null, n=len(train), description=f"{description}; null: held-out images")
    distance = train.mean() - generated.mean()
    error = (train.var() / len(train) + generated.var() / len(generated)).sqrt()
    if distance > SMALLEST_DISTANCE * error:  # otherwise r_v would divide noise by noise
        finding.add_statistic(
            "r_v",
            _ratio(train, held_out, generated),
            null=_scaled_difference(*halves, float(distance)),
            n=sum(map(len, scores.values())),
            description="(training - held-out) / (training - generated) of the mean scores; 1 if held-out images score "
            "like generated ones",
        )


def _mean(values: Tensor) -> tuple[float, float, float]:
    """Return the mean of values (N,) in [-1, 1] with its 95 % interval."""
    value, error = float(values.mean()), float(values.std()) / len(values) ** 0.5
    return value, max(-1.0, value - Z95 * error), min(1.0, value + Z95 * error)


def _mean_sign_of_pairs(x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """Return the mean of sign(x - y) over all pairs, 2 AUC - 1, with its 95 % interval."""
    value, low, high = auc(x, y)
    return 2 * value - 1, 2 * low - 1, 2 * high - 1


def _scaled_difference(x: Tensor, y: Tensor, scale: float) -> tuple[float, float, float]:
    """Return (mean(x) - mean(y)) / scale with its 95 % interval."""
    value, error = float(x.mean() - y.mean()) / scale, float((x.var() / len(x) + y.var() / len(y)).sqrt()) / scale
    return value, value - Z95 * error, value + Z95 * error


def _ratio(train: Tensor, held_out: Tensor, generated: Tensor) -> tuple[float, float, float]:
    """Return r_v with its 95 % interval by the delta method."""
    means = [x.mean() for x in (train, held_out, generated)]
    variances = [x.var() / len(x) for x in (train, held_out, generated)]
    distance = means[0] - means[2]
    value = (means[0] - means[1]) / distance
    slopes = [(1 - value) / distance, -1 / distance, value / distance]
    error = sum((slope**2 * variance for slope, variance in zip(slopes, variances)), torch.zeros(())).sqrt()
    return float(value), float(value - Z95 * error), float(value + Z95 * error)


def _answer(area: float, accuracies: dict[str, float], raised: bool, significant: bool) -> str:
    """Return the answer as text: whether training images score higher than held-out ones, and by how much."""
    numbers = (
        f"it is right on {accuracies['train']:.0f} % of the training images and {accuracies['held_out']:.0f} % of the "
        f"held-out ones, and training images score higher than held-out ones in {percent(area)} of pairs (50 % if it "
        "cannot distinguish them)"
    )
    if raised:
        return f"No: {numbers}. It has memorised its training images and pulls the generator towards them."
    if significant:
        return f"Mostly: {numbers}. It favours training images, but by less than would show in generated images."
    return f"Yes, it scores new real images like those it was trained on: {numbers}."


def _histograms(scores: dict[str, Tensor], bound: float, zero: float | None) -> Figure | None:
    """Plot histograms of the scores of each origin; None without matplotlib."""

    def draw(axes: Axes) -> None:
        merged = torch.cat(list(scores.values()))
        low, high = (float(merged.double().quantile(q)) for q in (0.002, 0.998))
        margin = max(high - low, 1e-6) * 0.03
        edges = torch.linspace(low - margin, high + margin, 51).tolist()
        for name, values in scores.items():
            weights = torch.full((len(values),), 100 / len(values)).tolist()
            axes.hist(
                values.clamp(edges[0], edges[-1]).tolist(),
                edges,
                weights=weights,
                histtype="step",
                linewidth=1.6,
                color=figures.COLOURS[name],
                label=PARTS[name],
            )
        axes.axvline(bound, color=figures.COLOURS["null"], linestyle="--", linewidth=1)
        axes.set(xlabel="score (higher: more real)", ylabel="% of images")
        axes.legend()

    line = "its zero" if zero is not None else "the midpoint between the mean scores of held-out and generated images"
    return figures.plot(
        draw,
        "scores",
        "Scores of training, held-out and generated images. If the discriminator generalises, the first two histograms "
        f"coincide. Dashed: {line}.",
    )
