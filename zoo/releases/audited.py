"""The audit of a release: its report beside the weights, its verdict in the card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo.errors import ReleaseError, first_line
from zoo.io.files import sha256_of
from zoo.releases import release_format
from zoo.releases.card import card
from zoo.releases.disk_paths import disk_paths, without_disk_paths

PAGE, DATA = "report.html", "report.json"  # as `zoo.audit` writes them


def attach(folder: str | Path, report: str | Path) -> Path:
    """Put an audit's report into a release and write its card anew.

    Args:
        folder: of the release.
        report: folder that `python -m zoo.audit` wrote for this release.

    Raises:
        ReleaseError: for a folder that is no release or no report, or a report about another model.
    """
    place, source = Path(folder), Path(report)
    config = release_format.read_config(place / release_format.CONFIG)
    audit = read_audit(source / DATA)
    model = f"{config['class'].rpartition('.')[2]} after {config['images_seen']:,} images"
    about = audit["about"].get("model") or audit.get("subject")
    if about != model:
        raise ReleaseError(
            f"report: {source} is about {about!r}, this release is a {model}. Audit it first: python -m zoo.audit "
            f"checkpoint={place.name} out={source}"
        )
    if not (source / PAGE).is_file():
        raise ReleaseError(f"report: {source} has no {PAGE}")
    for name, target in ((DATA, release_format.AUDIT), (PAGE, release_format.AUDIT_PAGE)):
        text = without_disk_paths((source / name).read_text(encoding="utf-8"), disk_paths(audit["about"]))
        release_format.write_text(place / target, text)
        config["files"][target] = {"size": (place / target).stat().st_size, "sha256": sha256_of(place / target)}
    release_format.write_text(place / release_format.CARD, card_of(place, config))
    release_format.write_text(place / release_format.CONFIG, json.dumps(config, indent=2) + "\n")
    return place


def card_of(folder: Path, config: dict[str, Any]) -> str:
    """The card's text from the files of a release; only those count that its configuration has a digest of."""
    metrics, audit = folder / release_format.METRICS, folder / release_format.AUDIT
    numbers = json.loads(metrics.read_text(encoding="utf-8")) if release_format.METRICS in config["files"] else None
    return card(config, numbers, read_audit(audit) if release_format.AUDIT in config["files"] else None)


def read_audit(path: Path) -> dict[str, Any]:
    """An audit's report with what a card shows of it.

    Raises:
        ReleaseError: for a file that is none.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = {"verdict", "summary", "about", "findings"} <= set(found)
    except (OSError, ValueError, TypeError) as error:
        raise ReleaseError(f"report: {path} cannot be read: {first_line(error)}") from error
    if not known:
        raise ReleaseError(f"report: {path} is no report of python -m zoo.audit")
    return found
