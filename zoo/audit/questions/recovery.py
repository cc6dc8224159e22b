"""Can the generator reconstruct unseen images? For each image, the latent is searched whose image is nearest to it; the
reconstruction errors of training, held-out and generated images are compared.

A generator that has memorised its training images reconstructs them much better than held-out images; one that
generalises does not. Its own images are the control: they can be reached, so their remaining error is that of the
search (see `zoo.audit.evidence.latent_search`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.images import ImageSet
from zoo.audit.evidence.latent_search import CANDIDATES, PRIOR_SHARE, STEP, Reconstructions, reconstruct
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Finding, NotApplicable
from zoo.audit.statistics.significance import ALARM, Z95, auc, bootstrap_median, holm, mann_whitney

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Can it reconstruct unseen images?"

ORIGINS = {"train": "training", "held_out": "held-out", "generated": "own"}
SMALLEST_AUC = 0.75
"""Smallest AUC of training against held-out images for an alarm. A slight overfit of a sound model changes it by a few
hundredths; a generator that stores its training images brings it close to 1."""
LARGEST_RATIO = 0.8
"""Largest ratio of the median errors of training and held-out images for an alarm, so that it is about something that
is visible."""
FEWEST = 8  # images of each origin; with fewer, no difference can be significant
SHOWN = 8  # images in a picture


def run(evidence: Evidence) -> Finding:
    """Reconstruct images of the three origins and compare the errors.

    Raises:
        NotApplicable: if the subject has no `generate`, has classes while the images have none, or has latents that are
            not (N, Z); or if there are too few images.
    """
    subject = evidence.subject
    if not subject.generates:
        raise NotApplicable(
            "it generates no images from given latents: give it generate(latents), and sample_latent(n) or latent_dim"
        )
    parts = {name: _targets(evidence, name) for name in ORIGINS}
    if subject.num_classes and any(part.labels is None for part in parts.values()):
        raise NotApplicable("its images have classes, but the real images have none: give labels=(train, held_out)")
    prior = subject.sample_latent(1_000, evidence.seed_of("recovery prior")).detach().float()
    if prior.ndim != 2:
        raise NotApplicable(f"the search needs latents (N, Z); its latents are {tuple(prior.shape)}")
    recovered = {}
    for name, part in parts.items():
        evidence.report(f"latents of {len(part)} {ORIGINS[name]} images")
        recovered[name] = reconstruct(
            subject,
            part.images(),
            part.labels,
            prior,
            evidence.budget.recovery_steps,
            evidence.budget.restarts,
            evidence.seed_of(f"recovery {name}"),
        )
    return _finding(evidence, recovered, parts, prior.norm(dim=1).cpu())


def _targets(evidence: Evidence, name: str) -> ImageSet:
    """Choose as many random images of a part as the budget allows.

    Raises:
        NotApplicable: if there are fewer than FEWEST.
    """
    part = evidence.part(name)
    n = min(evidence.budget.recovered, len(part))
    if n < FEWEST:
        raise NotApplicable(
            f"the search needs at least {FEWEST} images of each origin; number of {ORIGINS[name]} images: {n}"
        )
    return part.take(torch.randperm(len(part), generator=evidence.rng(f"recovered {name}"))[:n])


def _finding(
    evidence: Evidence, recovered: dict[str, Reconstructions], parts: dict[str, ImageSet], norms: Tensor
) -> Finding:
    """Compare the reconstruction errors; `norms` (P,) are those of latents drawn from the prior."""
    errors = {name: reconstructions.errors for name, reconstructions in recovered.items()}
    train, held_out, generated = (errors[name] for name in ORIGINS)
    seed = evidence.seed_of("medians")
    medians = {name: float(values.quantile(0.5)) for name, values in errors.items()}
    estimates = {name: (medians[name], *bootstrap_median(values, 1_000, seed)) for name, values in errors.items()}
    area, p = auc(held_out, train), mann_whitney(train, held_out, "less")
    finding = Builder("recovery", QUESTION)
    train_error = finding.add_statistic(
        "reconstruction error of training images",
        estimates["train"],
        null=estimates["held_out"],
        n=len(train),
        description="median over images; the range from black to white is 2",
    )
    train_area = finding.add_statistic(
        "AUC of training against held-out images",
        area,
        null=(0.5, *_null_range(train, held_out)),
        n=len(train),
        description="probability that a training image has a smaller error than a held-out one",
    )
    finding.add_test(
        train_error,
        train_area,
        p=p,
        effect_matters=area[0] >= SMALLEST_AUC and medians["train"] < LARGEST_RATIO * medians["held_out"],
        verdict="memorising",
        reason=f"the error of held-out images is {medians['held_out'] / max(medians['train'], 1e-9):.1f} times that of "
        "training images",
    )
    (test,) = finding.decide(ALARM, holm)
    _add_controls(finding, estimates, held_out, generated)
    _add_norms(finding, recovered["held_out"].norms, norms, evidence.seed)
    _add_figures(finding, recovered, parts)
    finding.add_protocol(
        {
            "distance": "root mean squared difference of pixels in [-1, 1]",
            "optimizer": "Adam",
            "steps": evidence.budget.recovery_steps,
            "restarts": evidence.budget.restarts,
            "step": STEP,
            "candidates": CANDIDATES,
            "ball": PRIOR_SHARE,
            "p": p,
            "alarm_p": ALARM,
            "alarm_auc": SMALLEST_AUC,
            "alarm_ratio": LARGEST_RATIO,
            "images": {name: len(values) for name, values in errors.items()},
            "seed": evidence.seed,
        }
    )
    weak = medians["generated"] > 0.5 * medians["held_out"]
    return finding.build(_answer(medians, area[0], test.raised, weak), note=weak)


def _add_controls(
    finding: Builder, estimates: dict[str, tuple[float, float, float]], held_out: Tensor, generated: Tensor
) -> None:
    """Add the errors of held-out and of generated images, which show what the generator and the search can do."""
    finding.add_statistic(
        "reconstruction error of held-out images",
        estimates["held_out"],
        n=len(held_out),
        description="median; the part of new images that the generator cannot draw",
    )
    finding.add_statistic(
        "reconstruction error of own images",
        estimates["generated"],
        n=len(generated),
        description="median; these can be reached, so this is the error of the search",
    )
    finding.add_statistic(
        "AUC of own against held-out images",
        auc(held_out, generated),
        null=(0.5, *_null_range(generated, held_out)),
        n=len(generated),
        description="probability that one of its own images has a smaller error than a held-out one; 0.5 if the "
        "generator can draw everything",
    )


def _add_norms(finding: Builder, recovered: Tensor, prior: Tensor, seed: int) -> None:
    """Add the norm of recovered latents (N,) relative to those drawn from the prior (P,)."""
    norms = recovered.double() / prior.median()
    low, high = (prior.quantile(torch.tensor([0.025, 0.975])) / prior.median()).tolist()
    edge = float(prior.quantile(PRIOR_SHARE) / prior.median())
    finding.add_statistic(
        "norm of held-out latents",
        (float(norms.quantile(0.5)), *bootstrap_median(norms, 1_000, seed)),
        null=(1.0, low, high),
        n=len(norms),
        description=f"median, relative to the median norm under the prior; the search is limited to {edge:.2f}",
    )


def _null_range(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the 95 % range of the AUC of two samples of the same distribution.

    The variance of the Mann-Whitney statistic without ties is (n + m + 1) / (12 n m).
    """
    half = Z95 * ((len(x) + len(y) + 1) / (12 * len(x) * len(y))) ** 0.5
    return max(0.0, 0.5 - half), min(1.0, 0.5 + half)


def _answer(medians: dict[str, float], area: float, alarm: bool, weak: bool) -> str:
    """Return the answer as text: whether training images are reconstructed better than held-out ones.

    Args:
        medians: median error of each origin.
        area: AUC of training against held-out images.
        alarm: whether the alarm was raised.
        weak: whether the search is weak: the error of own images is above half that of held-out ones.
    """
    if alarm:
        return (
            "It reconstructs its training images much better than held-out ones (smaller error in "
            f"{100 * area:.0f} % of pairs; 50 % if it knew neither): it has memorised them."
        )
    comparison = "It reconstructs held-out images as well as its training images"
    if area >= SMALLEST_AUC:
        comparison = "It may reconstruct its training images better than held-out ones, but the evidence is too weak"
    if weak:
        return (
            f"{comparison}. The search is weak here, so this says little: even its own images, which can be reached, "
            "keep almost as large an error."
        )
    ratio = medians["held_out"] / max(medians["generated"], 1e-9)
    return (
        f"{comparison}. The error of held-out images is {ratio:.1f} times that of its own images; the difference is "
        "what it cannot draw."
    )


def _add_figures(finding: Builder, recovered: dict[str, Reconstructions], parts: dict[str, ImageSet]) -> None:
    """Add the distributions of the errors, and some images with their reconstructions."""

    def draw(axes: Axes) -> None:
        for name, origin in ORIGINS.items():
            values = np.sort(recovered[name].errors.numpy())
            shares = np.arange(1, len(values) + 1) / len(values)
            axes.step(values, shares, where="post", color=figures.COLOURS[name], label=f"{origin} images")
        axes.set(xlabel="reconstruction error", ylabel="share of images", ylim=(0, 1.02))
        axes.set_xlim(left=0)
        axes.legend(loc="lower right")

    finding.add_figure(
        figures.plot(
            draw,
            "distances",
            "Reconstruction errors of training, held-out and own images. If the generator has memorised its training "
            "images, their curve is far to the left of that of the held-out images.",
        )
    )
    for name in ("train", "held_out"):
        finding.add_figure(
            figures.pairs(
                parts[name].images()[:SHOWN],
                recovered[name].images[:SHOWN],
                name.replace("_", "-"),
                f"{ORIGINS[name].capitalize()} images, and below each its reconstruction by the generator.",
                ("target", "reached"),
            )
        )
