"""Can it reach unseen images? For each image, search the latent whose image is nearest to it, and compare how near one
comes to training images, to held-out images, and to images of the generator's own.

Latent recovery, after Bojanowski et al. 2018 (arXiv:1707.05776) and Metz et al. 2017 (arXiv:1611.02163, section 3.4).
What differs: latents stay inside the ball that holds 99.9 % of the prior, since outside it a generator can often draw
anything; each image's search begins at the nearest of many draws of the prior. A generator that learnt the training
images by heart comes much nearer to them than to held-out ones; one that generalises does not tell them apart. Its own
images are the control: they can be reached, so what remains of their distance is the search's weakness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.images import ImageSet
from zoo.audit.evidence.subject import CHUNK, SubjectAdapter, images_at_once
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic, Verdict
from zoo.audit.statistics.significance import ALARM, Z95, auc, bootstrap, mann_whitney
from zoo.sampling.protocol import RowNetworks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Can it reach unseen images?"

KINDS = {"train": "training", "held_out": "held-out", "generated": "its own"}
EASIER = 0.75
"""AUC above which training images count as easier to reach: in three of four pairs. A slight overfit of a sound model
moves it by a few hundredths; a generator that stores its training images brings it near 1."""
NEARER = 0.8
"""And their median distance must be below this part of that of held-out images, so that an alarm is about something
that can be seen."""
FEWEST = 8  # images of each kind: with fewer, no difference could be significant
CANDIDATES = 16  # draws of the prior for each image and restart; all images of a class choose among all of them
PRIOR_SHARE = 0.999  # of the prior that lies inside the ball
STEP = 0.1  # Adam's, in standard deviations of the prior; falls to 0 along a cosine
SHOWN = 8


class Recovered(NamedTuple):
    """What a search found for N images.

    Args:
        errors: (N,) root of the mean squared difference of pixels, in the range of 2 from black to white.
        norms: (N,) of the latents.
        images: (N, C, H, W), the nearest that were reached.
    """

    errors: Tensor
    norms: Tensor
    images: Tensor


def ask(evidence: Evidence) -> Finding:
    """The answer.

    Raises:
        NotApplicable: for a subject without `generate`, or with classes where the images have none.
    """
    subject, budget = evidence.subject, evidence.budget
    if not subject.generates:
        raise NotApplicable(
            "it makes no images from given latents. Give it generate(latents), and sample_latent(n) or latent_dim"
        )
    parts = {name: _targets(evidence, name) for name in KINDS}
    if subject.num_classes and any(part.labels is None for part in parts.values()):
        raise NotApplicable("it draws images of classes, and these images have none. Give labels=(train, held_out)")
    prior = subject.sample_latent(1_000, evidence.seed_of("recovery prior")).detach().float()
    if prior.ndim != 2:
        raise NotApplicable(f"its latents are {tuple(prior.shape[1:])}; a search needs plain vectors, (N, Z)")
    found = {}
    for name, part in parts.items():
        evidence.report(f"latents of {len(part)} {KINDS[name]} images")
        found[name] = recover(
            subject,
            part.images(),
            part.labels,
            prior,
            budget.recovery_steps,
            budget.restarts,
            evidence.seed_of(f"recovery {name}"),
        )
    return _finding(evidence, found, parts, prior.norm(dim=1).cpu())


def _targets(evidence: Evidence, name: str) -> ImageSet:
    """A random few images of a part."""
    part = evidence.part(name)
    n = min(evidence.budget.recovered, len(part))
    if n < FEWEST:
        raise NotApplicable(f"{n} {KINDS[name]} images are too few; it takes {FEWEST} of each kind")
    return part.take(torch.randperm(len(part), generator=evidence.rng(f"recovered {name}"))[:n])


def recover(
    subject: SubjectAdapter, images: Tensor, labels: Tensor | None, prior: Tensor, steps: int, restarts: int, seed: int
) -> Recovered:
    """The nearest images that the subject reaches from latents inside its prior.

    Args:
        subject: has `generate`.
        images: (N, C, H, W) in [-1, 1], to come near to.
        labels: their classes, for a subject with classes.
        prior: latents (P, Z), which give the scale of steps and the size of the ball.
        steps: of Adam.
        restarts: searches for each image; the nearest counts.
        seed: of where they start.
    """
    n, device = len(images), subject.device
    classes = labels if subject.num_classes else None
    radius = float(prior.norm(dim=1).quantile(PRIOR_SHARE))
    scale = float(prior.std())
    latents, networks = _starts(subject, images, classes, restarts, seed)
    targets = images.repeat_interleave(restarts, 0)
    many = None if classes is None else classes.repeat_interleave(restarts)
    chunk = images_at_once(images[0].numel())
    errors, reached = [], []
    with subject.frozen():
        for first in range(0, n * restarts, chunk):
            rows = slice(first, first + chunk)
            y = None if many is None else many[rows].to(device)
            m = None if networks is None else networks[rows]
            found = _descend(
                subject, latents[rows].to(device), targets[rows].to(device), y, m, steps, STEP * scale, radius
            )
            errors.append(found[0].cpu())
            reached.append(found[1].cpu())
    error, best = torch.cat(errors).view(n, restarts).min(1)
    chosen = torch.arange(n) * restarts + best
    nearest = torch.cat(reached)[chosen]
    shown = subject.render(nearest, classes, None if networks is None else networks[chosen])
    return Recovered(error.sqrt().double(), nearest.norm(dim=1), shown)


def _starts(
    subject: SubjectAdapter, images: Tensor, labels: Tensor | None, restarts: int, seed: int
) -> tuple[Tensor, RowNetworks | None]:
    """The nearest draws of each image, from a pool of its class: latents (N * restarts, Z), and their networks."""
    n = len(images)
    size = n * CANDIDATES * restarts
    latents = subject.sample_latent(size, seed).detach().float().cpu()
    networks = subject.choose_networks(size, seed)
    classes = None if labels is None else labels.repeat_interleave(size // n)
    far = torch.empty(size, n)
    for first in range(0, size, CHUNK):
        rows = slice(first, first + CHUNK)
        y = None if classes is None else classes[rows]
        m = None if networks is None else networks[rows]
        drawn = subject.render(latents[rows], y, m)
        if drawn.shape[1:] != images.shape[1:]:
            raise NotApplicable(f"generate gives {tuple(drawn.shape[1:])}, the images are {tuple(images.shape[1:])}")
        far[rows] = torch.cdist(drawn.flatten(1), images.flatten(1))
    if classes is not None and labels is not None:
        far[classes[:, None] != labels[None]] = torch.inf
    chosen = far.topk(restarts, dim=0, largest=False).indices.T.flatten()
    return latents[chosen], None if networks is None else networks[chosen]


@torch.enable_grad()
def _descend(
    subject: SubjectAdapter,
    start: Tensor,
    targets: Tensor,
    labels: Tensor | None,
    networks: RowNetworks | None,
    steps: int,
    step: float,
    radius: float,
) -> tuple[Tensor, Tensor]:
    """Least squared errors (B,) on the way down from each start, and the latents that had them.

    Rows do not touch each other: in eval mode no layer mixes them, and Adam works on each coordinate by itself.
    """
    z = _inside(start.clone(), radius).requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=step, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    least = torch.full((len(z),), torch.inf, device=z.device)
    best = z.detach().clone()
    for _ in range(steps):
        errors = (subject.generate(z, labels, networks).float() - targets).square().flatten(1).mean(1)
        now = errors.detach()
        better = now < least
        least, best = torch.where(better, now, least), torch.where(better[:, None], z.detach(), best)
        (z.grad,) = torch.autograd.grad(errors.sum(), z)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            _inside(z, radius)
    return least, best


def _inside(z: Tensor, radius: float) -> Tensor:
    """Latents drawn back into the ball, in place."""
    return z.mul_((radius / z.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1))


def _finding(evidence: Evidence, found: dict[str, Recovered], parts: dict[str, ImageSet], norms: Tensor) -> Finding:
    errors = {name: each.errors for name, each in found.items()}
    medians = {name: float(values.quantile(0.5)) for name, values in errors.items()}
    ranges = {name: bootstrap(v, "median", 1_000, evidence.seed_of("medians")) for name, v in errors.items()}
    easier, low, high = auc(errors["held_out"], errors["train"])
    p = mann_whitney(errors["train"], errors["held_out"], "less")
    alarm = p < ALARM and easier >= EASIER and medians["train"] < NEARER * medians["held_out"]
    harder = auc(errors["held_out"], errors["generated"])
    lengths = found["held_out"].norms.double() / norms.median()
    length, (length_low, length_high) = float(lengths.quantile(0.5)), bootstrap(lengths, "median", 1_000, evidence.seed)
    usual_low, usual_high = (norms.quantile(torch.tensor([0.025, 0.975])) / norms.median()).tolist()
    edge = float(norms.quantile(PRIOR_SHARE) / norms.median())
    statistics = (
        Statistic(
            "distance to training images",
            medians["train"],
            *ranges["train"],
            medians["held_out"],
            *ranges["held_out"],
            n=len(errors["train"]),
            alarm=alarm,
            says="median over images; 2 is from black to white",
        ),
        Statistic(
            "training images are easier",
            easier,
            low,
            high,
            0.5,
            *_equal(errors["train"], errors["held_out"]),
            n=len(errors["train"]),
            alarm=alarm,
            says="chance that it comes nearer to a training image than to a held-out one",
        ),
        Statistic(
            "distance to held-out images",
            medians["held_out"],
            *ranges["held_out"],
            n=len(errors["held_out"]),
            says="median; what the generator cannot draw of new images",
        ),
        Statistic(
            "distance to its own images",
            medians["generated"],
            *ranges["generated"],
            n=len(errors["generated"]),
            says="median; they can be reached, so this is what the search leaves over",
        ),
        Statistic(
            "own images are easier",
            harder[0],
            harder[1],
            harder[2],
            0.5,
            *_equal(errors["generated"], errors["held_out"]),
            n=len(errors["generated"]),
            says="chance that it comes nearer to one of its own than to a held-out one; 0.5 if it can draw everything",
        ),
        Statistic(
            "length of held-out latents",
            length,
            length_low,
            length_high,
            1.0,
            usual_low,
            usual_high,
            n=len(lengths),
            says=f"median, in median lengths of the prior's latents; the search ends at {edge:.2f}",
        ),
    )
    weak = medians["generated"] > 0.5 * medians["held_out"]
    flags: dict[Verdict, str] = (
        {
            "memorising": f"training images are reached {medians['held_out'] / max(medians['train'], 1e-9):.1f} times "
            "as closely as held-out ones"
        }
        if alarm
        else {}
    )
    return Finding(
        "recovery",
        QUESTION,
        "alarm" if alarm else "note" if weak else "passed",
        _answer(medians, easier, alarm, weak),
        statistics,
        flags,
        _drawn(found, parts),
        {
            "distance": "root of the mean squared difference of pixels in [-1, 1]",
            "optimizer": "Adam",
            "steps": evidence.budget.recovery_steps,
            "restarts": evidence.budget.restarts,
            "step": STEP,
            "candidates": CANDIDATES,
            "ball": PRIOR_SHARE,
            "p": p,
            "alarm_p": ALARM,
            "alarm_auc": EASIER,
            "alarm_ratio": NEARER,
            "images": {name: len(v) for name, v in errors.items()},
            "seed": evidence.seed,
        },
    )


def _equal(x: Tensor, y: Tensor) -> tuple[float, float]:
    """The range of the AUC where two kinds do not differ (variance of the Mann-Whitney statistic without ties)."""
    half = Z95 * ((len(x) + len(y) + 1) / (12 * len(x) * len(y))) ** 0.5
    return max(0.0, 0.5 - half), min(1.0, 0.5 + half)


def _answer(medians: dict[str, float], easier: float, alarm: bool, weak: bool) -> str:
    if alarm:
        return (
            f"It comes much nearer to its training images than to held-out ones (nearer in {100 * easier:.0f} % of "
            "pairs; 50 % if it knew neither): it has stored them."
        )
    same = "It comes as near to held-out images as to its training images"
    if easier >= EASIER:
        same = "It seems to come nearer to its training images than to held-out ones, but not for certain"
    if weak:
        return (
            f"{same}. The search is weak here: even its own images, which can be reached, stay almost as far away, so "
            "this says little."
        )
    ratio = medians["held_out"] / max(medians["generated"], 1e-9)
    return f"{same}. Held-out ones stay {ratio:.1f} times as far away as its own, which is what it cannot draw of them."


def _drawn(found: dict[str, Recovered], parts: dict[str, ImageSet]) -> tuple[Figure, ...]:
    def draw(axes: Axes) -> None:
        for name, kind in KINDS.items():
            values = np.sort(found[name].errors.numpy())
            shares = np.arange(1, len(values) + 1) / len(values)
            axes.step(values, shares, where="post", color=figures.COLOURS[name], label=f"{kind} images")
        axes.set(xlabel="distance of the nearest image reached", ylabel="share of images", ylim=(0, 1.02))
        axes.set_xlim(left=0)
        axes.legend(loc="lower right")

    curves = figures.plot(
        draw,
        "distances",
        "How near the generator comes to images of three kinds: the further left a curve, the "
        "nearer. Where it has learnt its training images by heart, their curve lies far to the left of the held-out "
        "images' curve.",
    )
    pairs = tuple(
        figures.pairs(
            parts[name].images()[:SHOWN],
            found[name].images[:SHOWN],
            name.replace("_", "-"),
            f"{kind[0].upper()}{kind[1:]} images, and below each the nearest image that the generator reaches.",
            ("target", "reached"),
        )
        for name, kind in (("train", "training"), ("held_out", "held-out"))
    )
    return (*((curves,) if curves else ()), *pairs)
