"""The table of a benchmark's results."""

from __future__ import annotations

from typing import Any

from zoo.audit.benchmark.power import interval


def markdown(result: dict[str, Any]) -> str:
    """Return the results as Markdown: a table for each share, with a row for each test and a column for each kind.

    Args:
        result: what `zoo.audit.benchmark.command.benchmark` returns.
    """
    protocol, rows = result["protocol"], result["rows"]
    kinds = list(protocol["kinds"])
    tests = list(dict.fromkeys(row["test"] for row in rows))
    found = {(row["test"], row["kind"], row["share"]): row["found"] for row in rows}
    lines = [
        f"Share of planted sets that each test finds, in %, with the 95 % interval over {protocol['seeds']} seeds. "
        f"{protocol['train']:,} training images, {protocol['held_out']:,} held out, sets of {protocol['n']:,}. Each "
        f"threshold is exceeded by {protocol['false alarms']:.0%} of {protocol['honest sets for each threshold']:,} "
        "honest sets; the first column has the false alarms among as many others."
    ]
    for share in protocol["shares"]:
        copies = max(1, round(share * protocol["n"]))
        lines += [
            "",
            f"**{100 * share:g} % of a set are copies** ({copies:,} of {protocol['n']:,})",
            "",
            f"| test | honest | {' | '.join(kinds)} |",
            f"|---|{'---|' * (len(kinds) + 1)}",
        ]
        for test in tests:
            cells = [_cell(found[test, "honest", 0.0]), *(_cell(found[test, kind, share]) for kind in kinds)]
            lines.append(f"| {test} | {' | '.join(cells)} |")
    lines += ["", "Not run:", ""]
    lines += [f"- {name}: {reason}" for name, reason in protocol["not run"].items()]
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    """Return a mean in percent with its interval."""
    mean, low, high = (100 * value for value in interval(values))
    return f"{mean:.0f} ({low:.0f} to {high:.0f})"
