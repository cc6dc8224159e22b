"""Is the latent space smooth? Walks from one latent to another, and how far the image moves at each step.

After the latent walks of Radford et al. 2016 (arXiv:1511.06434, section 6.1: sharp transitions are a sign of
memorisation) and the perceptual path length of Karras et al. 2019 (arXiv:1812.04948, section 4.1). What differs:
lengths are not divided by a step's square but given in distances between two real images, which makes them comparable
across extractors and budgets; and a jump is told from a fast stretch by halving the step. Of a smooth generator, 1/32
of a step moves the image by about 1/32 as much; across a jump it still moves it all the way.

Walks follow great circles, on which latents keep the lengths known from training (White 2016, arXiv:1609.04468), and
straight lines where latents are bounded coordinate by coordinate, as uniform ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic
from zoo.audit.statistics.significance import bootstrap, wilson
from zoo.features import features_of
from zoo.sampling.images import slerp
from zoo.sampling.protocol import RowNetworks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Is the latent space smooth?"

HALVINGS = 5
"""Of each walk's largest step: 1/32 of it remains."""
REMAINS = 0.5
"""A jump keeps at least so much of the step's length after them; a smooth path keeps about 1/32, 0.03."""
VISIBLE = 0.25
"""And what remains is at least this part of the distance between two real images: less is no other image."""
STRIP = 16  # images shown of a walk
REAL_PAIRS = 2_000


class Walk(NamedTuple):
    """Walks between pairs of latents.

    Args:
        start: latents (W, Z).
        end: latents (W, Z).
        straight: along a line instead of a great circle.
        labels: the class of each walk (W,), or None.
        networks: the network of a model of this zoo that draws each walk, or None.
    """

    start: Tensor
    end: Tensor
    straight: bool
    labels: Tensor | None
    networks: RowNetworks | None

    def latents(self, fractions: Tensor) -> Tensor:
        """Latents (W * S, Z) at fractions (W, S) of the ways."""
        if self.straight:
            t = fractions[:, :, None]
            return ((1 - t) * self.start[:, None] + t * self.end[:, None]).flatten(0, 1)
        rows = [slerp(a[None], b[None], t) for a, b, t in zip(self.start, self.end, fractions)]
        return torch.cat(rows)


def ask(evidence: Evidence) -> Finding:
    """The answer.

    Raises:
        NotApplicable: for a subject without `generate`.
    """
    subject, budget = evidence.subject, evidence.budget
    if not subject.generates:
        raise NotApplicable(
            "it makes no images from given latents. Give it generate(latents), and sample_latent(n) or latent_dim"
        )
    walk = _walks(evidence)
    steps = budget.walk_steps
    evidence.report(f"{budget.walks} walks of {steps} images")
    images, features = _along(evidence, walk, torch.linspace(0, 1, steps).expand(budget.walks, steps))
    lengths = (features[:, 1:] - features[:, :-1]).norm(dim=2)  # (W, S - 1)
    remaining = _remaining(evidence, walk, lengths)
    real = _real_distances(evidence)
    return _finding(evidence, walk, images, features, lengths, remaining, real)


def _walks(evidence: Evidence) -> Walk:
    n = evidence.budget.walks
    ends = evidence.subject.sample_latent(2 * n, evidence.seed_of("walks")).detach().float().cpu()
    if ends.ndim != 2:
        raise NotApplicable(f"its latents are {tuple(ends.shape[1:])}; a walk needs plain vectors, (N, Z)")
    lengths = ends.norm(dim=1)
    on_sphere = bool((lengths - lengths.mean()).abs().max() < 1e-3 * lengths.mean())
    straight = bool(ends.abs().max() <= 1) and not on_sphere  # uniform in [-1, 1]; no normal draws stay in there
    labels = None
    if evidence.subject.num_classes:
        labels = torch.randint(evidence.subject.num_classes, (n,), generator=evidence.rng("classes of walks"))
        known = evidence.held_out.labels
        if known is not None:
            labels = known[torch.randint(len(known), (n,), generator=evidence.rng("classes of walks"))]
    networks = evidence.subject.choose_networks(n, evidence.seed_of("members of walks"))
    return Walk(ends[:n], ends[n:], straight, labels, networks)


def _along(evidence: Evidence, walk: Walk, fractions: Tensor) -> tuple[Tensor, Tensor]:
    """Images (W, S, C, H, W) and features (W, S, D) at fractions (W, S) of the ways."""
    w, s = fractions.shape
    walk_of = torch.arange(w).repeat_interleave(s)  # of each image
    labels = None if walk.labels is None else walk.labels[walk_of]
    networks = None if walk.networks is None else walk.networks[walk_of]
    images = evidence.subject.render(walk.latents(fractions), labels, networks)
    features = features_of(evidence.extractor, images, title="").values.double()
    return images.view(w, s, *images.shape[1:]), features.view(w, s, -1)


def _remaining(evidence: Evidence, walk: Walk, lengths: Tensor) -> Tensor:
    """How far the image moves (W,) in the most moving 1/32 of each walk's largest step, found by halving."""
    steps = lengths.shape[1]
    left = lengths.argmax(1).double() / steps
    width = torch.full_like(left, 1 / steps)
    moved = lengths.max(1).values
    for _ in range(HALVINGS):
        places = torch.stack([left, left + width / 2, left + width], 1)
        _, features = _along(evidence, walk, places.float())
        halves = (features[:, 1:] - features[:, :-1]).norm(dim=2)
        moved, right = halves.max(1)
        width = width / 2
        left = left + right * width
    return moved


def _real_distances(evidence: Evidence) -> Tensor:
    """Distances of random pairs of held-out images, of the same class where walks stay within one."""
    part, values = evidence.held_out, evidence.features("held_out").double()
    draw = evidence.rng("real pairs")
    i = torch.randint(len(part), (REAL_PAIRS,), generator=draw)
    j = (i + torch.randint(1, len(part), (REAL_PAIRS,), generator=draw)) % len(part)
    if evidence.subject.num_classes and part.labels is not None:
        same = part.labels[i] == part.labels[j]
        if int(same.sum()) >= 20:
            i, j = i[same], j[same]
    found: Tensor = (values[i] - values[j]).norm(dim=1)
    return found


def _finding(
    evidence: Evidence, walk: Walk, images: Tensor, features: Tensor, lengths: Tensor, remaining: Tensor, real: Tensor
) -> Finding:
    typical = max(float(real.median()), 1e-12)
    path, apart = lengths.sum(1), (features[:, -1] - features[:, 0]).norm(dim=1)
    largest, seed, n = lengths.max(1).values, evidence.seed_of("walk intervals"), len(lengths)
    jumps = (remaining >= REMAINS * largest) & (remaining >= VISIBLE * typical)
    share, (low, high) = jumps.double().mean(), wilson(int(jumps.sum()), n)
    even = largest / lengths.median(1).values.clamp(min=1e-3 * typical)
    kept = remaining / largest.clamp(min=1e-12)

    usual_low, usual_high = (real.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)) / typical).tolist()

    def median(values: Tensor) -> tuple[float, float, float]:
        return float(values.quantile(0.5)), *bootstrap(values, "median", 1_000, seed)

    statistics = (
        Statistic(
            "walks with a jump",
            100 * float(share),
            100 * low,
            100 * high,
            0.0,
            n=n,
            unit="%",
            says="the image changes at once where the latent hardly moves; none in a smooth space",
        ),
        Statistic(
            "distance of a walk's ends",
            *median(apart / typical),
            1.0,
            usual_low,
            usual_high,
            n=n,
            says="median, in median distances of two held-out images"
            + (" of one class" if walk.labels is not None else ""),
        ),
        Statistic(
            "length of a walk",
            *median(path / typical),
            n=n,
            says="median perceptual length, in distances of two held-out images; longer is more restless",
        ),
        Statistic(
            "largest step", *median(even), n=n, says="median over walks, in median steps of the same walk; 1 is even"
        ),
        Statistic(
            "largest step, enlarged",
            *median(kept),
            2.0**-HALVINGS,
            n=n,
            says="what remains of the largest step within 1/32 of it, median; 1 at a jump",
        ),
    )
    still = float((apart / typical).median()) < 0.1
    return Finding(
        "smoothness",
        QUESTION,
        "note" if bool(jumps.any()) or still else "passed",
        _answer(int(jumps.sum()), n, statistics, still),
        statistics,
        {},
        _drawn(images, lengths, jumps, even, typical),
        {
            "extractor": evidence.space,
            "walks": n,
            "images_of_a_walk": lengths.shape[1] + 1,
            "path": "straight line" if walk.straight else "great circle",
            "halvings": HALVINGS,
            "jump_remains": REMAINS,
            "jump_visible": VISIBLE,
            "distance_of_two_held_out_images": typical,
            "seed": evidence.seed,
        },
    )


def _answer(jumps: int, n: int, statistics: tuple[Statistic, ...], still: bool) -> str:
    ends, path = statistics[1].value, statistics[2].value
    if still:
        return "The image hardly changes between far latents: there is next to nothing to walk through."
    how = (
        f"The ends of a walk differ {ends:.1f} times as much as two real images do, and the way between them is "
        f"{path / max(ends, 1e-9):.1f} times as long as the straight one."
    )
    if not jumps:
        return f"Yes: on none of {n} walks does the image jump. {how}"
    one = "walk has a place where" if jumps == 1 else "walks have a place where"
    return f"Not everywhere: {jumps} of {n} {one} the image changes at once. {how}"


def _drawn(images: Tensor, lengths: Tensor, jumps: Tensor, even: Tensor, typical: float) -> tuple[Figure, ...]:
    order = (jumps.double() * 1e6 + even).argsort(descending=True)
    rows = [int(order[0])] if len(order) < 2 else [int(order[0]), int(order[len(order) // 2])]
    strips = torch.cat([_strip(images[row], lengths[row]) for row in rows])

    def draw(axes: Axes) -> None:
        places = (torch.arange(lengths.shape[1]) + 0.5) / lengths.shape[1]
        for row in order[1:].tolist():
            axes.plot(places, lengths[row] / typical, color=figures.COLOURS["null"], linewidth=0.6, alpha=0.5)
        axes.plot(places, lengths[rows[0]] / typical, color=figures.COLOURS["generated"], label="least even walk")
        axes.set(xlabel="way walked", ylabel="step (distances of two real images)", xlim=(0, 1))
        axes.set_ylim(bottom=0)
        axes.legend()

    plot = figures.plot(
        draw,
        "steps",
        "How far the image moves at each step of each walk; the orange line is the walk with the most "
        "uneven steps. A lonely spike may be a jump.",
    )
    strip = figures.pictures(
        strips,
        len(strips) // len(rows),
        "walks",
        f"From left to right: the walk with the most uneven steps{', and below it a usual one' if rows[1:] else ''}.",
    )
    return (*((plot,) if plot else ()), strip)


def _strip(images: Tensor, lengths: Tensor) -> Tensor:
    """So many images of a walk (S, C, H, W) as a page is wide, both sides of the largest step among them."""
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
