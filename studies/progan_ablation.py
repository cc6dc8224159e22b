"""What do pixel norm and the equalized learning rate change? A 2 x 2 of ProGAN on digits, with the alarms' signals.

    python studies/progan_ablation.py seed=0 [work=FOLDER]

Protocol: `progan_digits` up to 8 px (8,000 images at 4 px, 2,000 to fade), 24,000 images, one seed, with and without
pixel norm in the generator and equalized rates in both networks; all four at the recipe's learning rate of 0.001.
Written: the signals of each run, thinned, and the picture in `docs/images/progan_ablation.png`.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from rows import FIGURES, train_fully

import zoo
import zoo.training.terms
from zoo.alarms.records import read_jsonl
from zoo.config.command_line import checked_arguments, run_command

HERE = Path(__file__).parent
SIGNALS = {
    "generator's activations": "activation/g/",
    "discriminator's activations": "activation/d/",
    "generator's weights": "weight/g/",
    "discriminator's scores": "score/scale",
}


def run_one(pixel_norm: bool, equalized: bool, seed: int, work: Path) -> dict[str, Any]:
    """Train and keep, for each kind of signal, the largest layer's value over its first one."""
    folder = work / f"{pixel_norm}-{equalized}"
    model = {
        "resolution": 8,
        "hold_images": 8_000,
        "fade_images": 2_000,
        "pixel_norm": pixel_norm,
        "equalized": equalized,
    }
    ended = ""
    try:
        train_fully(
            "progan_digits",
            out=folder,
            images=24_000,
            seed=seed,
            model=model,
            callbacks={"SampleGrid": None, "SampleMetrics": None, "SaveEvery": None, "Alarms": {}},
        )
    except zoo.training.terms.NonFiniteLossError as error:
        ended = str(error)[:100]
    rows = read_jsonl(folder / "alarms" / "signals.jsonl")
    series = {what: curve(rows, prefix) for what, prefix in SIGNALS.items()}
    return {
        "pixel_norm": pixel_norm,
        "equalized": equalized,
        "seed": seed,
        "images_seen": [r["images_seen"] for r in rows],
        "series": series,
        "ended": ended,
        "alarms": [[e["round"], e["alarm"], e["reason"]] for e in read_jsonl(folder / "alarms" / "events.jsonl")],
    }


def curve(rows: list[dict[str, Any]], prefix: str) -> list[float]:
    """At each reading the largest value among the signals of a kind."""
    return [float(f"{max(float(v) for name, v in row['values'].items() if wanted(name, prefix)):.4g}") for row in rows]


def wanted(name: str, prefix: str) -> bool:
    """Whether a signal is of the kind, and comparable between networks with and without pixel norm."""
    return name.startswith(prefix) and "normalise" not in name


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """A panel for each kind of signal, a line for each of the four."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    colours = {(True, True): "#2f9a6a", (False, True): "#3d7ecc", (True, False): "#d5762a", (False, False): "#b3261e"}
    for i, what in enumerate(SIGNALS):
        axes = figure.add_subplot(2, 2, i + 1)
        for row in rows:
            key = row["pixel_norm"], row["equalized"]
            label = f"{'pixel norm' if key[0] else 'no pixel norm'}, {'equalized' if key[1] else 'plain'} rate"
            axes.plot(row["images_seen"], row["series"][what], color=colours[key], label=label, linewidth=1.2)
        axes.set_yscale("log")
        axes.set_title(f"{what} (RMS, largest layer)" if i < 3 else f"{what} (spread)", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        if not i:
            axes.legend(fontsize=7, frameon=False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=80)


def study(seed: int = 0, work: str = "") -> None:
    """Train all four, write the result and the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = [run_one(p, e, seed, Path(work or scratch)) for p in (True, False) for e in (True, False)]
    path = HERE / "results" / "progan_ablation.json"
    path.write_text(json.dumps({"protocol": (__doc__ or "").strip(), "rows": rows}) + "\n")
    draw(rows, FIGURES / "progan_ablation.png")
    for row in rows:
        tail = {what: statistics.median(values[-10:]) for what, values in row["series"].items()}
        print(row["pixel_norm"], row["equalized"], tail, row["alarms"], row["ended"])


def main(**words: Any) -> None:
    """Train ProGAN with and without pixel norm and equalized rates: seed=0 work=FOLDER."""
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command("studies.progan_ablation", main)
