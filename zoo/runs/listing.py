"""The actions of `python -m zoo.hub` that need no torch: list the releases, and show the card of one."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import ReleaseError, did_you_mean, first_line, shell_word
from zoo.io.files import with_home
from zoo.releases import references
from zoo.releases.file_names import CARD


def list_releases() -> None:
    """Print the releases of this library: name, class, size and summary."""
    index = references.read_index()
    if not index:
        print("no release is shipped with this zoo")
    width = max(map(len, index), default=0)
    for name, entry in sorted(index.items()):
        where = "" if (references.releases_folder() / name).is_dir() else ", fetched on first use"
        size = entry.get("size", 0) / 2**20
        print(f"{name:{width}}  {entry.get('class', '')}, {size:.1f} MiB{where}  {entry.get('summary', '')}".rstrip())


def show(show: str) -> None:
    """Print the card of a release.

    Args:
        show: name of a release of this library, or folder of a release.

    Raises:
        ReleaseError: when there is no such release.
    """
    card = folder_of(show) / CARD
    if not card.is_file():
        known = did_you_mean(show, references.release_names())
        raise ReleaseError(f"there is no release {show!r} with a card here.{known} A folder is given by its path")
    try:
        text = card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(
            f"{card} cannot be read: {first_line(error)}. python -m zoo.hub card={shell_word(show)} writes it again"
        ) from error
    print(text, end="")


def folder_of(release: str) -> Path:
    """Return the folder of a release of this library by its name; any other text is the path of a folder."""
    return references.releases_folder() / release if release in references.release_names() else with_home(release)
