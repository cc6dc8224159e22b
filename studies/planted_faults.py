"""Does the audit raise an alarm for every planted fault, and none for honest data?

    python studies/planted_faults.py data=mnist seeds=[0,1,...,19]
    python studies/planted_faults.py data=cifar seeds=[0,1,...,19] budget=standard
    python studies/planted_faults.py data=digits seeds=[3] subjects=[honest,memoriser]     # a piece; rows are kept

Each seed splits the images anew into training, held-out and honest ones (sizes in `SIZES`), and plants subjects whose
fault is known (`zoo.audit.planted`). A fault counts as found when the verdict of the whole audit names it; an honest
subject passes when the verdict is `healthy`. For subjects of exactly k images also: whether the interval of the support
holds k, and the ratio of the estimate to k. All questions that can flag anything are asked.

*mnist*: MNIST at 16 px, extractor `digits`. *digits*: scikit-learn's 1,797 digits at 16 px, extractor `digits`.
*cifar*: CIFAR-10 (JPEG), a folder of images, extractor `effnet-lite0`. Rows go to `results/planted_faults_DATA.json`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from rows import RESULTS, Rows
from torch import Tensor

from zoo.audit import audit, planted
from zoo.config.command_line import checked_arguments, run_command
from zoo.data import MNIST, Digits, Folder, Images
from zoo.evaluation.classification_accuracy import wilson
from zoo.features import Extractor, extractor

QUESTIONS = ["discriminator", "copying", "support", "coverage", "sharpness"]
SIZES = {"mnist": (10_000, 5_000, 5_000), "digits": (700, 500, 597), "cifar": (2_500, 1_500, 1_500)}
EXTRACTORS = {"mnist": "digits", "digits": "digits", "cifar": "effnet-lite0"}

Planted = Callable[["Real", int], Any]


class Real:
    """One seed's split of the images: training, held-out and honest ones, and all that are in neither of the first two.

    Args:
        images: (N, C, H, W) in [-1, 1].
        labels: classes (N,).
        sizes: of the three parts.
        seed: of the split.
    """

    def __init__(self, images: Tensor, labels: Tensor, sizes: tuple[int, int, int], seed: int) -> None:
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        train, held, honest = order.split([sizes[0], sizes[1], len(images) - sizes[0] - sizes[1]])
        self.train, self.train_labels = images[train], labels[train]
        self.held_out, self.held_out_labels = images[held], labels[held]
        self.rest, self.rest_labels = images[honest], labels[honest]
        self.honest, self.honest_labels = self.rest[: sizes[2]], self.rest_labels[: sizes[2]]


def finite(k: int) -> Planted:
    """Exactly k images that are not among the training images."""
    return lambda real, seed: planted.Finite(real.rest, k, seed)


def memoriser(share: float, **changes: Any) -> Planted:
    """Copies for a share of what it draws."""
    return lambda real, seed: planted.Memoriser(real.train, share, real.honest, **changes)


SUBJECTS: dict[str, tuple[str, Planted]] = {
    "honest": ("healthy", lambda real, seed: planted.Honest(real.honest)),
    "memoriser": ("memorising", memoriser(1.0)),
    "memoriser_augmented": ("memorising", memoriser(1.0, shift=1, noise=0.05)),
    "copies_20_percent": ("memorising", memoriser(0.2)),
    "copies_5_percent": ("memorising", memoriser(0.05)),
    "copies_1_percent": ("memorising", memoriser(0.01)),
    "mirrored_copies_5_percent": ("memorising", memoriser(0.05, mirrored=True)),
    "finite_100": ("collapsed", finite(100)),
    "finite_1000": ("collapsed", finite(1_000)),
    "finite_10000": ("", finite(10_000)),
    "one_image_per_class": (
        "collapsed",
        lambda real, seed: planted.OneImagePerClass(real.rest, real.rest_labels, seed, noise=0.02),
    ),
    "dropper_1": (
        "dropping classes",
        lambda real, seed: planted.Dropper(real.honest, real.honest_labels, (seed % 10,)),
    ),
    "dropper_3": (
        "dropping classes",
        lambda real, seed: planted.Dropper(real.honest, real.honest_labels, tuple((seed + i) % 10 for i in range(3))),
    ),
    "noisy": ("noisy", lambda real, seed: planted.Noisy(real.honest)),
    "blurred": ("blurred", lambda real, seed: planted.Blurred(real.honest)),
    "memorising_discriminator": (
        "discriminator overfitted",
        lambda real, seed: planted.WithMemorisingDiscriminator(real.honest, real.train),
    ),
}
"""What the verdict must name, and how the subject is made. Of 10,000 images nothing is demanded but their number."""


class Remembering(Extractor):
    """An extractor that keeps the features of every image it has seen: seeds share most images.

    Args:
        inner: the extractor.
    """

    def __init__(self, inner: Extractor) -> None:
        super().__init__(inner.name, inner.width, inner.protocol, 512)
        self.inner, self.logits_width = inner, inner.logits_width
        self.rows: dict[bytes, tuple[Tensor, Tensor | None]] = {}

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (B, width) and logits, from memory where they are there."""
        keys = [image.mul(127.5).round().to(torch.int8).numpy().tobytes() for image in images]
        new = [i for i, key in enumerate(keys) if key not in self.rows]
        for part in torch.tensor(new, dtype=torch.long).split(self.inner.batch_size):
            values, logits = self.inner.features_and_logits(images[part])
            for j, i in enumerate(part.tolist()):
                self.rows[keys[i]] = (values[j].clone(), None if logits is None else logits[j].clone())
        rows = [self.rows[key] for key in keys]
        first = rows[0][1]
        logits = None if first is None else torch.stack([row[1] for row in rows if row[1] is not None])
        return torch.stack([row[0] for row in rows]), logits


def load(data: str, root: str) -> tuple[Tensor, Tensor]:
    """All images (N, C, H, W) in [-1, 1] and their classes."""
    source: Images
    if data == "mnist":
        source = MNIST(root=root, resolution=16, channels=1)
    elif data == "cifar":
        source = Folder(f"{root}/cifar/train", resolution=32, labels=True)
    else:
        source = Digits(resolution=16)
    source.setup()
    parts = [
        source.train.batch(torch.arange(len(source.train))),
        source.held_out.batch(torch.arange(len(source.held_out))),
    ]
    images = torch.cat([part.images.contiguous() for part in parts]).float() / 127.5 - 1
    labels = torch.cat([part.labels for part in parts if part.labels is not None])
    if data == "cifar":  # features of all 50,000 would take an hour on one core
        chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[: sum(SIZES[data])]
        images, labels = images[chosen], labels[chosen]
    return images, labels


def row(data: str, name: str, seed: int, real: Real, network: Extractor, budget: str) -> dict[str, Any]:
    """Audit one planted subject."""
    expected, make = SUBJECTS[name]
    began = time.monotonic()
    with mock.patch("zoo.audit.findings.figures.can_plot", return_value=False):  # nobody looks at hundreds of reports
        report = audit(
            make(real, seed),
            real.train,
            real.held_out,
            labels=(real.train_labels, real.held_out_labels),
            budget=budget,
            seed=seed,
            only=QUESTIONS,
            features=network,
            name=name,
        )
    found: dict[str, Any] = {
        "subject": name,
        "seed": seed,
        "budget": budget,
        "expected": expected,
        "verdict": list(report.verdict),
        "right": (expected in report.verdict) if expected else None,
        "summary": report.summary,
    }
    if name.startswith("finite_"):
        k, support = int(name.split("_")[1]), report["support"]["support"]
        found |= {"support": support.value, "low": support.low, "high": support.high, "k": k}
        found["inside"] = (support.low or 0) <= k <= (support.high or float("inf"))
    return found | {"seconds": round(time.monotonic() - began, 1)}


def table(rows: list[dict[str, Any]]) -> str:
    """One line for each subject."""
    lines = [
        "| subject | must be named | named | 95 % interval | other verdicts | support |",
        "|---|---|---|---|---|---|",
    ]
    for name, (expected, _) in SUBJECTS.items():
        mine = [r for r in rows if r["subject"] == name]
        if not mine:
            continue
        hits = [bool(r["right"]) for r in mine if r["right"] is not None]
        share = f"{sum(hits)} of {len(hits)}" if hits else ""
        interval = "{:.0%} to {:.0%}".format(*wilson(sum(hits), len(hits))) if hits else ""
        others = sorted({v for r in mine for v in r["verdict"]} - {expected})
        text = ""
        if "inside" in mine[0]:
            ratios = [r["support"] / r["k"] for r in mine]
            inside = sum(r["inside"] for r in mine)
            text = f"inside {inside} of {len(mine)}, estimate / k {min(ratios):.2f} to {max(ratios):.2f}"
        counts = ", ".join(f"{v} ({sum(v in r['verdict'] for r in mine)})" for v in others)
        lines.append(f"| {name} | {expected} | {share} | {interval} | {counts} | {text} |")
    return "\n".join(lines)


def study(
    data: str = "mnist",
    seeds: list[int] | None = None,
    subjects: list[str] | None = None,
    budget: str = "standard",
    root: str = "data",
    minutes: float = 0.0,
    out: str = "",
) -> None:
    """Run what is missing, save after every row, print the table.

    Args:
        data: `mnist`, `digits` or `cifar`.
        seeds: of splits, subjects and audits; None for 0 to 19.
        subjects: names; None for all that the data have enough images for.
        budget: of the audits.
        root: folder with the images: `MNIST/raw`, `cifar/train/CLASS`.
        minutes: after which nothing new is begun; 0 for no bound.
        out: results file; empty for the study's own.
    """
    images, labels = load(data, root)
    network = Remembering(extractor(EXTRACTORS[data]))
    spare = len(images) - SIZES[data][0] - SIZES[data][1]
    possible = [n for n in SUBJECTS if not n.startswith("finite_") or int(n.split("_")[1]) <= spare]
    path = Path(out) if out else RESULTS / f"planted_faults_{data}.json"
    rows = Rows(path, __doc__, sizes=SIZES[data], questions=QUESTIONS, extractor=network.protocol)
    began = time.monotonic()
    for seed in range(20) if seeds is None else seeds:
        real = Real(images, labels, SIZES[data], seed)
        for name in subjects or possible:
            late = minutes and time.monotonic() - began > 60 * minutes
            if late or rows.has(subject=name, seed=seed, budget=budget):
                continue
            found = row(data, name, seed, real, network, budget)
            rows.about["table"] = table([*rows, found])
            rows.leave([found])
            print(seed, name, found["verdict"], found["seconds"], "s", flush=True)
    print(table(rows))


def main(**words: Any) -> None:
    """Run the study; see the module's text.

    data=mnist seeds=[0,1] subjects=[honest,memoriser] budget=standard root=data minutes=0 out=FILE.json
    """
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("planted_faults", main)
