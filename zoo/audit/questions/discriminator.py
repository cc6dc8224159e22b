"""Does the discriminator generalise? Its scores on training, held-out and generated images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic, Verdict
from zoo.audit.findings.words import percent
from zoo.audit.statistics.significance import ALARM, Z95, auc, mann_whitney, wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Does the discriminator generalise?"

PARTS = ("train", "held_out", "generated")
LEAST = 50  # images of each origin
MARGIN = 0.6
"""Least chance, of scoring a training image above a new one, that rings: below it the discriminator favours training
images so little that its gradients hardly point to them. Small sets of which it has seen each image a thousand times
lie above 0.9."""
APART = 4.0  # standard errors that real and generated means must be apart before a ratio is taken to their distance


def ask(evidence: Evidence) -> Finding:
    """Held-out images should score like training images; where they score like generated ones, D knows by heart.

    Brock et al. 2019 (arXiv:1809.11096, appendix) found BigGAN's discriminator right on more than 98 % of the training
    and 50 to 55 % of the validation images, at the loss' zero. Karras et al. 2020 (arXiv:2006.06676, eq. 1) summarise
    the same in r_v and r_t. The chance to rank a training image above a held-out one needs no zero, so it alone rings.

    Accuracy is taken at the subject's `zero`; a critic has none, and the middle between the mean scores of held-out and
    of generated images stands in, on which training images have no influence. r_t of a critic compares scores of
    training images with those of generated ones, pair by pair, as relativistic losses do.
    """
    scores = _scores(evidence)
    train, held_out, generated = (scores[part] for part in PARTS)
    zero = evidence.subject.zero
    bound = float((held_out.mean() + generated.mean()) / 2) if zero is None else zero
    rank, low, high = auc(train, held_out)
    p = mann_whitney(train, held_out, "greater")
    order = torch.randperm(len(held_out), generator=evidence.rng("discriminator halves"))
    halves = held_out[order[: len(order) // 2]], held_out[order[len(order) // 2 :]]
    rings = p < ALARM and rank >= MARGIN
    statistics = [
        Statistic(
            "training above held-out",
            rank,
            low,
            high,
            *auc(*halves),
            n=len(train) + len(held_out),
            alarm=rings,
            says="chance that a training image scores higher than a held-out one (AUC); beside it, one half of the "
            "held-out images above the other",
        ),
        *_accuracies(scores, bound),
        _gap(train, held_out, halves),
        *_heuristics(scores, halves, zero),
        Statistic("training above generated", *auc(train, generated), n=len(train) + len(generated), says="AUC"),
        Statistic("held-out above generated", *auc(held_out, generated), n=len(held_out) + len(generated), says="AUC"),
    ]
    flags: dict[Verdict, str] = {}
    if rings:
        flags["discriminator overfitted"] = f"it scores a training image above a new one in {percent(rank)} of pairs"
    return Finding(
        "discriminator",
        QUESTION,
        "alarm" if rings else "note" if p < ALARM else "passed",
        _answer(statistics, rings, p < ALARM),
        tuple(statistics),
        flags,
        tuple(figure for figure in [_histograms(scores, bound, zero)] if figure is not None),
        {
            **{part: len(scores[part]) for part in PARTS},
            "mode": "eval",
            "accuracy at": bound,
            "because": "the subject's zero"
            if zero is not None
            else "no zero: the middle between the means of held-out and generated images",
            "p": p,
            "rings at": f"p below {ALARM:g} and {MARGIN} or more",
            "seed": evidence.seed,
        },
    )


def _scores(evidence: Evidence) -> dict[str, Tensor]:
    """Scores of as many training images as there are held-out ones, and of the two other parts whole.

    Raises:
        NotApplicable: without a discriminator, without the classes it needs, or with too few images.
    """
    if not evidence.subject.scores:
        raise NotApplicable("the subject has no discriminator: give it score(images) -> (B,)")
    for name in PARTS:
        part = evidence.part(name)
        if evidence.subject.num_classes and part.labels is None:
            raise NotApplicable(
                f"a discriminator of {evidence.subject.num_classes} classes needs those of the "
                f"{name.replace('_', '-')} images: give labels"
            )
        if len(part) < LEAST:
            raise NotApplicable(
                f"scores are compared among at least {LEAST} images of each origin; "
                f"{name.replace('_', '-')}: {len(part)}"
            )
    found = {name: evidence.scores(name) for name in ("held_out", "generated")}

    def some() -> Tensor:
        few = max(len(evidence.held_out), LEAST)
        chosen = torch.randperm(len(evidence.train), generator=evidence.rng("scored training images"))[:few]
        part = evidence.train.take(chosen)
        return evidence.subject.score(part.images(), part.labels)

    scores = {"train": evidence.once(("scores", "some training images"), some), **found}
    for name, values in scores.items():
        if not bool(values.isfinite().all()):
            raise NotApplicable(f"some scores of {name.replace('_', '-')} images are not finite")
    return scores


def _accuracies(scores: dict[str, Tensor], bound: float) -> list[Statistic]:
    found = []
    for name, values in scores.items():
        real = name != "generated"
        right = int((values > bound).sum() if real else (values < bound).sum())
        low, high = wilson(right, len(values))
        found.append(
            Statistic(
                f"right on {name.replace('_', '-')}",
                100 * right / len(values),
                100 * low,
                100 * high,
                n=len(values),
                unit="%",
                says=f"scores {'above' if real else 'below'} {bound:.3g}",
            )
        )
    return found


def _gap(train: Tensor, held_out: Tensor, halves: tuple[Tensor, Tensor]) -> Statistic:
    """Difference of means over the spread within the two sets."""

    def gap(x: Tensor, y: Tensor) -> tuple[float, float, float]:
        spread = float(((x.double().var() + y.double().var()) / 2).sqrt())
        if not spread:
            return 0.0, 0.0, 0.0
        value = float(x.double().mean() - y.double().mean()) / spread
        error = (1 / len(x) + 1 / len(y) + value**2 / (2 * (len(x) + len(y)))) ** 0.5
        return value, value - Z95 * error, value + Z95 * error

    return Statistic(
        "gap of means",
        *gap(train, held_out),
        *gap(*halves),
        n=len(train) + len(held_out),
        unit="spreads",
        says="mean score of training images - of held-out ones, in standard deviations of a score",
    )


def _heuristics(scores: dict[str, Tensor], halves: tuple[Tensor, Tensor], zero: float | None) -> list[Statistic]:
    """ADA's r_v and r_t: 0 where D generalises, 1 where held-out images are as fake to it as generated ones."""
    train, held_out, generated = (scores[part].double() for part in PARTS)
    found = []
    if zero is None:
        (r_t, low, high), null = _signs(train, generated), _signs(held_out, generated)
        says = "for a critic: mean sign of the score of a training image less that of a generated one"
    else:
        (r_t, low, high), null = _mean((train - zero).sign()), _mean((held_out - zero).sign())
        says = "mean sign of training images' scores; 0 where they are as often below as above zero"
    found.append(Statistic("r_t", r_t, low, high, *null, n=len(train), says=says + "; beside it, held-out images"))
    apart = train.mean() - generated.mean()
    error = (train.var() / len(train) + generated.var() / len(generated)).sqrt()
    if apart > APART * error:  # else the ratio is one of noise to noise
        null = _difference(*halves, float(apart))
        found.append(
            Statistic(
                "r_v",
                *_ratio(train, held_out, generated),
                *null,
                n=sum(map(len, scores.values())),
                says="(training - held-out) / (training - generated) of mean scores; 1 where held-out images score "
                "like generated ones",
            )
        )
    return found


def _mean(values: Tensor) -> tuple[float, float, float]:
    value, error = float(values.mean()), float(values.std()) / len(values) ** 0.5
    return value, max(-1.0, value - Z95 * error), min(1.0, value + Z95 * error)


def _signs(x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """Mean sign of the difference, over all pairs."""
    value, low, high = auc(x, y)
    return 2 * value - 1, 2 * low - 1, 2 * high - 1


def _difference(x: Tensor, y: Tensor, unit: float) -> tuple[float, float, float]:
    value, error = float(x.mean() - y.mean()) / unit, float((x.var() / len(x) + y.var() / len(y)).sqrt()) / unit
    return value, value - Z95 * error, value + Z95 * error


def _ratio(train: Tensor, held_out: Tensor, generated: Tensor) -> tuple[float, float, float]:
    """r_v, with the interval of the delta method."""
    means = [x.mean() for x in (train, held_out, generated)]
    errors = [x.var() / len(x) for x in (train, held_out, generated)]
    apart = means[0] - means[2]
    value = (means[0] - means[1]) / apart
    slopes = [(1 - value) / apart, -1 / apart, value / apart]
    error = sum((slope**2 * variance for slope, variance in zip(slopes, errors)), torch.zeros(())).sqrt()
    return float(value), float(value - Z95 * error), float(value + Z95 * error)


def _answer(statistics: list[Statistic], rings: bool, favours: bool) -> str:
    rank, right = statistics[0], {s.name: s.value for s in statistics[1:4]}
    counted = (
        f"it is right on {right['right on train']:.0f} % of the training images and {right['right on held-out']:.0f} % "
        f"of the held-out ones, and scores a training image above a held-out one in {percent(rank.value)} of pairs "
        "(50 % if it does not tell them apart)"
    )
    if rings:
        return f"No: {counted}. It knows its training images by heart, and steers the generator towards them."
    if favours:
        return f"Mostly: {counted}. It favours the training images, by less than would show in what is drawn."
    return f"Yes, new real images look as real to it as those it was trained on: {counted}."


def _histograms(scores: dict[str, Tensor], bound: float, zero: float | None) -> Figure | None:
    def draw(axes: Axes) -> None:
        every = torch.cat(list(scores.values()))
        low, high = (float(every.double().quantile(q)) for q in (0.002, 0.998))
        room = max(high - low, 1e-6) * 0.03
        edges = torch.linspace(low - room, high + room, 51).tolist()
        for name, values in scores.items():
            weights = torch.full((len(values),), 100 / len(values)).tolist()
            axes.hist(
                values.clamp(edges[0], edges[-1]).tolist(),
                edges,
                weights=weights,
                histtype="step",
                linewidth=1.6,
                color=figures.COLOURS[name],
                label=name.replace("_", "-"),
            )
        axes.axvline(bound, color=figures.COLOURS["null"], linestyle="--", linewidth=1)
        axes.set_xlabel("score (the higher, the more real)")
        axes.set_ylabel("% of images")
        axes.legend()

    what = "its zero" if zero is not None else "the middle between held-out and generated means"
    return figures.plot(
        draw,
        "scores",
        "Scores of training, held-out and generated images. Where the discriminator generalises, the first two lie on "
        f"each other; dashed: {what}.",
    )
