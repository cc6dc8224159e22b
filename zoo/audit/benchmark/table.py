"""The tables of a benchmark's results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.audit.benchmark.power import interval


def markdown(result: dict[str, Any]) -> str:
    """Return the results as Markdown: a table for each share of copies, of what is missing, and of attacks.

    Args:
        result: what `zoo.audit.benchmark.command.benchmark` returns.
    """
    protocol = result["protocol"]
    lines = [
        f"Share of planted sets that each test finds, in %, with the 95 % interval over {protocol['seeds']} seeds. "
        f"{protocol['train']:,} training images, {protocol['held_out']:,} held out, sets of {protocol['n']:,}. Each "
        f"threshold is exceeded by {protocol['false alarms']:.0%} of {protocol['honest sets for each threshold']:,} "
        "honest sets; the first column has the false alarms among as many others."
    ]
    lines += protocol.get("notes", {}).values()
    kinds = list(protocol["kinds"])
    for share in protocol["shares"] if result["rows"] else ():
        copies = max(1, round(share * protocol["n"]))
        lines += ["", f"**{100 * share:g} % of a set are copies** ({copies:,} of {protocol['n']:,})", ""]
        lines += powers(result["rows"], kinds, share)
    if result.get("missing"):
        lines += ["", "**What is missing**", ""]
        lines += powers(result["missing"], list(protocol["faults without copies"]), 0.0)
        lines += ["", *(f"- {kind}: {text}" for kind, text in protocol["faults without copies"].items())]
    if result.get("membership"):
        lines += ["", *_attacks(result["membership"], kinds, protocol)]
    if result.get("discriminator"):
        lines += ["", _attack_of_scores(result["discriminator"])]
    lines += ["", "Not run:", ""]
    lines += [f"- {name}: {reason}" for name, reason in protocol["not run"].items()]
    return "\n".join(lines)


def powers(rows: Sequence[dict[str, Any]], kinds: list[str], share: float) -> list[str]:
    """Return the table of a share: a row for each test, a column for each kind."""
    found = {(row["test"], row["kind"], row["share"]): row["found"] for row in rows}
    lines = [f"| test | honest | {' | '.join(kinds)} |", f"|---|{'---|' * (len(kinds) + 1)}"]
    for test in dict.fromkeys(row["test"] for row in rows):
        cells = [cell(found[test, "honest", 0.0]), *(cell(found[test, kind, share]) for kind in kinds)]
        lines.append(f"| {test} | {' | '.join(cells)} |")
    return lines


def _attacks(attacks: dict[str, list[dict[str, Any]]], kinds: list[str], protocol: dict[str, Any]) -> list[str]:
    """Return the table of the attacks on membership: a row for each space and share, a column for each kind."""
    lines = [
        "**Attacks on membership** by the distance to the nearest image of a set: the area under the ROC curve, and in "
        f"brackets the share of the {protocol['members']:,} members that are recognised where 0.1 % of the others are "
        "taken for members, in %. At most so many are copied as a set has copies.",
        "",
        f"| distance | copies, % of the members | honest | {' | '.join(kinds)} |",
        f"|---|---|{'---|' * (len(kinds) + 1)}",
    ]
    for space, rows in attacks.items():
        found = {(row["kind"], row["share"]): row for row in rows}
        for share in protocol["shares"]:
            most = 100 * max(1, round(share * protocol["n"])) / protocol["train"]
            cells = [attack_cell(found["honest", 0.0]), *(attack_cell(found[kind, share]) for kind in kinds)]
            lines.append(f"| {space} | {most:.2g} | {' | '.join(cells)} |")
    return lines


def _attack_of_scores(attack: dict[str, Any]) -> str:
    """Return a sentence about the attack by a discriminator's scores."""
    area, low, high = interval(attack["auc"])
    recognised, least, most = (100 * value for value in interval(attack["tpr"]))
    return (
        f"**The discriminator of {attack['model']}** scores a training image higher than another one in "
        f"{100 * area:.1f} % of pairs ({100 * low:.1f} to {100 * high:.1f}; 50 by chance). Where 0.1 % of the others "
        f"are taken for members, it recognises {recognised:.2f} % ({least:.2f} to {most:.2f}) of the "
        f"{attack['members']:,} members."
    )


def attack_cell(row: dict[str, Any]) -> str:
    """Return the area under the curve and the recognised members of an attack."""
    area, recognised = (np.mean(row[key]) for key in ("auc", "tpr"))
    return f"{area:.3f} ({100 * recognised:.2f})"


def cell(values: list[float]) -> str:
    """Return a mean in percent, with its interval if it has a width."""
    mean, low, high = (round(100 * value) for value in interval(values))
    return f"{mean}" if low == high else f"{mean} ({low} to {high})"
