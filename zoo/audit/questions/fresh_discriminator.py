"""Can a fresh discriminator distinguish generated from real images? The neural-net distance of Arora et al. 2017
(arXiv:1703.00573), measured.

A small discriminator is trained on one part of the images to distinguish generated from real ones, stopped early by a
second part, and tested on a third. The distance is the difference between its mean outputs (the probability of "real")
for real and for generated images: on its training images, and on new ones, which is the distance that generalises.

The null is the same with real images in place of the generated ones. With real images other than those on the real
side, the distance is 0 but for chance. With only m of them, drawn again and again (a uniform distribution on m images),
it shows what Arora et al. prove: from some m on, which grows with the size of the discriminator, such a memoriser
cannot be distinguished from the real distribution. So a generator that is not distinguished may have no more images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.folders import shrunk
from zoo.audit.evidence.images import FloatImages, ImageSet
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Figure, Finding, NotApplicable
from zoo.audit.findings.formatting import percent
from zoo.audit.statistics.significance import auc
from zoo.metrics.small_classifier import ImageRows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Can a fresh discriminator distinguish generated from real images?"

LARGEST = 2_000  # images on each side
FEWEST = 100  # images on each side: 50 for training, 20 for early stopping, 30 for testing
TRAINING, STOPPING = 0.5, 0.2  # shares of each side; the rest is for testing
SUPPORTS = (10, 100, 1_000)  # distinct images of the nulls
BATCH = 32  # images of each side
AT_ONCE, VALUES_AT_ONCE = 256, 2**24  # largest number of images, and of their values, that are scored at once
CHECKS = 10  # evaluations of the loss on the images for early stopping
SMALLEST = 8  # pixels
SIDE = 128
"""Height and width in pixels to which larger images are shrunk, which bounds memory and time. What is finer is the
question of sharpness."""
NOTED = 0.75  # AUC above which the answer is a note; held-out images have 0.5


@dataclass(frozen=True)
class Outcome:
    """Results of a fresh discriminator between real images and those of the other side: of the generator or of a null.

    Args:
        width: channels of its first layer.
        weights: number of its weights.
        auc: probability that it scores a new real image above a new image of the other side, with its 95 % interval.
        accuracy: accuracy on new images, the mean of both sides, in [0, 1].
        distance: mean output (probability of "real") for new real images, less that for new images of the other side.
        train_distance: the same on its training images.
        n: number of new images of each side.
    """

    width: int
    weights: int
    auc: tuple[float, float, float]
    accuracy: float
    distance: float
    train_distance: float
    n: int

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers beside the AUC, by the names of their statistics."""
        return {
            "accuracy": self.accuracy,
            "neural-net distance": self.distance,
            "neural-net distance on its training images": self.train_distance,
        }

    def as_row(self, real_images: int | None) -> dict[str, Any]:
        """Return a row of the protocol's table, for that many distinct real images or (None) for the generator."""
        return {
            "real_images": real_images,
            "width": self.width,
            "weights": self.weights,
            **dict(zip(("chance", "low", "high"), self.auc)),
            "right": self.accuracy,
            "distance": self.distance,
            "learnt": self.train_distance,
            "n": self.n,
        }


def discriminator(channels: int, resolution: int, width: int) -> nn.Sequential:
    """Build a network from images (B, channels, R, R) to scores (B, 1).

    Strided convolutions halve the image down to 4 px or less, and double the channels up to 8 times the width. There is
    no normalisation, since batches of a single side would give the sides away by their statistics.
    """
    layers: list[nn.Module] = []
    inputs, outputs = channels, width
    while resolution > 4:
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        inputs, outputs, resolution = outputs, min(2 * outputs, 8 * width), resolution // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * resolution**2, 1))


def train_and_test(real: ImageRows, other: ImageRows, width: int, steps: int, seed: int) -> Outcome:
    """Train a discriminator with early stopping, and test it on images that it has not seen.

    Args:
        real: real images (N, C, R, R) in [-1, 1].
        other: images (N, C, R, R) of the generator, or of a null.
        width: channels of the first layer.
        steps: steps of Adam, each with BATCH images of each side.
        seed: seed of weights and batches.
    """
    n = len(real)
    train_end, stop_end = int(TRAINING * n), int((TRAINING + STOPPING) * n)
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.manual_seed(seed)
        network = discriminator(real.shape[1], real.shape[-1], width)
        network = network.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(network.parameters(), 1e-3, betas=(0.5, 0.99))
        best_loss, best = float("inf"), {k: v.clone() for k, v in network.state_dict().items()}
        truth = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)])
        for step in range(1, steps + 1):
            chosen = torch.randint(train_end, (2, BATCH), generator=draw)
            scores = network(torch.cat([real[chosen[0]], other[chosen[1]]]))[:, 0]
            optimizer.zero_grad()
            torch.autograd.backward(binary_cross_entropy_with_logits(scores, truth))
            optimizer.step()
            if step % max(1, steps // CHECKS) == 0:
                loss = _loss(network, real, other, slice(train_end, stop_end))
                if loss < best_loss:
                    best_loss, best = loss, {k: v.clone() for k, v in network.state_dict().items()}
    network.load_state_dict(best)
    a, b = (_scores(network, side, slice(stop_end, n)) for side in (real, other))
    accuracy = float(((a > 0).double().mean() + (b <= 0).double().mean()) / 2)
    distance = float(a.sigmoid().mean() - b.sigmoid().mean())
    train_a, train_b = (_scores(network, side, slice(train_end)) for side in (real, other))
    train_distance = float(train_a.sigmoid().mean() - train_b.sigmoid().mean())
    weights = sum(p.numel() for p in network.parameters())
    return Outcome(width, weights, auc(a, b), accuracy, distance, train_distance, len(a))


@torch.no_grad()
def _scores(network: nn.Module, images: ImageRows, rows: slice) -> Tensor:
    """Compute the scores (n,) of some rows of images (N, C, R, R)."""
    first, last, _ = rows.indices(len(images))
    size = max(1, min(AT_ONCE, VALUES_AT_ONCE // images.shape[1:].numel()))
    parts = (images[start : min(start + size, last)] for start in range(first, last, size))
    return torch.cat([network(part)[:, 0] for part in parts])


def _loss(network: nn.Module, real: ImageRows, other: ImageRows, rows: slice) -> float:
    """Compute the sum of the mean losses of both sides over some of their rows."""
    a, b = _scores(network, real, rows), _scores(network, other, rows)
    real_loss = binary_cross_entropy_with_logits(a, torch.ones_like(a))
    return float(real_loss + binary_cross_entropy_with_logits(b, torch.zeros_like(b)))


def run(evidence: Evidence) -> Finding:
    """Train fresh discriminators to distinguish generated images, and m real images, from held-out ones.

    Raises:
        NotApplicable: if images are too few or too small.
    """
    held_out, generated, train = evidence.held_out, evidence.generated, evidence.train
    if min(held_out.shape[-2:]) < SMALLEST:
        raise NotApplicable(f"a convolutional discriminator needs images of at least {SMALLEST} px")
    n = min(len(held_out), len(generated), LARGEST)
    if n < FEWEST:
        raise NotApplicable(
            f"a fresh discriminator needs at least {FEWEST} generated and {FEWEST} held-out images; got "
            f"{len(generated):,} and {len(held_out):,}"
        )
    draw = evidence.rng("fresh discriminator")
    real = FloatImages(_some(held_out, torch.randperm(len(held_out), generator=draw)[:n]))
    fake = FloatImages(_some(generated, torch.randperm(len(generated), generator=draw)[:n]))
    supports = [m for m in SUPPORTS if m < min(n, len(train))] + ([n] if len(train) >= n else [])
    stand_ins = _some(train, torch.randperm(len(train), generator=draw)[: max(supports, default=1)])
    nulls: dict[int, dict[int, Outcome]] = {}
    outcomes: dict[int, Outcome] = {}
    for width in evidence.budget.fresh_widths:
        evidence.report(f"fresh discriminators of width {width}")
        seed = evidence.seed_of(f"fresh {width}") % 2**31
        steps = evidence.budget.fresh_steps
        outcomes[width], nulls[width] = train_and_test(real, fake, width, steps, seed), {}
        for m in supports:
            # All n distinct images represent the real distribution; fewer are drawn again and again.
            indices = torch.arange(n) if m == n else torch.randint(m, (n,), generator=draw)
            nulls[width][m] = train_and_test(real, FloatImages(stand_ins.take(indices)), width, steps, seed)
    return _finding(evidence, outcomes, nulls, n, real.shape)


def _some(images: ImageSet, indices: Tensor) -> ImageSet:
    """Return the images at these indices, at most `SIDE` px high and wide."""
    return shrunk(images.take(indices), SIDE)


def _finding(
    evidence: Evidence, outcomes: dict[int, Outcome], nulls: dict[int, dict[int, Outcome]], n: int, shape: torch.Size
) -> Finding:
    """Compare the outcomes (by width) with those of the nulls (by width and number of distinct images, at most n)."""
    finding = Builder("fresh_discriminator", QUESTION)
    for width, outcome in outcomes.items():
        null = nulls[width].get(n)
        finding.add_statistic(
            f"AUC, width {width}",
            outcome.auc,
            null=0.5 if null is None else null.auc,
            n=outcome.n,
            description=f"probability that a discriminator of {outcome.weights:,} weights scores a new real image "
            "above a new generated one",
        )
        for name, number in outcome.numbers.items():
            expected = None if null is None else null.numbers[name]
            finding.add_statistic(f"{name}, width {width}", number, null=expected, n=outcome.n)
    if any(nulls.values()):
        finding.add_figure(_figure(outcomes, nulls))
    finding.add_protocol(
        {
            "images_of_each_side": n,
            "size": f"{shape[-2]} x {shape[-1]} px",
            "learnt_from": int(TRAINING * n),
            "stopped_by": int((TRAINING + STOPPING) * n) - int(TRAINING * n),
            "steps": evidence.budget.fresh_steps,
            "batch_of_each_side": BATCH,
            "widths": list(outcomes),
            "optimizer": "Adam 1e-3, betas 0.5 and 0.99, the weights with the smallest of 10 losses",
            "null": "training images in place of generated ones, against the same held-out images",
            "table": [null.as_row(m) for width in nulls for m, null in nulls[width].items()]
            + [outcome.as_row(None) for outcome in outcomes.values()],
        }
    )
    best = max(outcomes.values(), key=lambda outcome: outcome.auc[0])
    return finding.build(_answer(best, nulls[best.width], n), note=best.auc[1] > NOTED)


def _answer(best: Outcome, nulls: dict[int, Outcome], n: int) -> str:
    """Return the answer as text: the AUC of the best discriminator, compared with its nulls by number of images."""
    value, low, _ = best.auc
    comparison = ""
    fewer = [m for m, null in nulls.items() if m < n and null.auc[0] >= value]
    if fewer:
        comparison = f" It distinguishes {max(fewer):,} real images, drawn again and again, as easily."
    if n in nulls and nulls[n].auc[2] >= low:
        comparison = " It distinguishes other real images as easily, so the answer is no."
    return (
        f"A discriminator trained from scratch scores new real images above new generated ones in {percent(value)} of "
        f"pairs, where guessing gives 50 %.{comparison}"
    )


def _figure(outcomes: dict[int, Outcome], nulls: dict[int, dict[int, Outcome]]) -> Figure | None:
    """Plot the AUC against the number of distinct real images of the nulls; None without matplotlib."""

    def draw(axes: Axes) -> None:
        for i, (width, by_support) in enumerate(nulls.items()):
            style = ("-", "--", "-.", ":")[i % 4]
            values, lows, highs = zip(*(null.auc for null in by_support.values()))
            error = [[v - low for v, low in zip(values, lows)], [high - v for v, high in zip(values, highs)]]
            axes.errorbar(
                list(by_support),
                values,
                yerr=error,
                color=figures.COLOURS["null"],
                linestyle=style,
                marker="o",
                markersize=3,
                label=f"real images, width {width}",
                capsize=2,
            )
            colour = figures.COLOURS["generated"]
            axes.axhline(outcomes[width].auc[0], color=colour, linestyle=style, label=f"generated, width {width}")
        axes.set(xscale="log", xlabel="distinct real images", ylabel="AUC", ylim=(0.4, 1.02))
        axes.legend()

    return figures.plot(
        draw,
        "fresh-discriminator",
        "AUC of fresh discriminators between new real images and m real images drawn again and again (grey), or "
        "generated images (orange). On the far right, all real images are distinct: 0.5 but for chance.",
    )
