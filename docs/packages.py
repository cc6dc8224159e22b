"""Draw the package graph and list every file in docs/architecture.md: `python docs/packages.py`.

The floors below are the rule that `tests/test_architecture.py` enforces: a package imports from lower floors only.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
FLOORS = [
    ["errors", "layers"],
    ["config", "io", "metrics", "training"],
    ["data", "rendering"],
    ["features", "sampling"],
    ["releases"],
    ["gan"],
    ["models"],
    ["alarms", "evaluation"],
    ["callbacks"],
    ["integrations"],
    ["hub"],
    ["runs"],
    ["audit", "export"],
    ["project"],
    [
        "__init__",
        "__main__",
        "compare",
        "evaluate",
        "fit",
        "sample",
        "watch",
    ],
]
"""From the ground up. A package's `__main__` stands on the top floor, with the commands."""

COMMANDS = "commands"
BEGIN, END = "<!-- {} begins: python docs/packages.py -->", "<!-- {} ends -->"


def imported(path: Path, root: Path) -> set[str]:
    """Return every module of the package that a file imports: at the top, inside functions and for annotations."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}: write the full path of the package instead of a relative import")
            if (node.module or "").split(".")[0] == "zoo":
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                modules |= {name if _is_module(name, root) else str(node.module) for name in names}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names if alias.name.split(".")[0] == "zoo"}
    return modules


def _is_module(name: str, root: Path) -> bool:
    path = root.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def package_of(name: str) -> str:
    """Return the package or root file that a dotted module name belongs to."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def room_of(path: Path, root: Path) -> str:
    """Return the package or root file that a path belongs to; a package's `__main__.py` is a command."""
    parts = path.relative_to(root).with_suffix("").parts
    return "__main__" if parts[-1] == "__main__" else parts[0]


def package_imports(root: Path) -> dict[str, set[str]]:
    """Return, for every package and root file, the others that it imports."""
    graph: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*.py")):
        here = room_of(path, root)
        graph.setdefault(here, set()).update(package_of(name) for name in imported(path, root))
    return {here: targets - {here} for here, targets in graph.items()}


def mermaid(root: Path) -> str:
    """Return the package graph as a Mermaid diagram, without the arrows that longer paths imply."""
    graph = package_imports(root)
    joined: dict[str, set[str]] = {}
    for here, targets in graph.items():
        joined.setdefault(COMMANDS if here in FLOORS[-1] else here, set()).update(targets - set(FLOORS[-1]))
    joined[COMMANDS].discard(COMMANDS)
    shown = [
        f"    {here} --> {target}"
        for here in sorted(joined)
        for target in sorted(joined[here])
        if not any(target in _reachable(other, joined) for other in joined[here] - {target})
    ]
    return "\n".join(["```mermaid", "graph TD", *shown, "```"])


def _reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    reached, waiting = set(), [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached


def file_map(root: Path) -> str:
    """Return all files by floor, from the top down, each with the first sentence of its docstring."""
    lines = ["```"]
    for floor in reversed(FLOORS):
        for name in floor:
            folder = root / name
            if folder.is_dir():
                lines.append(f"zoo/{name}/".ljust(44) + _first_sentence(folder / "__init__.py"))
                for path in sorted(folder.rglob("*.py")):
                    if path != folder / "__init__.py":
                        inner = path.relative_to(folder).as_posix().removesuffix("/__init__.py")
                        inner += "/" if path.name == "__init__.py" else ""
                        lines.append(f"    {inner}".ljust(44) + _first_sentence(path))
            else:
                lines.append(f"zoo/{name}.py".ljust(44) + _first_sentence(folder.with_suffix(".py")))
    return "\n".join([*lines, "```"])


def _first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = text.split("\n\n")[0].replace("\n", " ").strip()
    return re.split(r"(?<=[.?!]) (?=[A-Z`])", first)[0]


def with_figures(text: str, root: Path) -> str:
    """Return the document with the graph and the file map between their markers made anew."""
    for name, figure in (("graph", mermaid(root)), ("files", file_map(root))):
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{DOCUMENT.name} has no line {begin!r} followed by {end!r}")
        text = f"{before}{begin}\n\n{figure}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    old = DOCUMENT.read_text(encoding="utf-8")
    new = with_figures(old, ROOT / "zoo")
    DOCUMENT.write_text(new, encoding="utf-8")
    print(f"{DOCUMENT.name}: {'as it was' if new == old else 'drawn anew'}", file=sys.stderr)
