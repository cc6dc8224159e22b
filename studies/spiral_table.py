"""Write the table of `docs/questions/spiral.md` from the results of `progan_spiral.py`.

    python studies/progan_spiral.py root=FOLDER
    python studies/spiral_table.py

A line for each set of mechanisms and each learning rate, over the seeds of runs of the usual length. Magnitudes are the
largest mean absolute value of a batch: the median over seeds, in brackets the smallest and the largest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rows import RESULTS, read_rows
from tables import markdown, write_between

PAGE = Path(__file__).resolve().parent.parent / "docs" / "questions" / "spiral.md"
BEGIN, END = "<!-- rows begin: python studies/spiral_table.py -->", "<!-- rows end -->"
PARTS = {"pixel_norm": "pixel norm", "equalized": "equalized rate", "deviation": "minibatch deviation"}
HEADS = (
    *("rate", "on", "seeds", "escalate", "from batch"),
    *("score", "layer of D", "layer of G", "alarm", "Fréchet distance", "coverage"),
)
HUGE = 1_000
"""Mean absolute output of a layer beyond which a run escalates: no run ends between 11 and 30,000."""
WORDS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))

Row = dict[str, Any]


def readable(value: float) -> str:
    """Return a magnitude with two digits, large ones in words."""
    for unit, word in WORDS:
        if value >= unit:
            return f"{float(f'{value / unit:.2g}'):,.6g} {word}"
    return f"{float(f'{value:.2g}'):,.6g}"


def median_and_range(values: Sequence[float]) -> str:
    """Return the median of values, with their range if it shows; empty without values."""
    if not values:
        return ""
    low, middle, high = (readable(f(values)) for f in (min, median, max))
    return middle if low == high else f"{middle} ({low} to {high})"


def escalates(row: Row) -> bool:
    """Check whether a layer of D became larger than `HUGE`; a signal triples now and then without harm."""
    return float(row["peak"]["d"]) > HUGE


def first_batch(row: Row) -> int:
    """Return the batch in which a layer of a run that escalates began to."""
    return min(at for at in (row["escalation"]["g"], row["escalation"]["d"]) if at is not None)


def names(mechanisms: str) -> str:
    """Return the mechanisms that are on, in words."""
    parts = [word for part, word in PARTS.items() if part in mechanisms.split("+")]
    return "all three" if len(parts) == len(PARTS) else ", ".join(parts) or "none"


def cells(own: Sequence[Row]) -> list[str]:
    """Return the cells of a line, from the rows of all seeds."""
    hit = [r for r in own if escalates(r)]
    warned = [r for r in hit if r["lead"] is not None]
    alarms = (
        f"{len(warned)} of {len(hit)}, after {median_and_range([-r['lead'] for r in warned])} batches"
        if warned
        else "none"
    )
    if false := sum(bool(r["alarms"]) for r in own if not escalates(r)):
        alarms += f"; {false} without an escalation"
    measured = [r for r in own if r["fd"] is not None]
    return [
        str(len(own)),
        f"{len(hit)} of {len(own)}",
        median_and_range([first_batch(r) for r in hit]),
        *(median_and_range([r["peak"][key] for r in own]) for key in ("score", "d", "g")),
        alarms,
        median_and_range([r["fd"] for r in measured]),
        median_and_range([r["coverage"] for r in measured]),
    ]


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table: the highest rate first, at each of them the runs that escalate most."""
    groups: dict[tuple[float, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["rate"], row["mechanisms"]), []).append(row)

    def order(group: tuple[tuple[float, str], list[Row]]) -> tuple[float, float, int]:
        (rate, mechanisms), own = group
        return -rate, -sum(map(escalates, own)) / len(own), len(mechanisms)

    ordered = sorted(groups.items(), key=order)
    return markdown(HEADS, [[f"{rate:g}", names(on), *cells(own)] for (rate, on), own in ordered])


def usual(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the usual loss, action and length."""
    own = [r for r in rows if (r["data"], r["loss"], r["action"]) == ("fashion", "wgan-gp", "warn")]
    length = max({r["images"] for r in own}, default=0)
    return [r for r in own if r["images"] == length]


def main() -> None:
    """Write the table into the page."""
    rows = usual(read_rows(RESULTS / "progan_spiral.json"))
    write_between(PAGE, BEGIN, END, ["", *table(rows), ""])


if __name__ == "__main__":
    main()
