"""Names of releases: which release a text such as `dcgan_digits`, `org/name`, a path or a URL refers to."""

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
    """A release that a user named; it need not exist.

    Args:
        kind: "ours" for a release of this library, "hub" for a repository of the Hugging Face hub, "path" for a folder
            or a file of weights, "url" for a file of weights to download.
        name: name of the release, `org/name` of the repository, the path, or the URL without its digest.
        sha256: digest of the file at a URL, 64 hexadecimal digits; empty for other kinds.
        revision: branch, tag or commit of a hub repository; None for its main branch, and for other kinds.
    """

    kind: Kind
    name: str
    sha256: str = ""
    revision: str | None = None


def parse_reference(where: str | Path, revision: str | None = None) -> Reference:
    """Decide which release is meant, without asking the network.

    Args:
        where: `NAME`, a release of this library; `ORG/NAME`, a repository of the hub; `./FOLDER`, `/FOLDER` or a file
            ending in .safetensors, a path; `https://...#sha256=...`, a file to download. `zoo:NAME` and `hf:ORG/NAME`
            are unambiguous. A `Path` is always a path.
        revision: branch, tag or commit of a hub repository.

    Raises:
        ReleaseError: if the text could mean two things, or nothing.
    """
    reference = Reference("path", str(where)) if isinstance(where, Path) else _parse_text(where)
    if revision is None:
        return reference
    if reference.kind != "hub":
        kind = {"ours": "a release of ours", "path": "a path", "url": "a URL"}[reference.kind]
        raise ReleaseError(f"revision={revision!r} is for repositories of the hub; {where} is {kind}")
    return Reference("hub", reference.name, revision=revision)


def _parse_text(where: str) -> Reference:
    if where.startswith(("https://", "http://")):
        return _parse_url(where)
    if re.fullmatch(f"zoo:{NAME}", where):
        return Reference("ours", where.removeprefix("zoo:"))
    if re.fullmatch(f"hf:{NAME}/{NAME}", where):
        return Reference("hub", where.removeprefix("hf:"))
    exists = bool(where) and os.path.exists(where)  # False for names that are too long for the file system
    if re.fullmatch(NAME, where) and not where.endswith(".safetensors"):
        if exists and where in release_names():
            raise ReleaseError(
                f"{where} could be our release or a file or folder here: write zoo:{where} for the release, ./{where} "
                "for the folder"
            )
        if exists:
            raise ReleaseError(f"there is no release {where}; if the folder with that name is meant, write ./{where}")
        return Reference("ours", where)
    if re.fullmatch(f"{NAME}/{NAME}", where) and not where.endswith(".safetensors"):
        if exists:
            raise ReleaseError(
                f"{where} could be a repository of the hub or a folder here: write hf:{where} for the "
                f"repository, ./{where} for the folder"
            )
        return Reference("hub", where)
    if exists or is_path(where) or where.endswith(".safetensors"):
        return Reference("path", where)
    raise ReleaseError(
        f"{where!r} is nothing that a release could be loaded from: give the name of one of our releases (python -m "
        "zoo.hub lists them), ORG/NAME of the hub, ./FOLDER, or https://ADDRESS#sha256=DIGEST"
    )


def is_path(where: str) -> bool:
    """Return whether a text has the form of a path rather than that of a name of a release.

    It starts with ".", "~" or the path separator, or it ends in ".ckpt". The path need not exist.
    """
    return where.startswith((".", "~", os.sep)) or where.endswith(".ckpt")


def _parse_url(where: str) -> Reference:
    address, _, digest = where.partition("#")
    if not re.fullmatch(f"sha256={DIGEST}", digest):
        raise ReleaseError(
            f"{where} has no digest, so nobody would know what was loaded. Append the digest of the file: "
            f"{address}#sha256=64_HEX_DIGITS (sha256sum model.safetensors prints it)"
        )
    return Reference("url", address, digest.removeprefix("sha256="))


# --- releases of this library ----------------------------------------------------------------------------------------


def releases_folder() -> Path:
    """Return the folder of this library's releases: inside an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    return package / "checkpoints" if (package / "checkpoints").is_dir() else package.parent / "checkpoints"


def read_index(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read `index.json`: for each release its digest, size, summary, and URL if it is not shipped.

    Args:
        folder: folder of the index; None for the folder of this library's releases.

    Raises:
        ReleaseError: if the index is damaged, or names something outside its folder.
    """
    path = (folder or releases_folder()) / INDEX
    if not path.is_file():
        return {}
    try:
        entries: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["releases"]
        for name, entry in entries.items():
            if not re.fullmatch(NAME, name) or ".." in name:
                raise ValueError(f"{name!r} is no name of a release")
            if not re.fullmatch(DIGEST, entry["sha256"]):
                raise ValueError(f"{name} has no digest")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{path} is damaged: {first_line(error)}") from error
    return entries


def release_names() -> list[str]:
    """Return the names of this library's releases in alphabetical order, each an argument for `from_pretrained`."""
    return sorted(read_index())


def entry_of(name: str) -> dict[str, Any]:
    """Return the index entry of a release of this library.

    Raises:
        ReleaseError: if there is no release with that name.
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
