"""Are copies found that were shifted, mirrored, cropped or re-encoded, and is each listed with what it copies?

    python studies/moved_copies.py data=cifar root=cifar10_jpg/train seeds=[0,1]
    python studies/moved_copies.py data=faces root=faces seeds=[0,1] kinds=[honest,shifted] minutes=30

Each seed splits a folder of images anew into training, held-out and honest ones (`sizes`), and replaces `share` of the
honest ones by changed copies of distinct training images (`zoo.audit.statistics.changes`: shifted by an eighth of the
side in both directions, mirrored, cropped to 80 % of the side, JPEG of quality 40, brightened, blended 70 : 30). One
audit each, `only=copying`, with the extractor `pixels`, so that what is found is found without a network. A row has the
verdict, whether the 95 % interval of the share of copies holds the planted share, the share of the planted copies that
`copies.csv` lists with the right training image, and how many honest images it lists.

Rows are kept; a second call adds what is missing. They go to `results/moved_copies.json`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from rows import RESULTS, Rows
from torch import Tensor

from zoo.audit import audit
from zoo.audit.statistics.changes import CHANGES
from zoo.config.command_line import checked_arguments, run_command
from zoo.data import Folder
from zoo.data.pool import to_float
from zoo.metrics.intervals import wilson
from zoo.rendering.pictures import to_uint8

HONEST = "honest"
KINDS = (HONEST, "shifted", "mirrored", "cropped", "re-encoded", "brightened", "blended")


def load(root: str, size: int) -> Tensor:
    """Return all images of a folder as uint8, (N, 3, size, size)."""
    source = Folder(root, resolution=size, held_out=0)
    source.setup()
    return source.train.batch(torch.arange(len(source.train))).images.contiguous()


def row(images: Tensor, data: str, kind: str, seed: int, sizes: list[int], share: float, budget: str) -> dict[str, Any]:
    """Audit one planted generator."""
    rng = torch.Generator().manual_seed(seed)
    chosen = images[torch.randperm(len(images), generator=rng)[: sum(sizes)]]
    train, held_out, generated = (part.clone() for part in torch.split(chosen, sizes))
    copied = 0 if kind == HONEST else round(share * len(generated))
    truth = torch.randperm(len(train), generator=rng)[:copied]
    if copied:
        generated[:copied] = to_uint8(CHANGES[kind](to_float(train[truth]), rng))
    began = time.monotonic(), time.process_time()
    with mock.patch("zoo.audit.findings.figures.can_plot", return_value=False):  # nobody looks at hundreds of reports
        report = audit(generated, train, held_out, budget=budget, seed=seed, only=["copying"], features="pixels")
    finding = report["copying"]
    estimate = finding["share of copies"]
    (table,) = finding.tables
    listed = {int(entry[0]): int(entry[1]) for entry in table.rows}
    right = sum(listed.get(i) == int(truth[i]) for i in range(copied))
    assert estimate.low is not None
    assert estimate.high is not None
    return {
        "data": data,
        "kind": kind,
        "seed": seed,
        "sizes": sizes,
        "share": share if copied else 0.0,
        "budget": budget,
        "verdict": list(report.verdict),
        "named": bool("memorising" in report.verdict),
        "estimate": [estimate.value, estimate.low, estimate.high],
        "holds": bool(estimate.low <= 100 * copied / len(generated) <= estimate.high),
        "copies": copied,
        "right": right,
        "honest_listed": sum(i >= copied for i in listed),
        "honest_images": len(generated) - copied,
        "near_copies_held_out": finding.protocol["held-out images that are near copies of a training image"],
        "seconds": round(time.monotonic() - began[0], 1),
        "processor_seconds": round(time.process_time() - began[1], 1),
    }


def table_of(rows: list[dict[str, Any]]) -> str:
    """Return one line for each data set and kind."""
    lines = [
        "| data | copies | seeds | named memorising | interval holds the share | listed with the right training image "
        "| honest images listed |",
        "|---|---|---|---|---|---|---|",
    ]
    for data in dict.fromkeys(r["data"] for r in rows):
        for kind in KINDS:
            mine = [r for r in rows if r["data"] == data and r["kind"] == kind]
            if not mine:
                continue
            named, holds = (sum(r[key] for r in mine) for key in ("named", "holds"))
            copies, right = (sum(r[key] for r in mine) for key in ("copies", "right"))
            honest, n = (sum(r[key] for r in mine) for key in ("honest_listed", "honest_images"))
            low, high = wilson(right, copies) if copies else (0.0, 0.0)
            found = f"{right} of {copies} ({100 * low:.0f} to {100 * high:.0f} %)" if copies else ""
            lines.append(
                f"| {data} | {kind} | {len(mine)} | {named} | {holds} | {found} | {honest} of {n} "
                f"({100 * honest / n:.1f} %) |"
            )
    return "\n".join(lines)


def study(
    root: str,
    data: str = "cifar",
    seeds: list[int] | None = None,
    kinds: list[str] | None = None,
    sizes: list[int] | None = None,
    size: int = 0,
    share: float = 0.05,
    budget: str = "standard",
    minutes: float = 0.0,
    out: str = "",
) -> None:
    """Run what is missing, save after every row, print the table.

    Args:
        root: folder of images.
        data: name of the data in the results.
        seeds: seeds of splits and copies; None for 0 to 19.
        kinds: `honest` and kinds of changes; None for all.
        sizes: numbers of training, held-out and generated images; None for 2,000, 1,000 and 1,000.
        size: height and width in pixels; 0 for 32 (cifar) or 64.
        share: share of copies among the generated images.
        budget: budget of the audits.
        minutes: time after which nothing new is begun; 0 for no bound.
        out: results file; empty for the study's own.
    """
    images = load(root, size or (32 if data == "cifar" else 64))
    parts = sizes or [2_000, 1_000, 1_000]
    rows = Rows(Path(out) if out else RESULTS / "moved_copies.json", __doc__)
    began = time.monotonic()
    for seed in range(20) if seeds is None else seeds:
        for kind in kinds or KINDS:
            late = minutes and time.monotonic() - began > 60 * minutes
            if late or rows.has(data=data, kind=kind, seed=seed, sizes=parts, budget=budget):
                continue
            found = row(images, data, kind, seed, parts, share, budget)
            rows.about["table"] = table_of([*rows, found])
            rows.leave([found])
            print(seed, kind, found["verdict"], found["estimate"], found["right"], "of", found["copies"], flush=True)
    print(table_of(rows))


def main(**words: Any) -> None:
    """Run the study; see the module's text."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("moved_copies", main)
