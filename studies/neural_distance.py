"""How many images must a generator know by heart before a discriminator of n parameters cannot tell it from the data?

    python studies/neural_distance.py root=FOLDER [seeds=[0,1,2] widths=[4,16,64,256,1024] sizes=[10,...,30000]]

Arora et al. 2017 (arXiv:1703.00573, corollary 3.2 and the text around it): the uniform distribution on m samples of the
data is within eps of the data for every discriminator of n parameters once m is of the order of n log n / eps^2.

Protocol. Fashion-MNIST at 16 px. The data are represented by `OTHERS` training images, the generator by the uniform
distribution on m other training images. A discriminator (three dense layers of `width`, ReLU, a sigmoid at the end;
n parameters) is trained to tell them apart, by the logistic loss and Adam at 1e-3, for `steps` steps with 128 images of
each. Its distance is E D(x) over the m images less E D(x) over test images, which it never saw: 0 if it cannot tell
them apart, 1 if it knows all m by heart. Measured every 100 steps on one half of the test images, and reported for the
step with the largest value on the other half (`distance`), so that the choice does not favour it. `own` is the same
with the training images that stand for the data in place of test images: what it achieves on what it was trained on.

`m_half` of each width is the m at which the distance falls to a half, interpolated in log m. FOLDER has the data set in
torchvision's layout. Rows are written as they come; those that are there are not computed again.
"""

from __future__ import annotations

import math
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import RESULTS, Rows
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

import zoo
from zoo.config.command_line import checked_arguments, run_command

NAME = "neural_distance"
OTHERS, BATCH, EVERY = 25_000, 128, 100


def images_of(root: str) -> tuple[Tensor, Tensor]:
    """Training images (60,000, 256) and test images (10,000, 256) at 16 px."""
    pool = zoo.data.FashionMNIST(root=root, resolution=32, channels=1).read()
    assert pool.held_out is not None
    images = torch.from_numpy(np.array(pool.at(16))).flatten(1).float() / 127.5 - 1
    test = torch.zeros(len(images), dtype=torch.bool)
    test[torch.from_numpy(pool.held_out)] = True
    return images[~test], images[test]


def network(width: int) -> nn.Sequential:
    """Three dense layers of a width."""
    return nn.Sequential(
        nn.Linear(256, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1), nn.Flatten(0)
    )


@torch.no_grad()
def mean_of(model: nn.Module, images: Tensor) -> float:
    """Mean of D(x)."""
    return float(torch.cat([model(part).sigmoid() for part in images.split(5_000)]).mean())


def row(train: Tensor, test: Tensor, width: int, m: int, seed: int, steps: int) -> dict[str, Any]:
    """One discriminator, measured."""
    began = time.monotonic()
    torch.manual_seed(seed)
    order = torch.randperm(len(train))
    known, others = train[order[:m]], train[order[len(order) - OTHERS :]]
    halves = test[torch.randperm(len(test))].chunk(2)
    model = network(width)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    best = (-1.0, 0.0, 0.0, 0)
    for step in range(1, steps + 1):
        scores = model(torch.cat([known[torch.randint(m, (BATCH,))], others[torch.randint(OTHERS, (BATCH,))]]))
        loss = binary_cross_entropy_with_logits(scores, (torch.arange(2 * BATCH) < BATCH).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % EVERY == 0:
            own = mean_of(model, known)
            chosen = own - mean_of(model, halves[0])
            if chosen > best[0]:
                best = (chosen, own - mean_of(model, halves[1]), own - mean_of(model, others[:5_000]), step)
    return {
        "width": width,
        "parameters": sum(p.numel() for p in model.parameters()),
        "m": m,
        "seed": seed,
        "steps": steps,
        "distance": round(best[1], 4),
        "own": round(best[2], 4),
        "best_step": best[3],
        "seconds": round(time.monotonic() - began),
    }


def halves(rows: list[dict[str, Any]]) -> dict[int, list[float]]:
    """The m at which the distance falls to a half, by number of parameters, for each seed that has such an m."""
    found: dict[int, list[float]] = {}
    for n in sorted({r["parameters"] for r in rows}):
        for seed in sorted({r["seed"] for r in rows}):
            course = sorted((r["m"], r["distance"]) for r in rows if r["parameters"] == n and r["seed"] == seed)
            for (m0, d0), (m1, d1) in pairwise(course):
                if d0 >= 0.5 > d1:
                    share = (d0 - 0.5) / (d0 - d1)
                    found.setdefault(n, []).append(math.exp(math.log(m0) + share * math.log(m1 / m0)))
                    break
    return found


def study(
    root: str,
    seeds: list[int] = [0, 1, 2],
    widths: list[int] = [4, 16, 64, 256, 1024],
    sizes: list[int] = [10, 30, 100, 300, 1000, 3000, 10000, 30000],
    steps: int = 3_000,
    out: str = str(RESULTS),
) -> None:
    """Compute the rows that are missing, and print at which m the distance falls to a half."""
    rows = Rows(Path(out) / f"{NAME}.json", __doc__)
    torch.set_num_threads(1)
    train, test = images_of(root)
    for seed in seeds:
        for width in widths:
            for m in sizes:
                if not rows.has(width=width, m=m, seed=seed, steps=steps):
                    rows.leave([row(train, test, width, m, seed, steps)])
                    print(rows[-1], flush=True)
    for n, values in halves(rows).items():
        print(f"{n:,} parameters: m at a half {', '.join(f'{value:,.0f}' for value in values)}")


def main(**words: Any) -> None:
    """Measure the neural-net distance against the number of known images: root=FOLDER seeds= widths= sizes=."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command(f"studies.{NAME}", main)
