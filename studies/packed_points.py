"""How many modes of a ring and a grid of Gaussians does a GAN reach whose discriminator judges several points together?

    python studies/packed_points.py                                  # ring and grid, packs of 1, 2 and 4, seeds 0 to 4
    python studies/packed_points.py data=[grid] packs=[4] seeds=[5] epochs=400

Protocol: that of Lin et al. 2018 (PacGAN, arXiv:1712.04086, section 4.1): the recipes `vanilla_ring` and `vanilla_grid`
with `packing` set, 100 packs a batch, 1,000 rounds an epoch; theirs are 400 epochs and ten runs. 2,500 samples of the
last generator; a sample is of high quality within three deviations of a centre, a mode counts with one such sample, and
KL is of the modes of these samples from uniform, in nats. Points are scaled into [-1, 1], and 90,000 are trained on.

Rows go to `results/packed_points.json` as they are done, the table to `packed_points.md` and, with the committed
results, to `README.md`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rows import RESULTS, Rows, train_fully
from tables import markdown, mean_and_deviation

from zoo.config.command_line import checked_arguments, run_command
from zoo.data import Grid, Ring
from zoo.metrics import ModeCount

PAGE = RESULTS.parent / "README.md"
BEGIN, END = "<!-- packs begin: python studies/packed_points.py train=false -->", "<!-- packs end -->"
EPOCH, BATCH, SAMPLES, WHOLE = 1_000, 100, 2_500, 400  # rounds of an epoch, packs of a batch, samples, epochs
SOURCES: dict[str, type[Ring] | type[Grid]] = {"ring": Ring, "grid": Grid}
PUBLISHED = (
    ("ring", "GAN", "6.3 ± 0.5", "98.2", "0.45"),
    ("ring", "PacGAN2", "7.9", "95.6", "0.07"),
    ("ring", "PacGAN4", "7.8", "95.9", "0.07"),
    ("grid", "GAN", "17.3", "94.8", "0.70"),
    ("grid", "PacGAN2", "23.8", "91.3", "0.13"),
    ("grid", "PacGAN4", "24.8", "93.6", "0.04"),
)


def one(data: str, pack: int, seed: int, epochs: float) -> dict[str, Any]:
    """Train, sample and count once."""
    images = int(epochs * EPOCH) * BATCH * pack
    with tempfile.TemporaryDirectory() as scratch:
        run = train_fully(
            f"vanilla_{data}",
            out=f"{scratch}/run",
            seed=seed,
            images=images,
            model={"packing": pack},
            data={"batch_size": BATCH * pack},
            callbacks={"Alarms": None, "SampleGrid": None, "SampleMetrics": None, "SaveEvery": {"every": images}},
        )
    count = ModeCount(centres=SOURCES[data]().centres, deviation=SOURCES[data].deviation)
    count.update(run.model.eval().cpu().sample(SAMPLES, seed=1_000 + seed), real=False)
    counted = {key: float(value) for key, value in count.compute().items()}
    return {"data": data, "packing": pack, "seed": seed, "epochs": epochs, "images": images, **counted}


def table(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table of the rows, mean and deviation over seeds, above the published ones."""
    heads, lines = ["points", "packs of", "protocol", "seeds", "modes", "high quality, %", "KL"], []
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for r in sorted(rows, key=lambda r: (r["data"] != "ring", r["packing"], r["epochs"])):
        groups.setdefault((r["data"], r["packing"], r["epochs"]), []).append(r)
    for (data, pack, epochs), mine in groups.items():
        cells = [data, str(pack), f"{epochs:g} of {WHOLE} epochs", str(len(mine))]
        for key, factor, form in (("modes", 1, "{:.1f}"), ("high_quality", 100, "{:.1f}"), ("kl", 1, "{:.2f}")):
            cells.append(mean_and_deviation([factor * r[key] for r in mine], form))
        lines.append(cells)
    lines += [[data, name, "published", "10", *values] for data, name, *values in PUBLISHED]
    return "\n".join(markdown(heads, lines))


def study(
    data: list[str] | None = None,
    packs: list[int] | None = None,
    seeds: list[int] | None = None,
    epochs: float = 25,
    out: str = "",
    train: bool = True,
    collect: list[str] | None = None,
) -> None:
    """Run what is missing, save after every run, write and print the table.

    Args:
        data: `ring`, `grid`; None for both.
        packs: numbers of points that the discriminator judges together; None for 1, 2 and 4.
        seeds: seeds of weights, latents and order; None for 0 to 4.
        epochs: length in epochs of 1,000 rounds; 400 in the published ones.
        out: results file; empty for the study's own.
        train: whether to train; False only writes the table.
        collect: results files of other calls, whose rows are added first.
    """
    path = Path(out) if out else RESULTS / "packed_points.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = Rows(path, __doc__, samples=SAMPLES)
    found.collect(collect or [], ("data", "packing", "seed", "epochs"))
    for seed in (seeds if seeds is not None else range(5)) if train else ():
        for name in data or SOURCES:
            for pack in packs or (1, 2, 4):
                if not found.has(data=name, packing=pack, seed=seed, epochs=epochs):
                    found.leave([one(name, pack, seed, epochs)])
                    print(found[-1], flush=True)
    shown = table(found)
    path.with_suffix(".md").write_text(shown + "\n")
    found.show([shown], PAGE, BEGIN, END)


def main(**words: Any) -> None:
    """Count modes of packed points: data=[ring,grid] packs=[1,2,4] seeds=[0,1] epochs=25 out=FILE."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.packed_points", main)
