"""Read docstrings in Google's style: the summary, further text, the description of each argument, the examples."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from textwrap import dedent

SECTION = re.compile(r"(Args|Examples|Raises|Returns|Yields):")
ENTRY = re.compile(r"    \*{0,2}(\w+): (.*)")
ITEM = re.compile(r"\s*- ")


@dataclass(frozen=True)
class Docstring:
    """A parsed docstring.

    Args:
        summary: the first paragraph, on one line.
        details: the paragraphs between the summary and the first section, with their line breaks.
        arguments: description of each argument by its name; continuation lines keep their relative indentation.
        examples: lines of the section `Examples`.
    """

    summary: str = ""
    details: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)


def parse_docstring(text: str | None) -> Docstring:
    """Split a docstring into its parts.

    Args:
        text: the docstring as written, or None for an object without one.
    """
    sections: dict[str, list[str]] = {"": []}
    section = ""
    for line in inspect.cleandoc(text or "").splitlines():
        header = SECTION.fullmatch(line)
        if header is not None:
            section = header[1]
        elif line and not line.startswith(" "):
            section = ""
        if header is None:
            sections.setdefault(section, []).append(line)
    summary, _, details = "\n".join(sections[""]).partition("\n\n")
    examples = dedent("\n".join(sections.get("Examples", []))).strip().splitlines()
    return Docstring(" ".join(summary.split()), details.strip(), _arguments(sections.get("Args", [])), examples)


def paragraphs(text: str) -> list[str]:
    """Join the wrapped lines of a description: one string for each paragraph and each list item ("- ...")."""
    result: list[str] = []
    for line in text.splitlines():
        if not result or ITEM.match(line):
            result.append(line.strip())
        else:
            result[-1] += " " + line.strip()
    return result


def _arguments(lines: list[str]) -> dict[str, str]:
    """Return the description of each argument from the lines of the section `Args`."""
    descriptions: dict[str, str] = {}
    name = ""
    for line in lines:
        entry = ENTRY.fullmatch(line)
        if entry is not None:
            name = entry[1]
            descriptions[name] = entry[2]
        elif name and line.strip():
            descriptions[name] += "\n" + line.removeprefix(" " * 8)
    return descriptions
