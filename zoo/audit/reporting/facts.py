"""Nested settings of a report as rows of text."""

from __future__ import annotations

from typing import Any


def flatten(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """List nested values with the path that leads to each, for example `("train, images", "500")`.

    Args:
        facts: values, lists of values, and mappings of them; None is left out.
        prefix: text before each path.

    Returns:
        Pairs of path and value; floats have six significant digits, those in lists four.
    """
    rows: list[tuple[str, str]] = []
    for key, value in facts.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, dict):
            rows += flatten(value, f"{name}, ")
        elif isinstance(value, float):
            rows.append((name, f"{value:.6g}"))
        elif isinstance(value, list | tuple):
            rows.append((name, ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in value)))
        elif value is not None:
            rows.append((name, str(value)))
    return rows
