"""Published numbers that a recipe states beside its settings, in the section `numbers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from zoo.config.settings import check_settings

SECTION = "numbers"


def published_number(
    number: str,
    value: float,
    of: str,
    protocol: str,
    source: str,
    read: Literal["source", "second hand", "unverified"],
    spread: float | None = None,
    label: str = "",
) -> None:
    """Declare an entry of the section `numbers`.

    Args:
        number: name of the number as its source has it, such as FID.
        value: the published value.
        of: model and training that it was measured of, as far as they differ from the recipe.
        protocol: extractor, numbers of images, and what they are compared with.
        source: paper or repository, with its commit.
        read: where the value was read: at the `source`; `second hand`, which is not to be quoted; or `unverified`.
        spread: deviation that the source gives; null if it gives none.
        label: name of our number that is measured by the same protocol, if it is not that of `number`.
    """


def check_numbers(section: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the checked entries of the section `numbers`, with every default, and a line for every fault."""
    if section is None:
        return [], []
    if not isinstance(section, list):
        return [], [f"{SECTION}: must be a list of published numbers, each a mapping; got {section!r}"]
    entries, faults = [], []
    for i, given in enumerate(section):
        where = f"{SECTION}[{i}]"
        if not isinstance(given, Mapping):
            faults.append(
                f"{where}: must be a mapping with number, value, of, protocol, source and read; got {given!r}"
            )
            continue
        plain = {str(key): value for key, value in given.items()}
        values, found = check_settings(published_number, plain, f"{where}.", called="a published number")
        faults += found
        entries.append(values)
    return entries, faults
