"""How strong should R1 and R2 be on small images? R3GAN on digits with weights of 0.3 to 30, annealed or constant.

    python studies/penalty_strength.py [weights=[1,3,10,30] seeds=[0,1,2] finals=[1.0]]
    python studies/penalty_strength.py train=false         # the table alone

Protocol: the recipe `r3gan_digits` at its full length, bf16-mixed, one thread, with `r1` and `r2` of a weight, which
moves to `final` times that weight along half a cosine: 1 keeps it, 0.1 is the authors' schedule. Before this study the
recipe had 1, falling to 0.1. Measured on the averaged generator as in `penalty_precision.py`: Fréchet distance,
precision, recall and coverage (k = 5) of 1,618 samples against all training images in the features of the digit
classifier, and the share of readable digits.

Rows are written as they come; those that are there are not computed again. A grid of seed 0 lies beside the results;
the table of the committed results is written into `README.md`.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

from penalty_precision import readable, summary
from rows import RESULTS, Rows, train_fully
from tables import markdown, mean_and_deviation

from zoo.config.command_line import checked_arguments, run_command
from zoo.evaluate import evaluate
from zoo.rendering import pictures

NAME, RECIPE = "penalty_strength", "r3gan_digits"
PAGE = RESULTS.parent / "README.md"
BEGIN, END = f"<!-- strength begin: python studies/{NAME}.py train=false -->", "<!-- strength end -->"
QUIET = {"SampleGrid": None, "SampleMetrics": None, "Alarms": {}}


def row(weight: float, final: float, seed: int, out: Path) -> dict[str, Any]:
    """Train once and measure; the picture of seed 0 goes beside the results."""
    with tempfile.TemporaryDirectory() as scratch:
        run = train_fully(
            RECIPE,
            out=f"{scratch}/run",
            seed=seed,
            model={"r1": weight, "r2": weight, "penalty_final": final * weight},
            trainer={"precision": "bf16-mixed", "threads": 1},
            callbacks=QUIET,
        )
        measured = evaluate(checkpoint=f"{scratch}/run", metrics="fid,prdc", split="train", out=f"{scratch}/n.json")
    model = run.model.eval()
    if seed == 0:
        pictures.save(pictures.grid(model.sample(64, seed=1), 8), out / f"{NAME}_{weight:g}_{final:g}.png")
    numbers = {number.key: summary(number) for number in measured.rows[0]["numbers"]}
    return {"weight": weight, "final": final, "seed": seed, "images": model.images_seen, **numbers} | readable(
        model, RECIPE
    )


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of a table, mean and deviation over seeds, weak penalties first."""
    heads = ["weight of R1 and R2", "seeds", "distance", "precision", "recall", "coverage", "readable, %"]
    columns = (("fid", "{:.2f}"), ("precision", "{:.2f}"), ("recall", "{:.2f}"), ("coverage", "{:.2f}"))
    lines = []
    for weight, final in sorted({(r["weight"], r["final"]) for r in rows}):
        own = [r for r in rows if (r["weight"], r["final"]) == (weight, final)]
        name = f"{weight:g}" if final == 1 else f"{weight:g}, falling to {final * weight:g}"
        cells = [mean_and_deviation([r[key]["value"] for r in own], form) for key, form in columns]
        cells.append(mean_and_deviation([100 * r["readable"] for r in own], "{:.1f}"))
        lines.append([name, str(len(own)), *cells])
    return markdown(heads, lines)


def study(
    weights: list[float] = [1.0, 3.0, 10.0, 30.0],
    finals: list[float] = [1.0],
    seeds: list[int] = [0, 1, 2],
    out: str = str(RESULTS),
    train: bool = True,
) -> None:
    """Compute the rows that are missing, write and print the table.

    Args:
        weights: weights of both penalties at the start.
        finals: shares of the weights at the end.
        seeds: training seeds.
        out: folder of the results.
        train: whether to train; False only writes the table.
    """
    rows = Rows(Path(out) / f"{NAME}.json", __doc__)
    for seed in seeds if train else ():
        for weight in weights:
            for final in finals:
                if not rows.has(weight=weight, final=final, seed=seed):
                    rows.leave([row(weight, final, seed, Path(out))])
                    print(rows[-1], flush=True)
    rows.show(table(rows), PAGE, BEGIN, END)


def main(**words: Any) -> None:
    """Compare strengths of R1 and R2: weights=[1,3,10,30] finals=[1.0,0.1] seeds=[0,1,2] out=FOLDER."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    study(**checked_arguments(study, words))


if __name__ == "__main__":
    run_command(f"studies.{NAME}", main)
