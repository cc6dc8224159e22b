"""Compare runs over their training seeds: the work of `python -m zoo.compare`."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.io.files import with_home
from zoo.runs.comparing.comparison import Comparison, compare_groups
from zoo.runs.comparing.grouping import find_runs, group_runs


def compare(runs: list[str] | None = None, metric: str | list[str] | None = None, out: str | None = None) -> Comparison:
    """Compare runs: the mean of each number over training seeds with its deviation, beside the sampling interval.

    Runs that differ in nothing but their seed are pooled; the groups are compared with the first. Numbers are taken at
    the best and at the last checkpoint. Only what was measured in the same way is pooled or compared.

    Args:
        runs: run folders, folders of groups, folders that hold runs, and files that zoo.evaluate wrote; at least one.
            On the command line they stand without `runs=`.
        metric: names of numbers joined by commas, such as fd, recall or d/adversarial; None for all metrics.
        out: folder for comparison.json, comparison.md and comparison.html, which has curves; None for none.

    Returns:
        The comparison.

    Raises:
        UserError: for a place without runs, a number that no run recorded, or a folder that cannot be written.

    Examples:
        python -m zoo.compare runs/dcgan_digits/TIME
        python -m zoo.compare runs/dcgan_digits/TIME runs/wgan_gp_digits/TIME metric=fd out=comparison
    """
    if not runs:
        raise UserError("name at least one run folder or group, such as python -m zoo.compare runs/dcgan_digits/TIME")
    folder = None if out is None else with_home(out)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UserError(f"out: a folder for the results; {folder} is a file")
    found, notes = find_runs(list(runs))
    groups, said = group_runs(found)
    comparison = compare_groups(groups, _names(metric), [*notes, *said])
    if folder is not None:
        _write(comparison, folder)
    return comparison


@wraps(compare)
def main(**options: Any) -> None:
    """Run `compare`, print the tables, and say where the files are."""
    from zoo.runs.comparing.output import print_comparison  # imports rich

    comparison = compare(**options)
    print_comparison(comparison)
    if options.get("out"):
        print(f"page: {Path(with_home(options['out'])) / 'comparison.html'}")


def _names(metric: str | list[str] | None) -> list[str]:
    """Return names of numbers as a list."""
    names = metric.split(",") if isinstance(metric, str) else list(metric or [])
    return [name.strip() for name in names if name.strip()]


def _write(comparison: Comparison, folder: Path) -> None:
    """Write the comparison as JSON, as Markdown and as a page.

    Raises:
        UserError: if the folder cannot be written.
    """
    from zoo.runs.comparing.output import write_json, write_markdown
    from zoo.runs.comparing.page import write_page

    try:
        write_json(comparison, folder / "comparison.json")
        write_markdown(comparison, folder / "comparison.md")
        write_page(comparison, folder / "comparison.html")
    except OSError as error:
        raise UserError(f"out: cannot write {folder}: {error.strerror or error}. Give another folder") from error
