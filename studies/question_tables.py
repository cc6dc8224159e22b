"""Write the tables of two pages of `docs/questions/`, known images and blends, from the results of their studies.

    python studies/neural_distance.py root=FOLDER
    python studies/blended_fakes.py
    python studies/question_tables.py

Numbers are means and standard deviations over training seeds. `known-images.md` has the number m of known images at
which the distance of a discriminator of n parameters falls to a half; `blends.md` has the first and the last of the
measurements of a run for each kind of negative examples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blended_fakes import KINDS
from neural_distance import halves
from rows import RESULTS, read_rows
from tables import markdown, mean_and_deviation, write_between

PAGES = Path(__file__).resolve().parent.parent / "docs" / "questions"
BEGIN, END = "<!-- rows begin: python studies/question_tables.py -->", "<!-- rows end -->"
NEGATIVES = {
    "gan": "the generator's images (the usual game)",
    "both": "half `rising`, half the generator's",
    "rising": "`rising`: blends, ever closer to real images",
    "falling": "`falling`: ever farther",
    "uniform": "`uniform`: blends of all degrees",
    "patches": "`patches`: shuffled real images",
    "blurred": "`blurred` real images",
}
SCORES = ("generated", "held_out", "negatives")

Row = dict[str, Any]


def known_images(rows: list[Row]) -> list[str]:
    """Return the table of discriminators: parameters, seeds whose distance falls to a half, and the m where it does."""
    lines = [[f"{n:,}", str(len(values)), mean_and_deviation(values, "{:,.0f}")] for n, values in halves(rows).items()]
    return markdown(("parameters n", "seeds", "m at a distance of a half"), lines)


def blends(rows: list[Row]) -> list[str]:
    """Return the table of negative examples, each with its distance, coverage, scores and pull."""
    assert set(NEGATIVES) == set(KINDS)
    lines = []
    first = rows[0]["course"][0]["images"]
    for kind, name in NEGATIVES.items():
        courses = [row["course"] for row in rows if row["kind"] == kind]
        if not courses:
            continue
        begun, ended = ([course[i] for course in courses] for i in (0, -1))
        lines.append(
            [
                *(name, str(len(courses))),
                *(mean_and_deviation([moment["fd"] for moment in moments], "{:.1f}") for moments in (begun, ended)),
                mean_and_deviation([moment["coverage"] for moment in ended], "{:.2f}"),
                *(mean_and_deviation([moment["score"][of] for moment in ended], "{:.1f}") for of in SCORES),
                ", ".join(mean_and_deviation([m["pull"] for m in moments], "{:.2f}") for moments in (begun, ended)),
            ]
        )
    head = ("negative examples", "seeds", f"distance at {first:,} images", "at the end", "coverage")
    scores = ("score of generated images", "of held-out ones", "of the negative examples")
    return markdown((*head, *scores, "pull, first and last"), lines)


if __name__ == "__main__":
    write_between(
        PAGES / "known-images.md", BEGIN, END, ["", *known_images(read_rows(RESULTS / "neural_distance.json")), ""]
    )
    digits = [row for row in read_rows(RESULTS / "blended_fakes.json") if row["recipe"] == "dcgan_digits"]
    write_between(PAGES / "blends.md", BEGIN, END, ["", *blends(digits), ""])
