"""Can a fresh discriminator tell? The neural-net distance of Arora et al. (2017, arXiv:1703.00573), measured.

A small discriminator learns from one part to tell generated images from real ones, stops where a second part says that
it is best, and is asked about a third. The distance is the difference of its mean answers (a probability of "real") for
real and for generated images: on the images it learnt from, and on new ones, which is the distance that generalises.

The null is the same with real images in the generator's place: with others than the real side has, the distance is 0
but for chance; and with m of them, drawn again and again (a uniform distribution on m images), it shows what Arora et
al. prove: from some m on, which grows with the size of the discriminator, such a memory cannot be told from reality. So
a generator that is not told apart need not have more images than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic
from zoo.audit.findings.words import percent
from zoo.audit.statistics.significance import auc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Can a fresh discriminator tell?"

LARGEST = 2_000  # images on each side
FEWEST = 100  # on each side: 50 to learn from, 20 to stop by, 30 to test on
LEARN, STOP = 0.5, 0.2  # shares of each side; the rest tests
SUPPORTS = (10, 100, 1_000)  # images that the null's generators have
BATCH = 32  # of each side
CHECKS = 10  # times that the stopping part is looked at
SMALLEST = 8  # pixels
NUMBERS = {
    "accuracy": "right",
    "neural-net distance": "distance",
    "neural-net distance on its training images": "learnt",
}
TELLS = 0.75  # chance of telling from which on the answer is a note: held-out images give 0.5


@dataclass(frozen=True)
class Contest:
    """What a fresh discriminator made of one pair of sides.

    Args:
        width: of its first layer.
        weights: how many it has.
        chance: that it ranks a new real image above a new image of the other side (AUC), with its interval.
        low: lower end.
        high: upper end.
        right: share of new images that it puts on the right side.
        distance: of mean answers on new images.
        learnt: the same on the images it learnt from.
        n: new images of each side.
    """

    width: int
    weights: int
    chance: float
    low: float
    high: float
    right: float
    distance: float
    learnt: float
    n: int


def discriminator(channels: int, resolution: int, width: int) -> nn.Sequential:
    """Images (B, channels, R, R) to scores (B, 1): halved until 4 px or less, widths doubling up to 8 times.

    Without normalisation, as batches of one side each would tell sides apart by their statistics.
    """
    layers: list[nn.Module] = []
    before, now = channels, width
    while resolution > 4:
        layers += [nn.Conv2d(before, now, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        before, now, resolution = now, min(2 * now, 8 * width), resolution // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * resolution**2, 1))


def contest(real: Tensor, other: Tensor, width: int, steps: int, seed: int) -> Contest:
    """Train, stop and test a discriminator.

    Args:
        real: (N, C, R, R) in [-1, 1].
        other: (N, C, R, R), what takes the generator's place.
        width: of the first layer.
        steps: of Adam, with BATCH images of each side.
        seed: of weights and batches.
    """
    n = len(real)
    learn, stop = int(LEARN * n), int((LEARN + STOP) * n)
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.manual_seed(seed)
        network = discriminator(real.shape[1], real.shape[-1], width)
        network = network.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(network.parameters(), 1e-3, betas=(0.5, 0.99))
        best, kept = float("inf"), {k: v.clone() for k, v in network.state_dict().items()}
        truth = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)])
        for step in range(1, steps + 1):
            chosen = torch.randint(learn, (2, BATCH), generator=draw)
            scores = network(torch.cat([real[chosen[0]], other[chosen[1]]]))[:, 0]
            optimizer.zero_grad()
            torch.autograd.backward(binary_cross_entropy_with_logits(scores, truth))
            optimizer.step()
            if step % max(1, steps // CHECKS) == 0:
                loss = _loss(network, real[learn:stop], other[learn:stop])
                if loss < best:
                    best, kept = loss, {k: v.clone() for k, v in network.state_dict().items()}
    network.load_state_dict(kept)
    a, b = _scores(network, real[stop:]), _scores(network, other[stop:])
    area, low, high = auc(a, b)
    right = float(((a > 0).double().mean() + (b <= 0).double().mean()) / 2)
    learnt = _scores(network, real[:learn]).sigmoid().mean() - _scores(network, other[:learn]).sigmoid().mean()
    weights = sum(p.numel() for p in network.parameters())
    distance = float(a.sigmoid().mean() - b.sigmoid().mean())
    return Contest(width, weights, area, low, high, right, distance, float(learnt), len(a))


def ask(evidence: Evidence) -> Finding:
    """How well fresh discriminators tell generated images from held-out ones, and m training images from them.

    Raises:
        NotApplicable: for too few or too small images.
    """
    held_out, generated, train = evidence.held_out, evidence.generated, evidence.train
    if min(held_out.pixels.shape[-2:]) < SMALLEST:
        raise NotApplicable(f"a convolutional discriminator needs images of at least {SMALLEST} px")
    n = min(len(held_out), len(generated), LARGEST)
    if n < FEWEST:
        raise NotApplicable(
            f"a fresh discriminator needs at least {FEWEST} generated and {FEWEST} held-out images; got "
            f"{len(generated):,} and {len(held_out):,}"
        )
    draw = evidence.rng("fresh discriminator")
    real = held_out.images(torch.randperm(len(held_out), generator=draw)[:n])
    fake = generated.images(torch.randperm(len(generated), generator=draw)[:n])
    supports = [m for m in SUPPORTS if m < min(n, len(train))] + ([n] if len(train) >= n else [])
    order = torch.randperm(len(train), generator=draw)
    found: dict[int, list[Contest]] = {width: [] for width in evidence.budget.fresh_widths}
    mine: dict[int, Contest] = {}
    for width in evidence.budget.fresh_widths:
        evidence.report(f"fresh discriminators of width {width}")
        seed = evidence.seed_of(f"fresh {width}") % 2**31
        steps = evidence.budget.fresh_steps
        mine[width] = contest(real, fake, width, steps, seed)
        for m in supports:
            # All n distinct images stand for the real distribution; fewer are drawn again and again.
            places = order[:n] if m == n else order[torch.randint(m, (n,), generator=draw)]
            found[width].append(contest(real, train.images(places), width, steps, seed))
    return _finding(evidence, mine, found, supports, n)


def _finding(
    evidence: Evidence, mine: dict[int, Contest], found: dict[int, list[Contest]], supports: list[int], n: int
) -> Finding:
    statistics = []
    for width, one in mine.items():
        null = found[width][-1] if supports and supports[-1] == n else None
        usual = (0.5, None, None) if null is None else (null.chance, null.low, null.high)
        statistics.append(
            Statistic(
                f"chance of telling, width {width}",
                one.chance,
                one.low,
                one.high,
                usual[0],
                usual[1],
                usual[2],
                one.n,
                says=(
                    f"that a discriminator of {one.weights:,} weights ranks a new real image above a new generated one"
                ),
            )
        )
        for name, key in NUMBERS.items():
            known = None if null is None else float(getattr(null, key))
            statistics.append(Statistic(f"{name}, width {width}", float(getattr(one, key)), null=known, n=one.n))
    best = max(mine.values(), key=lambda one: one.chance)
    told = best.low > TELLS
    as_few = [m for m, null in zip(supports, found[best.width]) if m < n and null.chance >= best.chance]
    like = f" That is told as easily as {max(as_few):,} real images drawn again and again." if as_few else ""
    if supports and supports[-1] == n and found[best.width][-1].high >= best.low:
        like = " Other real images are told as well, so the answer is no."
    figure = _figure(mine, found, supports) if supports else None
    table = [{"real_images": m, **vars(null)} for width in found for m, null in zip(supports, found[width])] + [
        {"real_images": None, **vars(one)} for one in mine.values()
    ]
    return Finding(
        "fresh_discriminator",
        QUESTION,
        "note" if told else "passed",
        f"A discriminator trained from scratch puts a new real image above a new generated one in "
        f"{percent(best.chance)} of cases, where guessing gives 50 %.{like}",
        tuple(statistics),
        {},
        () if figure is None else (figure,),
        {
            "images_of_each_side": n,
            "learnt_from": int(LEARN * n),
            "stopped_by": int((LEARN + STOP) * n) - int(LEARN * n),
            "steps": evidence.budget.fresh_steps,
            "batch_of_each_side": BATCH,
            "widths": list(mine),
            "optimizer": "Adam 1e-3, betas 0.5 and 0.99, the weights with the least loss of 10 checks",
            "null": "training images in the generator's place, told from the same held-out images",
            "table": table,
        },
    )


def _figure(mine: dict[int, Contest], found: dict[int, list[Contest]], supports: list[int]) -> Figure | None:
    def draw(axes: Axes) -> None:
        for i, (width, nulls) in enumerate(found.items()):
            style = ("-", "--", "-.", ":")[i % 4]
            chances = [null.chance for null in nulls]
            error = [[c.chance - c.low for c in nulls], [c.high - c.chance for c in nulls]]
            axes.errorbar(
                supports,
                chances,
                yerr=error,
                color=figures.COLOURS["null"],
                linestyle=style,
                marker="o",
                markersize=3,
                label=f"real images, width {width}",
                capsize=2,
            )
            colour = figures.COLOURS["generated"]
            axes.axhline(mine[width].chance, color=colour, linestyle=style, label=f"generated, width {width}")
        axes.set(xscale="log", xlabel="real images drawn again and again", ylabel="chance of telling", ylim=(0.4, 1.02))
        axes.legend()

    return figures.plot(
        draw,
        "fresh-discriminator",
        "How well fresh discriminators tell m real images, drawn again and again, from "
        "new real ones (grey), and the generator (orange). Far right: all real images differ, 0.5 but for chance.",
    )


@torch.no_grad()
def _scores(network: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([network(part)[:, 0] for part in torch.split(images, 256)])


def _loss(network: nn.Module, real: Tensor, other: Tensor) -> float:
    a, b = _scores(network, real), _scores(network, other)
    both = binary_cross_entropy_with_logits(a, torch.ones_like(a)) + binary_cross_entropy_with_logits(
        b, torch.zeros_like(b)
    )
    return float(both)
