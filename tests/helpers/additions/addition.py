"""One change to a copy of the package, as files and inserted lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Addition:
    """One change.

    Args:
        kind: as in the table of CONTRIBUTING.md.
        files: new files and their texts, by path.
        lines: (path, a line of that file, what is inserted above it).
        use: statements that use the change, and fail when it does not work.
    """

    kind: str
    files: dict[str, str] = field(default_factory=dict)
    lines: tuple[tuple[str, str, str], ...] = ()
    use: str = ""

    def apply(self, root: Path) -> None:
        """Write the files and insert the lines below a copy of the repository."""
        for name, text in self.files.items():
            assert not (root / name).exists(), name
            (root / name).write_text(text)
        for name, line, inserted in self.lines:
            text = (root / name).read_text()
            assert text.count(f"\n{line}") == 1, f"{name} has {text.count(line)} lines {line!r}"
            (root / name).write_text(text.replace(f"\n{line}", f"\n{inserted}\n{line}"))

    @property
    def touched(self) -> set[str]:
        """Paths of all files that it makes or changes."""
        return {*self.files, *(name for name, _, _ in self.lines)}
