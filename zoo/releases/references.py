"""What `where` means: a release of ours, a repository of the hub, a folder or file, or an address with a digest."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zoo.errors import ReleaseError, did_you_mean, first_line

Kind = Literal["ours", "hub", "path", "url"]

NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
INDEX = "index.json"
DIGEST = r"[0-9a-f]{64}"


@dataclass(frozen=True)
class Reference:
    """Where a release is.

    Args:
        kind: what `name` is.
        name: of ours, `org/name`, a path, or an address without its digest.
        sha256: of the file at an address.
    """

    kind: Kind
    name: str
    sha256: str = ""


def parse_reference(where: str | Path, revision: str | None = None) -> Reference:
    """What is meant, without asking the network.

    `dcgan_digits` is a release of ours, `org/name` a repository of the hub, `./folder` or `/folder` a folder,
    `https://...#sha256=...` a file. `zoo:NAME` and `hf:ORG/NAME` say which of the first two is meant.

    Raises:
        ReleaseError: for what could mean two things, or nothing.
    """
    place = Reference("path", str(where)) if isinstance(where, Path) else _parse_text(where)
    if revision is not None and place.kind != "hub":
        raise ReleaseError(f"revision={revision!r} is for repositories of the hub; {where} is {_in_words(place)}")
    return place


def _parse_text(where: str) -> Reference:
    if where.startswith(("https://", "http://")):
        return _address(where)
    if re.fullmatch(f"zoo:{NAME}", where):
        return Reference("ours", where.removeprefix("zoo:"))
    if re.fullmatch(f"hf:{NAME}/{NAME}", where):
        return Reference("hub", where.removeprefix("hf:"))
    is_there = bool(where) and os.path.exists(where)  # which says no to names too long to be one
    if re.fullmatch(NAME, where) and not where.endswith(".safetensors"):
        if is_there and where in release_names():
            raise ReleaseError(
                f"{where} could be our release or what lies here under that name: write zoo:{where} "
                f"for the release, ./{where} for the folder"
            )
        if is_there:
            raise ReleaseError(
                f"there is no release {where}; if the folder of that name here is meant, write ./{where}"
            )
        return Reference("ours", where)
    if re.fullmatch(f"{NAME}/{NAME}", where) and not where.endswith(".safetensors"):
        if is_there:
            raise ReleaseError(
                f"{where} could be a repository of the hub or a folder here: write hf:{where} for the "
                f"repository, ./{where} for the folder"
            )
        return Reference("hub", where)
    if is_there or is_path(where) or where.endswith(".safetensors"):
        return Reference("path", where)
    raise ReleaseError(
        f"{where!r} is nothing that a release could be loaded from: a name of ours (python -m zoo.hub lists them), "
        "ORG/NAME of the hub, ./FOLDER, or https://ADDRESS#sha256=DIGEST"
    )


def is_path(where: str) -> bool:
    """Whether it can be nothing but a path, there or not."""
    return where.startswith((".", "~", os.sep)) or where.endswith(".ckpt")


def _address(where: str) -> Reference:
    address, _, digest = where.partition("#")
    if not re.fullmatch(f"sha256={DIGEST}", digest):
        raise ReleaseError(
            f"{where} has no digest, so nobody would know what was loaded. Write the file's own behind it: "
            f"{address}#sha256=64_HEX_DIGITS (sha256sum model.safetensors prints it)"
        )
    return Reference("url", address, digest.removeprefix("sha256="))


def _in_words(place: Reference) -> str:
    return {"ours": "a release of ours", "hub": "one", "path": "a path", "url": "an address"}[place.kind]


# --- our own ---------------------------------------------------------------------------------------------------------


def releases_folder() -> Path:
    """Where our releases lie: inside an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    return package / "checkpoints" if (package / "checkpoints").is_dir() else package.parent / "checkpoints"


def read_index(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """`index.json`: for each release its digest, its size, a line about it, and an address if it is not shipped.

    Raises:
        ReleaseError: when it is damaged, or names something outside its folder.
    """
    path = (folder or releases_folder()) / INDEX
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["releases"]
        for name, entry in entries.items():
            if not re.fullmatch(NAME, name) or ".." in name:
                raise ValueError(f"{name!r} is no name of a release")
            if not re.fullmatch(DIGEST, entry["sha256"]):
                raise ValueError(f"{name} has no digest")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{path} is damaged: {first_line(error)}") from error
    found: dict[str, dict[str, Any]] = entries
    return found


def release_names() -> list[str]:
    """Names of our releases, for `zoo.from_pretrained(name)`."""
    return sorted(read_index())


def entry_of(name: str) -> dict[str, Any]:
    """What the index says of a release of ours.

    Raises:
        ReleaseError: when there is none of that name.
    """
    index = read_index()
    if name not in index:
        known = (
            f"{did_you_mean(name, index)} python -m zoo.hub lists ours" if index else " None is shipped with this zoo"
        )
        raise ReleaseError(
            f"there is no release {name!r}.{known}; a repository of the hub is ORG/NAME, a folder ./{name}"
        )
    return index[name]
