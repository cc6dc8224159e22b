"""Are the images useful as training data? The classification accuracy score (CAS) of Ravuri and Vinyals 2019
(arXiv:1905.10887): a classifier is trained on generated images alone and tested on held-out real ones.

The references are the same classifier trained on as many real images, and on a tenth of those, each shown ten times,
as from a generator that has memorised a few images. If the score is far below that of real images, the generator lacks
what distinguishes the classes. If it is close, the generator may still be a memoriser, since copies teach as well as
originals. So this question raises no alarm.

The paper trains a ResNet-50 for 90 epochs. Here the network is small and the images are few, so that a CPU suffices:
compare the score with the references beside it, not with the tables of the paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from scipy.stats import binomtest
from torch import Tensor

from zoo.audit.evidence.evidence import Evidence
from zoo.audit.evidence.folders import shrunk
from zoo.audit.findings import figures
from zoo.audit.findings.builder import Builder
from zoo.audit.findings.finding import Figure, Finding, NotApplicable
from zoo.audit.findings.formatting import percent
from zoo.audit.statistics.significance import wilson
from zoo.metrics.small_classifier import classified_right, trained_classifier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUESTION = "Are its images useful as training data?"

FEWEST = 200  # training images, and half as many test images; with fewer, the score is mostly chance
LEAST = 1_000  # training images at any resolution, if there are as many
SIZE = 16  # pixels up to which half of the budget's images are used for training; of larger images, fewer
SIDE = 128
"""Height and width in pixels to which larger images are shrunk, which bounds memory and time: a batch of photographs of
400 px would need 3 GB, and classes are told apart without their finest detail."""
STEPS = 150  # fewest training steps, whatever the epochs; with fewer, the network learns little from any images
REPETITIONS = 10  # times that the simulated memoriser shows each of its images
WIDTH = 8
BATCH = 64
SURE = 0.01  # p-value below which accuracies differ significantly
FAR = 0.1  # difference of accuracy from real images that is reported as a note


def run(evidence: Evidence) -> Finding:
    """Compare the accuracy of classifiers trained on generated, on real and on few real images.

    Raises:
        NotApplicable: if there are no classes, or too few images.
    """
    train, held_out, generated = evidence.train, evidence.held_out, evidence.generated
    if generated.labels is None:
        raise NotApplicable("its images have no classes, so no classifier can be trained on them")
    if train.labels is None or held_out.labels is None:
        raise NotApplicable("the real images have no classes: give labels=(training, held-out)")
    n = _training_size(evidence)
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
        "generated": shrunk(generated.take(chosen), SIDE),
        "real": shrunk(train.take(matched(train.labels, wanted, 1, draw)), SIDE),
        "few real": shrunk(train.take(matched(train.labels, wanted, REPETITIONS, draw)), SIDE),
    }
    tests = shrunk(held_out, SIDE)
    classes = 1 + int(max(train.labels.max(), held_out.labels.max(), wanted.max()))
    epochs = max(evidence.budget.classifier_epochs, -(-STEPS // max(1, n // BATCH)))
    right = {}
    for name, images in sources.items():
        evidence.report(f"classifier on {name} images")
        network = trained_classifier(
            images.stored,
            wanted,
            classes,
            epochs=epochs,
            batch_size=BATCH,
            seed=evidence.seed_of("classifier") % 2**31,
            width=WIDTH,
        )
        right[name] = classified_right(network, tests.stored, held_out.labels)
    names = [evidence.train.class_name(c) for c in range(classes)]
    return _finding(right, held_out.labels, len(wanted), names, epochs, tests.shape)


def _finding(
    right: dict[str, Tensor], labels: Tensor, n: int, names: list[str], epochs: int, shape: torch.Size
) -> Finding:
    """Compare the accuracies: `right` holds, for each training set, which held-out images (M,) are classified right."""
    tests, distinct = len(labels), max(1, round(n / REPETITIONS))
    score, real, few = ((float(side.double().mean()), *wilson(int(side.sum()), tests)) for side in right.values())
    finding = Builder("usefulness", QUESTION)
    finding.add_statistic(
        "classification accuracy score",
        score,
        null=real,
        n=tests,
        description="accuracy on held-out images after training on generated ones; null: after training on real ones",
    )
    finding.add_statistic(
        "accuracy from few real images",
        few,
        null=real,
        n=tests,
        description=f"after training on {distinct:,} real images shown {REPETITIONS} times, as from a memoriser",
    )
    by_class: list[dict[str, Any]] = [
        {side: float(each[labels == c].double().mean()) for side, each in right.items()} | {"class": name}
        for c, name in enumerate(names)
        if bool((labels == c).any())
    ]
    finding.add_figure(_figure(by_class))
    finding.add_protocol(
        {
            "classifier": f"small ResNet, width {WIDTH}",
            "size": f"{shape[-2]} x {shape[-1]} px",
            "epochs": epochs,
            "batch_size": BATCH,
            "optimizer": "AdamW 1e-3, weight decay 0.01, cosine to 0",
            "learnt_from": n,
            "tested_on": tests,
            "distinct_of_few": distinct,
            "interval": "95 %, Wilson, of the test images",
            "less": f"McNemar's exact test, p below {SURE}",
            "table": by_class,
        }
    )
    less, less_than_few = (_worse(right["generated"], right[name]) < SURE for name in ("real", "few real"))
    worth = "not significantly less than as many real ones"
    if less:
        worth = f"less than as many real ones, and no less than {distinct:,}"
    if less and less_than_few:
        worth = f"less than {distinct:,} real ones"
    answer = (
        f"The accuracy on real images is {percent(score[0], 1)} after training on {n:,} generated images, "
        f"{percent(real[0], 1)} after as many real ones, and {percent(few[0], 1)} after {distinct:,} real ones shown "
        f"{REPETITIONS} times. So generated images teach {worth}."
    )
    far = real[0] - score[0] > FAR and less
    if far:
        worst = min(by_class, key=lambda row: row["generated"] - row["real"])
        answer += f" They teach least about class {worst['class']}."
    return finding.build(answer, note=far)


def _worse(right: Tensor, reference: Tensor) -> float:
    """Compute the p-value of McNemar's exact test that a classifier is no worse than another on the same images.

    Args:
        right: which images (N,) the classifier gets right.
        reference: which images (N,) the other classifier gets right.

    Returns:
        The p-value, one-sided; 1 if both are right on the same images.
    """
    lost, won = int((reference & ~right).sum()), int((right & ~reference).sum())
    return float(binomtest(won, won + lost, 0.5, "less").pvalue) if won + lost else 1.0


def matched(labels: Tensor, wanted: Tensor, times: int, draw: torch.Generator) -> Tensor:
    """Choose images with given classes, each used a given number of times, more often if there are too few.

    Args:
        labels: classes (M,) of the available images; includes all that are wanted.
        wanted: classes (N,) in the order of the result.
        times: how often each image is used.
        draw: random generator that chooses.

    Returns:
        Indices (N,) of available images.
    """
    chosen = torch.empty_like(wanted)
    for one in torch.unique(wanted):
        positions, available = (wanted == one).nonzero()[:, 0], (labels == one).nonzero()[:, 0]
        order = torch.randperm(len(available), generator=draw)
        distinct = available[order[: max(1, round(len(positions) / times))]]
        chosen[positions] = distinct[torch.arange(len(positions)) % len(distinct)]
    return chosen


def _training_size(evidence: Evidence) -> int:
    """Return the number of training images: half of the budget, fewer if they are large or not so many exist."""
    size = evidence.train.shape[-1]
    most = evidence.budget.images // 2
    n = max(LEAST, int(most * min(1.0, (SIZE / size) ** 2)))
    return min(n, len(evidence.generated), len(evidence.train))


def _figure(by_class: list[dict[str, Any]]) -> Figure | None:
    """Plot the accuracy of each class by training set; None without matplotlib."""

    def draw(axes: Axes) -> None:
        for shift, (name, colour) in zip(
            (-0.25, 0, 0.25), (("real", "train"), ("few real", "null"), ("generated",) * 2)
        ):
            positions = [i + shift for i in range(len(by_class))]
            values = [row[name] for row in by_class]
            axes.bar(positions, values, 0.25, color=figures.COLOURS[colour], label=f"from {name}")
        step = max(1, len(by_class) // 20)
        axes.set_xticks(range(0, len(by_class), step), [row["class"] for row in by_class][::step])
        axes.set(xlabel="class", ylabel="accuracy on held-out images", ylim=(0, 1.02))
        axes.legend(loc="lower left", ncols=3)

    return figures.plot(
        draw,
        "accuracy",
        "Accuracy on held-out images of each class, by training set. A class with a low accuracy from generated images "
        "only is drawn badly, or not at all.",
    )
