"""Figure of `docs/alarms.md`: signals of broken runs around the break, from the branches that `alarms.py` has trained.

python studies/alarm_pictures.py work=FOLDER seed=1
"""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from zoo.alarms.records import read_jsonl
from zoo.config.command_line import checked_arguments, run_command

HERE = Path(__file__).parent
PANELS = [
    ("ProGAN", "penalty_off", "score/scale", "overshoot: spread of the discriminator's scores"),
    ("WGANGP", "penalty_off", "gradient/d", "escalation: gradient of the discriminator"),
    ("ProGAN", "generator_rate", "diversity", "collapse: distance between images, real ones: 1"),
    ("DCGAN", "frozen", "duplicates", "collapse: share of near-duplicates"),
]


def draw(work: str, seed: int = 1) -> Path:
    """Draw one panel for each of four broken runs, with a dotted line at the break and a dashed one at the first alarm.

    Args:
        work: the folder of `alarms.py part=rings`, with its branches.
        seed: seed of the runs.
    """
    rows = json.loads((HERE / "results" / "alarms_rings.json").read_text())["rows"]
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    for i, (variant, kind, signal, title) in enumerate(PANELS):
        key = (variant, kind, seed)
        row = next(row for row in rows if (row["variant"], row["breakage"], row["seed"]) == key)
        seen = read_jsonl(Path(work) / f"{variant}-{seed}-{kind}" / "alarms" / "signals.jsonl")
        seen = [point for point in seen if point["round"] > row["break_after"] - 120]
        axes = figure.add_subplot(2, 2, i + 1)
        axes.plot(
            [point["round"] for point in seen], [float(point["values"][signal]) for point in seen], color="#3d7ecc"
        )
        axes.axvline(row["break_after"], color="#70757d", linestyle=":", label="broken")
        if row["first_alarm"]:
            axes.axvline(row["first_alarm"], color="#b3261e", linestyle="--", label=f"alarm: {row['alarms'][0][1]}")
        if signal in ("score/scale", "gradient/d"):
            axes.set_yscale("log")
        axes.set_title(f"{title} ({variant})", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.set_xlabel("round", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7, frameon=False)
    path = HERE.parent / "docs" / "images" / "alarms_broken.png"
    figure.savefig(path, dpi=90)
    return path


def main(**arguments: object) -> None:
    """Draw the figure: work=FOLDER seed=1."""
    print(draw(**checked_arguments(draw, arguments)))


if __name__ == "__main__":
    run_command("studies.alarm_pictures", main)
