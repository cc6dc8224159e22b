"""Is the latent space smooth? Walks between latents, and the distance that the image moves at each step.

After the latent walks of Radford et al. 2016 (arXiv:1511.06434, section 6.1: sharp transitions are a sign of
memorisation) and the perceptual path length of Karras et al. 2019 (arXiv:1812.04948, section 4.1). Here, lengths are
not divided by the square of the step but given in units of the distance between two real images, which makes them
comparable across extractors and budgets, and a jump is distinguished from a fast change by halving the step: with a
smooth generator, 1/32 of a step moves the image by about 1/32 as much; across a jump, it moves it as far.

Walks follow great circles, on which latents keep the norms known from training (White 2016, arXiv:1609.04468), and
straight lines if the coordinates of latents are bounded, as in a uniform distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Finding, NotApplicable
from zoo.audit.statistics.significance import bootstrap_median, wilson
from zoo.features import features_of
from zoo.sampling.images import slerp
from zoo.sampling.protocol import RowNetworks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Is the latent space smooth?"

HALVINGS = 5
"""Halvings of the largest step of each walk, down to 1/32 of it."""
REMAINS = 0.5
"""Smallest share of the length of the largest step that remains after a jump was halved; a smooth walk keeps 1/32."""
VISIBLE = 0.25
"""Smallest remaining length of a jump, in distances between two real images. Less is not visible as another
image."""
STILL = 0.1  # distance between the endpoints, in the same unit, below which the image hardly changes
STRIP = 16  # images of a walk in the picture
REAL_PAIRS = 2_000


class Walks(NamedTuple):
    """Walks between W pairs of latents.

    Args:
        start: latents (W, Z) at the start.
        end: latents (W, Z) at the end.
        straight: whether walks follow straight lines instead of great circles.
        labels: class (W,) of each walk, or None.
        networks: the network that draws each walk, from `SubjectAdapter.choose_networks`; None for the only one.
    """

    start: Tensor
    end: Tensor
    straight: bool
    labels: Tensor | None
    networks: RowNetworks | None

    def latents(self, fractions: Tensor) -> Tensor:
        """Return the latents (W * S, Z) at fractions (W, S) in [0, 1] of the walks."""
        if self.straight:
            t = fractions[:, :, None]
            return ((1 - t) * self.start[:, None] + t * self.end[:, None]).flatten(0, 1)
        rows = [slerp(a[None], b[None], t) for a, b, t in zip(self.start, self.end, fractions)]
        return torch.cat(rows)


class Steps(NamedTuple):
    """How far the image moves on W walks of S images, in feature space.

    Args:
        lengths: length of each step (W, S - 1).
        endpoints: distance between the first and the last image (W,).
        remaining: length of the largest step after `HALVINGS` halvings (W,).
        unit: median distance between two real images.
    """

    lengths: Tensor
    endpoints: Tensor
    remaining: Tensor
    unit: float

    @property
    def largest(self) -> Tensor:
        """Length of the largest step (W,)."""
        return self.lengths.max(1).values

    @property
    def jumps(self) -> Tensor:
        """Whether each walk has a jump (W,)."""
        return (self.remaining >= REMAINS * self.largest) & (self.remaining >= VISIBLE * self.unit)

    @property
    def unevenness(self) -> Tensor:
        """Largest over median step of each walk (W,)."""
        return self.largest / self.lengths.median(1).values.clamp(min=1e-3 * self.unit)


def run(evidence: Evidence) -> Finding:
    """Walk between random latents and measure how far the image moves.

    Raises:
        NotApplicable: if the subject has no `generate`, or its latents are not (N, Z).
    """
    subject, budget = evidence.subject, evidence.budget
    if not subject.generates:
        raise NotApplicable(
            "it generates no images from given latents: give it generate(latents), and sample_latent(n) or latent_dim"
        )
    walks = _draw_walks(evidence)
    evidence.report(f"{budget.walks} walks of {budget.walk_steps} images")
    fractions = torch.linspace(0, 1, budget.walk_steps).expand(budget.walks, budget.walk_steps)
    images, features = _walk(evidence, walks, fractions)
    lengths = (features[:, 1:] - features[:, :-1]).norm(dim=2)
    remaining = _halved(evidence, walks, lengths)
    real = _real_distances(evidence)
    unit = max(float(real.median()), 1e-12)
    steps = Steps(lengths, (features[:, -1] - features[:, 0]).norm(dim=1), remaining, unit)
    real_low, real_high = (real.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)) / unit).tolist()
    finding = Builder("smoothness", QUESTION)
    _add_statistics(finding, evidence, walks, steps, (1.0, real_low, real_high))
    _add_figures(finding, images, steps)
    finding.add_protocol(
        {
            "extractor": evidence.space,
            "walks": len(lengths),
            "images_of_a_walk": lengths.shape[1] + 1,
            "path": "straight line" if walks.straight else "great circle",
            "halvings": HALVINGS,
            "jump_remains": REMAINS,
            "jump_visible": VISIBLE,
            "distance_of_two_held_out_images": unit,
            "seed": evidence.seed,
        }
    )
    still = float((steps.endpoints / unit).median()) < STILL
    return finding.build(_answer(steps, still), note=bool(steps.jumps.any()) or still)


def _draw_walks(evidence: Evidence) -> Walks:
    """Draw the latents at the ends of walks, and their classes, if any: those of random held-out images, or uniform.

    Raises:
        NotApplicable: if latents are not (N, Z).
    """
    n = evidence.budget.walks
    ends = evidence.subject.sample_latent(2 * n, evidence.seed_of("walks")).detach().float().cpu()
    if ends.ndim != 2:
        raise NotApplicable(f"a walk needs latents (N, Z); its latents are {tuple(ends.shape)}")
    norms = ends.norm(dim=1)
    on_sphere = bool((norms - norms.mean()).abs().max() < 1e-3 * norms.mean())
    straight = bool(ends.abs().max() <= 1) and not on_sphere  # uniform in [-1, 1]; normal draws exceed that
    labels = None
    if evidence.subject.num_classes:
        labels = torch.randint(evidence.subject.num_classes, (n,), generator=evidence.rng("classes of walks"))
        known = evidence.held_out.labels
        if known is not None:
            labels = known[torch.randint(len(known), (n,), generator=evidence.rng("classes of walks"))]
    networks = evidence.subject.choose_networks(n, evidence.seed_of("members of walks"))
    return Walks(ends[:n], ends[n:], straight, labels, networks)


def _walk(evidence: Evidence, walks: Walks, fractions: Tensor) -> tuple[Tensor, Tensor]:
    """Render images (W, S, C, H, W) at fractions (W, S) of the walks, and compute their features (W, S, D)."""
    w, s = fractions.shape
    walk_of = torch.arange(len(walks.start)).repeat_interleave(s)  # the walk of each image
    labels = None if walks.labels is None else walks.labels[walk_of]
    networks = None if walks.networks is None else walks.networks[walk_of]
    images = evidence.subject.render(walks.latents(fractions), labels, networks)
    features = features_of(evidence.extractor, images, title="").values.double()
    return images.view(w, s, *images.shape[1:]), features.view(w, s, -1)


def _halved(evidence: Evidence, walks: Walks, lengths: Tensor) -> Tensor:
    """Halve the largest step of each walk several times, each time keeping the longer half; return its length (W,)."""
    steps = lengths.shape[1]
    left = lengths.argmax(1).double() / steps
    width = torch.full_like(left, 1 / steps)
    moved = lengths.max(1).values
    for _ in range(HALVINGS):
        fractions = torch.stack([left, left + width / 2, left + width], 1)
        _, features = _walk(evidence, walks, fractions.float())
        halves = (features[:, 1:] - features[:, :-1]).norm(dim=2)
        moved, right = halves.max(1)
        width = width / 2
        left = left + right * width
    return moved


def _real_distances(evidence: Evidence) -> Tensor:
    """Compute distances between random pairs of held-out images, of the same class if walks stay within a class."""
    part, values = evidence.held_out, evidence.features("held_out").double()
    draw = evidence.rng("real pairs")
    i = torch.randint(len(part), (REAL_PAIRS,), generator=draw)
    j = (i + torch.randint(1, len(part), (REAL_PAIRS,), generator=draw)) % len(part)
    if evidence.subject.num_classes and part.labels is not None:
        same = part.labels[i] == part.labels[j]
        if int(same.sum()) >= 20:
            i, j = i[same], j[same]
    distances: Tensor = (values[i] - values[j]).norm(dim=1)
    return distances


def _add_statistics(
    finding: Builder, evidence: Evidence, walks: Walks, steps: Steps, real: tuple[float, float, float]
) -> None:
    """Add the share of walks with a jump, and medians of lengths; `real`: distance of real images, with its range."""
    n, seed = len(steps.lengths), evidence.seed_of("walk intervals")
    low, high = wilson(int(steps.jumps.sum()), n)

    def median(values: Tensor) -> tuple[float, float, float]:
        return float(values.quantile(0.5)), *bootstrap_median(values, 1_000, seed)

    finding.add_statistic(
        "walks with a jump",
        (100 * float(steps.jumps.double().mean()), 100 * low, 100 * high),
        null=0.0,
        n=n,
        unit="%",
        description="the image changes abruptly where the latent hardly moves; none in a smooth space",
    )
    finding.add_statistic(
        "distance between the endpoints",
        median(steps.endpoints / steps.unit),
        null=real,
        n=n,
        description="median, in median distances between two held-out images"
        + (" of the same class" if walks.labels is not None else ""),
    )
    finding.add_statistic(
        "path length",
        median(steps.lengths.sum(1) / steps.unit),
        n=n,
        description="median perceptual length, in distances between two held-out images",
    )
    finding.add_statistic(
        "largest step",
        median(steps.unevenness),
        n=n,
        description="median over walks, in median steps of the same walk; 1: even",
    )
    finding.add_statistic(
        "largest step, refined",
        median(steps.remaining / steps.largest.clamp(min=1e-12)),
        null=2.0**-HALVINGS,
        n=n,
        description=f"median share of the largest step that remains within 1/{2**HALVINGS} of it; 1 at a jump",
    )


def _answer(steps: Steps, still: bool) -> str:
    """Return the answer as text: the number of walks with a jump, and lengths; `still` if the image hardly changes."""
    if still:
        return "The image hardly changes between distant latents, so there is almost nothing to walk through."
    endpoints = float((steps.endpoints / steps.unit).quantile(0.5))
    path = float((steps.lengths.sum(1) / steps.unit).quantile(0.5))
    lengths = (
        f"The endpoints of a walk differ {endpoints:.1f} times as much as two real images, and the path between them "
        f"is {path / max(endpoints, 1e-9):.1f} times as long as the straight line."
    )
    n, jumps = len(steps.lengths), int(steps.jumps.sum())
    if not jumps:
        return f"Yes: the image jumps on none of {n} walks. {lengths}"
    return f"Not everywhere: on {jumps} of {n} walks the image changes abruptly. {lengths}"


def _add_figures(finding: Builder, images: Tensor, steps: Steps) -> None:
    """Add the steps of all walks, and the images (W, S, C, H, W) of the most uneven walk and of a typical one."""
    lengths = steps.lengths
    order = (steps.jumps.double() * 1e6 + steps.unevenness).argsort(descending=True)
    rows = [int(order[0])] if len(order) < 2 else [int(order[0]), int(order[len(order) // 2])]

    def draw(axes: Axes) -> None:
        positions = (torch.arange(lengths.shape[1]) + 0.5) / lengths.shape[1]
        for row in order[1:].tolist():
            values = lengths[row] / steps.unit
            axes.plot(positions, values, color=figures.COLOURS["null"], linewidth=0.6, alpha=0.5)
        values = lengths[rows[0]] / steps.unit
        axes.plot(positions, values, color=figures.COLOURS["generated"], label="most uneven walk")
        axes.set(xlabel="fraction of the walk", ylabel="step (distances of two real images)", xlim=(0, 1))
        axes.set_ylim(bottom=0)
        axes.legend()

    finding.add_figure(
        figures.plot(
            draw,
            "steps",
            "Length of each step of each walk; orange: the most uneven walk. A single spike may be a jump.",
        )
    )
    strips = torch.cat([_strip(images[row], lengths[row]) for row in rows])
    finding.add_figure(
        figures.pictures(
            strips,
            len(strips) // len(rows),
            "walks",
            f"From left to right: the most uneven walk{', and below it a typical one' if rows[1:] else ''}.",
        )
    )


def _strip(images: Tensor, lengths: Tensor) -> Tensor:
    """Choose STRIP images of a walk (S, C, H, W), both sides of the largest step (S - 1,) among them."""
    s = len(images)
    if s <= STRIP:
        return images
    worst = int(lengths.argmax())
    even = torch.linspace(0, s - 1, STRIP).round().long()
    even[(even - worst).abs().argmin()] = worst
    others = (even - worst - 1).abs()
    others[even == worst] = s
    even[others.argmin()] = worst + 1
    return images[even.sort().values]
