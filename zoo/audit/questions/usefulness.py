"""Is it useful? The classification accuracy score (Ravuri and Vinyals 2019, arXiv:1905.10887): a classifier learns from
generated images alone and is tested on held-out real ones.

Beside it stand the same classifier trained on as many real images, and on a tenth of those, each ten times, which is
what a generator with few images, a memoriser, would teach. Far below real images the generator lacks what classes
differ in; near them it may still be a memoriser, since copies teach as well as originals. So nothing rings here.

The paper trains a ResNet-50 for 90 epochs. Here the network is small and the images are few, so that a CPU can do it:
the score compares with the references beside it, not with the paper's tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from scipy.stats import binomtest
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.findings import figures
from zoo.audit.findings.finding import Figure, Finding, NotApplicable, Statistic
from zoo.audit.findings.words import percent
from zoo.audit.statistics.significance import wilson
from zoo.metrics.small_classifier import classified_right, trained_classifier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Is it useful?"

FEWEST = 200  # images to learn from, and 100 to test on: below, the score is mostly luck
LEAST = 1_000  # images that are learnt from at any resolution, if there are as many
SIZE = 16  # pixels at which half of the budget's images are learnt from; of larger images, fewer
STEPS = 150  # of training at least, whatever the epochs: below, a network knows little of any images
DISTINCT = 10  # times the memoriser shows each of its images
WIDTH = 8
BATCH = 64
SURE = 0.01  # p-value from which on the answer says "less"
FAR = 0.1  # of accuracy below real images: is told


def ask(evidence: Evidence) -> Finding:
    """Accuracy on held-out images after learning from generated, real, and few real images.

    Raises:
        NotApplicable: without classes, or with too few images.
    """
    train, held_out, generated = evidence.train, evidence.held_out, evidence.generated
    if generated.labels is None:
        raise NotApplicable("it draws images without classes, so that no classifier can learn from them")
    if train.labels is None or held_out.labels is None:
        raise NotApplicable("the real images have no classes: give labels=(training, held-out)")
    n = _count(evidence)
    if n < FEWEST or len(held_out) < FEWEST // 2:
        raise NotApplicable(
            f"the classification accuracy score needs at least {FEWEST} generated, {FEWEST} training and {FEWEST // 2} "
            f"held-out images; got {len(generated):,}, {len(train):,} and {len(held_out):,}"
        )
    draw = evidence.rng("usefulness")
    usable = torch.isin(generated.labels, train.labels).nonzero()[:, 0]
    chosen = usable[torch.randperm(len(usable), generator=draw)[:n]]
    wanted = generated.labels[chosen]
    sources = {
        "generated": generated.pixels[chosen],
        "real": train.pixels[matched(train.labels, wanted, 1, draw)],
        "few real": train.pixels[matched(train.labels, wanted, DISTINCT, draw)],
    }
    classes = 1 + int(max(train.labels.max(), held_out.labels.max(), wanted.max()))
    right = {}
    epochs = max(evidence.budget.classifier_epochs, -(-STEPS // max(1, n // BATCH)))
    for name, images in sources.items():
        evidence.report(f"classifier on {name} images")
        network = trained_classifier(
            images,
            wanted,
            classes,
            epochs=epochs,
            batch_size=BATCH,
            seed=evidence.seed_of("classifier") % 2**31,
            width=WIDTH,
        )
        right[name] = classified_right(network, held_out.pixels, held_out.labels)
    return _finding(evidence, right, wanted, classes, epochs)


def _finding(evidence: Evidence, right: dict[str, Tensor], wanted: Tensor, classes: int, epochs: int) -> Finding:
    labels = evidence.held_out.labels
    assert labels is not None
    tests, n = len(labels), len(wanted)
    score, real, few = (float(side.double().mean()) for side in right.values())
    bounds = [wilson(int(side.sum()), tests) for side in right.values()]
    by_class = [
        {name: float(side[labels == c].double().mean()) for name, side in right.items()} | {"class": c}
        for c in range(classes)
        if bool((labels == c).any())
    ]
    less = [_worse(right["generated"], right[name]) < SURE for name in ("real", "few real")]
    far = real - score > FAR and less[0]
    distinct = max(1, round(n / DISTINCT))
    worth = (
        "not measurably less than as many real ones"
        if not less[0]
        else f"less than {distinct:,} real ones"
        if less[1]
        else f"less than as many real ones, and no less than {distinct:,}"
    )
    worst = min(by_class, key=lambda row: row["generated"] - row["real"])
    lacking = f" It teaches least about class {worst['class']:.0f}." if far else ""
    figure = _figure(by_class)
    return Finding(
        "usefulness",
        QUESTION,
        "note" if far else "passed",
        f"A classifier that learns from {n:,} generated images gets {percent(score, 1)} of real ones right; from as "
        f"many real images, {percent(real, 1)}; from {distinct:,} real ones shown {DISTINCT} times, "
        f"{percent(few, 1)}. So generated images teach "
        f"{worth}.{lacking}",
        (
            Statistic(
                "classification accuracy score",
                score,
                *bounds[0],
                real,
                *bounds[1],
                tests,
                says="share of held-out images right after learning from generated ones; its null: from real ones",
            ),
            Statistic(
                "accuracy from few real images",
                few,
                *bounds[2],
                real,
                *bounds[1],
                tests,
                says=f"after learning from {distinct:,} real images shown {DISTINCT} times, as of a memoriser",
            ),
        ),
        {},
        () if figure is None else (figure,),
        {
            "classifier": f"small ResNet, width {WIDTH}",
            "epochs": epochs,
            "batch_size": BATCH,
            "optimizer": "AdamW 1e-3, weight decay 0.01, cosine to 0",
            "learnt_from": n,
            "tested_on": tests,
            "distinct_of_few": distinct,
            "interval": "95 %, Wilson, of the test images",
            "less": f"McNemar's exact test, p below {SURE}",
            "table": by_class,
        },
    )


def _worse(right: Tensor, reference: Tensor) -> float:
    """P-value that one classifier is no worse than another on the same images: McNemar's exact test."""
    lost, won = int((reference & ~right).sum()), int((right & ~reference).sum())
    return float(binomtest(won, won + lost, 0.5, "less").pvalue) if won + lost else 1.0


def matched(labels: Tensor, wanted: Tensor, times: int, draw: torch.Generator) -> Tensor:
    """Places of images with the classes wanted (N,), each image used `times` times, more often where there are too few.

    Args:
        labels: (M,) classes of the images there are; has all that are wanted.
        wanted: (N,) in the order of the result.
        times: how often an image is used.
        draw: chooses.
    """
    found = torch.empty_like(wanted)
    for one in torch.unique(wanted):
        places, there = (wanted == one).nonzero()[:, 0], (labels == one).nonzero()[:, 0]
        distinct = there[torch.randperm(len(there), generator=draw)[: max(1, round(len(places) / times))]]
        found[places] = distinct[torch.arange(len(places)) % len(distinct)]
    return found


def _count(evidence: Evidence) -> int:
    size = evidence.train.pixels.shape[-1]
    most = evidence.budget.images // 2
    n = max(LEAST, int(most * min(1.0, (SIZE / size) ** 2)))
    return min(n, len(evidence.generated), len(evidence.train))


def _figure(by_class: list[dict[str, float]]) -> Figure | None:
    def draw(axes: Axes) -> None:
        for shift, (name, colour) in zip(
            (-0.25, 0, 0.25), (("real", "train"), ("few real", "null"), ("generated",) * 2)
        ):
            places = [i + shift for i in range(len(by_class))]
            axes.bar(places, [row[name] for row in by_class], 0.25, color=figures.COLOURS[colour], label=f"from {name}")
        step = max(1, len(by_class) // 20)
        axes.set_xticks(range(0, len(by_class), step), [f"{row['class']:.0f}" for row in by_class][::step])
        axes.set(xlabel="class", ylabel="right of held-out images", ylim=(0, 1.02))
        axes.legend(loc="lower left", ncols=3)

    return figures.plot(
        draw,
        "accuracy",
        "Held-out images of each class that are classified correctly, by what the classifier learnt "
        "from. A class that only generated images teach badly is drawn badly, or not at all.",
    )
