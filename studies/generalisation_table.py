"""Write the tables of `docs/questions/discriminators.md` from the results of `generalisation.py`.

    python studies/generalisation.py root=FOLDER
    python studies/generalisation_table.py

A number is the mean over the seeds, in brackets the smallest and the largest one where there are several.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rows import RESULTS, read_rows
from tables import markdown, mean_and_range, write_between

STUDIES = Path(__file__).resolve().parent
PAGE = STUDIES.parent / "docs" / "questions" / "discriminators.md"
BEGIN, END = "<!-- rows begin: python studies/generalisation_table.py -->", "<!-- rows end -->"
MODELS = {"dcgan": "DCGAN", "biggan": "BigGAN"}
REGULARISERS = {"none": "none", "r1r2": "R1 and R2"}

Row = dict[str, Any]


def percent(values: Sequence[float]) -> str:
    """Return the mean of shares as a percentage, with their range."""
    return mean_and_range([100 * value for value in values], "{:.0f}")


def _copying(rows: Sequence[Row], key: str, part: str = "value") -> list[float]:
    return [row["copying"][key][part] for row in rows if key in row["copying"]]


COLUMNS: dict[str, Callable[[Sequence[Row]], str]] = {
    "seeds": lambda rows: str(len(rows)),
    "training images scored as real, %": lambda rows: percent([r["course"][-1]["accuracy"]["train"] for r in rows]),
    "held-out images scored as real, %": lambda rows: percent([r["course"][-1]["accuracy"]["held_out"] for r in rows]),
    "training above held-out (AUC)": lambda rows: mean_and_range([r["course"][-1]["auc"][0] for r in rows], "{:.2f}"),
    "held-out between training and generated (r_v)": lambda rows: mean_and_range(
        [r["course"][-1]["r_v"] for r in rows if r["course"][-1]["r_v"] is not None], "{:.2f}"
    ),
    "Fréchet distance": lambda rows: mean_and_range([r["fd"] for r in rows], "{:.0f}"),
    "of as many training images": lambda rows: mean_and_range([r["of_training_images"]["fd"] for r in rows], "{:.0f}"),
    "coverage": lambda rows: mean_and_range([r["coverage"] for r in rows], "{:.2f}"),
}
COPYING: dict[str, Callable[[Sequence[Row]], str]] = {
    "seeds": lambda rows: str(len(rows)),
    "samples closer than 99 % of held-out images, %": lambda rows: mean_and_range(_copying(rows, "rate"), "{:.1f}"),
    "held-out images, %": lambda rows: mean_and_range(_copying(rows, "rate", "null"), "{:.1f}"),
    "training images among the nearest, in excess of chance, %": lambda rows: mean_and_range(
        _copying(rows, "excess"), "{:.1f}"
    ),
    "called memorising": lambda rows: f"{sum('memorising' in r['copying']['verdict'] for r in rows)} of {len(rows)}",
    "runs with the alarm of overfitting": lambda rows: (
        f"{sum(any('overfitting' in name for _, name in r['alarms']) for r in rows)} of {len(rows)}"
    ),
}


def table(rows: Sequence[Row], columns: dict[str, Callable[[Sequence[Row]], str]]) -> list[str]:
    """Return a table with a line for each model, penalty and number of training images."""
    groups: dict[tuple[int, int, int], list[Row]] = defaultdict(list)
    for row in rows:
        order = (list(MODELS).index(row["model"]), list(REGULARISERS).index(row["regulariser"]), row["few"])
        groups[order].append(row)
    heads = ["model", "penalty", "training images", *columns]
    lines = []
    for (model, regulariser, few), own in sorted(groups.items()):
        names = [list(MODELS.values())[model], list(REGULARISERS.values())[regulariser], f"{few:,}"]
        lines.append([*names, *(column(own) for column in columns.values())])
    return markdown(heads, lines)


def main() -> None:
    """Write the tables into the page."""
    rows = read_rows(RESULTS / "generalisation.json")
    length = max({r["images"] for r in rows}, key=[r["images"] for r in rows].count)
    usual = [r for r in rows if r["images"] == length]
    lines = ["", f"After {length:,} images shown:", "", *table(usual, COLUMNS), "", *table(usual, COPYING), ""]
    write_between(PAGE, BEGIN, END, lines)


if __name__ == "__main__":
    main()
