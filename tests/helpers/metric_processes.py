"""A program for `tests/metrics/test_processes.py`: metrics on as many processes as it is told.

    python metric_processes.py FOLDER RANK PROCESSES

Each process takes its share of the samples, the second one fewer, and of the scores only the first has any. It leaves
FOLDER/RANK.pt with what every metric computed, before and after one more sample of its own.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor

from tests.helpers.metric_features import correlated
from zoo import metrics
from zoo.metrics.training_features import ThreeSets

SHARES = (130, 70)


def share(features: Tensor, rank: int, processes: int) -> Tensor:
    """This process's part of all samples."""
    return features if processes == 1 else torch.split(features, SHARES)[rank]


def newer(features: dict[bool, Tensor], rank: int, processes: int) -> dict[str, dict[str, Tensor]]:
    """What the metrics compute that need three sets of features, images, or draw by the order of samples."""
    found = {}
    of_features: tuple[metrics.FeatureMetric, ...] = (
        metrics.MIND(projections=20),
        metrics.Vendi(),
        metrics.RKE(),
        metrics.CMMD(),
        metrics.MiFID(),
        metrics.Authenticity(),
        metrics.ClippedDensityCoverage(),
        metrics.FLD(centres=150),
        metrics.DataCopying(cells=2, components=8),
        metrics.SpatialFID(12),
        metrics.Together([metrics.PrecisionRecall(), metrics.CMMD()]),
    )
    for metric in of_features:
        if isinstance(metric, ThreeSets):
            metric.update(share(features[True].flip(0) + 0.1, rank, processes), real=True, train=True)
        for real, side in features.items():
            metric.update(share(side, rank, processes), real=real)
        found[type(metric).__name__] = metric.compute()
    draw = torch.Generator().manual_seed(3)
    images = {real: torch.randint(0, 256, (sum(SHARES), 1, 16, 16), generator=draw).byte() for real in (True, False)}
    for metric in (metrics.SlicedWasserstein(patches=4, repeats=1), metrics.MSSSIM()):
        for real, side in images.items():
            odd = side if processes == 1 else torch.split(side, (129, 71))[rank]  # no pair ends with the first process
            metric.update(odd, real=real)
        found[type(metric).__name__] = metric.compute()
    return found


def main(folder: Path, rank: int, processes: int) -> None:
    """Compute everything and leave it."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if processes > 1:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=processes
        )
    n = sum(SHARES)
    features = {True: correlated(n, 12, 1) + 30, False: correlated(n, 12, 2, shift=0.2) + 30}
    classes = {real: (side.sum(1) * 3).long() % 6 for real, side in features.items()}
    feature_metrics = (
        metrics.FID(12),
        metrics.FIDInfinity(points=4),
        metrics.KID(subsets=5, subset_size=50),
        metrics.PRD(5, runs=2),
        metrics.PrecisionRecall(),
        metrics.DensityCoverage(),
        metrics.InceptionScore(splits=4),
        metrics.ModeCount(centres=features[True][:9], deviation=1.0),
    )
    histogram = metrics.ClassHistogram(6)
    named: dict[str, tuple[metrics.FeatureMetric, dict[bool, Tensor]]] = {
        **{type(metric).__name__: (metric, features) for metric in feature_metrics},
        "ModeCount of classes": (metrics.ModeCount(modes=6), classes),
        "ClassHistogram": (histogram, classes),
    }
    found = {}
    for name, (metric, data) in named.items():
        for real, side in data.items():
            for part in torch.split(share(side, rank, processes), 40):
                metric.update(part, real=real)
        found[name] = metric.compute()
        if name != "PRD":  # which wants equally many of both
            metric.update(share(data[True], rank, processes)[:1], real=True)  # it goes on from its own samples
            found[f"{name} again"] = metric.compute()
    found |= newer(features, rank, processes)
    found["own samples"] = torch.stack([histogram.real_counts.sum(), histogram.fake_counts.sum()])
    only_first = metrics.InceptionScore(splits=2)
    if rank == 0:
        only_first.update(features[False], real=False)
    found["only first"] = only_first.compute()
    torch.save(found, folder / f"{rank}.pt")
    if processes > 1:
        torch.distributed.destroy_process_group()  # else its threads may end the interpreter with an abort


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
