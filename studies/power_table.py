"""Write the tables of `docs/questions/copying.md` from the results of the benchmark of tests.

    python -m zoo.audit.benchmark train=FOLDER held_out=FOLDER shares=[0.01,0.05] out=studies/results/power_faces.json
    python studies/power_table.py

Each `results/power_NAME.json` of the data sets below becomes a table of the powers at SHARE, with its protocol, and
tables of what is missing and of attacks on membership where these were measured. The same with `extractor=sscd
tests=copying out=studies/results/power_faces_sscd.json` adds the tests in the space of SSCD.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from tables import write_between

from zoo.audit.benchmark.table import attack_cell, powers

STUDIES = Path(__file__).resolve().parent
PAGE = STUDIES.parent / "docs" / "questions" / "copying.md"
BEGIN, END = "<!-- powers begin: python studies/power_table.py -->", "<!-- powers end -->"
DATA = {"faces": "Drawn faces", "cifar": "Small photographs (CIFAR-10, as JPEG)", "mnist": "Digits (MNIST)"}
SHARE = 0.05
FURTHER = "sscd"
SAME = ("train", "held_out", "resolution", "n", "seeds", "honest sets for each threshold", "planted sets of each seed")
"""Entries of the protocol that agree where rows stand in one table."""


def attacks(spaces: dict[str, list[dict[str, Any]]], kinds: list[str]) -> list[str]:
    """Return the table of attacks on membership at SHARE: the area under the curve, and the recognised members in %."""
    lines = [f"| distance | honest | {' | '.join(kinds)} |", f"|---|{'---|' * (len(kinds) + 1)}"]
    for space, rows in spaces.items():
        found = {(row["kind"], row["share"]): row for row in rows}
        chosen = [found["honest", 0.0], *(found[kind, SHARE] for kind in kinds)]
        lines.append(f"| {space} | {' | '.join(map(attack_cell, chosen))} |")
    return lines


def wrapped(text: str) -> str:
    """Return a paragraph in lines as long as those of the page."""
    return textwrap.fill(text, 128, break_long_words=False, break_on_hyphens=False)


def section(title: str, result: dict[str, Any]) -> list[str]:
    """Return the tables of one data set, with their protocol."""
    protocol = result["protocol"]
    kinds = list(protocol["kinds"])
    text = (
        f"{protocol['train']:,} training images, {protocol['held_out']:,} held out, {protocol['resolution']} px; sets "
        f"of {protocol['n']:,}, {SHARE:.0%} of them copies. Thresholds are what 1 % of "
        f"{protocol['honest sets for each threshold']:,} honest sets exceed, the column *honest* counts as many "
        f"others; {protocol['seeds']} seeds, {protocol['planted sets of each seed']} planted sets each."
    )
    text = " ".join([text, *protocol.get("notes", {}).values()])
    lines = [f"### {title}", "", wrapped(text), "", *powers(result["rows"], kinds, SHARE)]
    if result.get("missing"):
        faults = protocol["faults without copies"]
        lines += ["", "What is missing:", "", *powers(result["missing"], list(faults), 0.0), ""]
        lines += [f"- {kind}: {text}" for kind, text in faults.items()]
    if result.get("membership"):
        most = round(SHARE * protocol["n"]) / protocol["train"]
        text = (
            "Attacks on membership by the distance to the nearest image of a set: the area under the ROC curve, and in "
            f"brackets the share of {protocol['members']:,} members that are recognised where 0.1 % of the others are "
            f"taken for members, in %; {most:.2%} of the training images are copied."
        )
        lines += ["", wrapped(text), "", *attacks(result["membership"], kinds)]
    return lines


def results_of(name: str) -> dict[str, Any] | None:
    """Return the results of a data set, with the tests in the further space after those in the network's; None if none.

    Raises:
        ValueError: if the two were measured in different ways.
    """
    path, further = (STUDIES / "results" / f"power_{name}{end}.json" for end in ("", f"_{FURTHER}"))
    if not path.is_file():
        return None
    result: dict[str, Any] = json.loads(path.read_text())
    if further.is_file():
        other = json.loads(further.read_text())
        differing = [key for key in SAME if result["protocol"][key] != other["protocol"][key]]
        if differing:
            raise ValueError(f"{further.name}, measured otherwise than {path.name}: {', '.join(differing)}")
        own = [row for row in other["rows"] if row["test"].endswith(f", {FURTHER}")]
        last = [row for row in own if row["test"].startswith("fixed")]
        at = next(i for i, row in enumerate(result["rows"]) if row["test"].endswith(", pixels"))
        result["rows"][at:at] = [row for row in own if row not in last]
        result["rows"] += last
    return result


def main() -> None:
    """Write the tables into the page."""
    lines: list[str] = []
    for name, title in DATA.items():
        result = results_of(name)
        if result is not None:
            lines += ["", *section(title, result), ""]
    write_between(PAGE, BEGIN, END, lines)


if __name__ == "__main__":
    main()
