"""The audit of a release: its report as a file of the release, and its verdict in the card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from zoo.errors import ReleaseError, UserError, first_line, shell_word
from zoo.io.files import sha256_of, with_home
from zoo.releases import release_format
from zoo.releases.card import card
from zoo.releases.card_wording import CURRENT
from zoo.releases.disk_paths import disk_paths, without_disk_paths

REPORT = "report.json"  # the name under which `zoo.audit` writes a report


def attach(folder: str | Path, report: str | Path) -> Path:
    """Put the report of an audit into a release as `audit.json`, and write the card of the release again.

    The page `audit.html`, which older releases have, is removed: `python -m zoo.hub page=FOLDER` writes it from the
    report.

    Args:
        folder: folder of the release.
        report: folder that `python -m zoo.audit` wrote for this release.

    Returns:
        The folder of the release.

    Raises:
        ReleaseError: for a folder that is no release or no report, or a report about another model.
    """
    release, source = with_home(folder), with_home(report)
    config = release_format.read_config(release / release_format.CONFIG)
    audit = read_audit(source / REPORT)
    model = f"{config['class'].rpartition('.')[2]} after {config['images_seen']:,} images"
    about = audit["about"].get("model") or audit.get("subject")
    if about != model:
        raise ReleaseError(
            f"report: {source} is about {about!r}, this release is a {model}. Audit it first: python -m zoo.audit "
            f"checkpoint={shell_word(release.name)} out={shell_word(source)}"
        )
    text = without_disk_paths((source / REPORT).read_text(encoding="utf-8"), disk_paths(audit["about"]))
    target = release / release_format.AUDIT
    release_format.write_text(target, text)
    config["files"][target.name] = {"size": target.stat().st_size, "sha256": sha256_of(target)}
    config["files"].pop(release_format.AUDIT_PAGE, None)
    release_format.write_text(release / release_format.CARD, card_of(release, config))
    release_format.write_text(release / release_format.CONFIG, json.dumps(config, indent=2) + "\n")
    (release / release_format.AUDIT_PAGE).unlink(missing_ok=True)
    return release


def write_card(folder: str | Path) -> Path:
    """Write the card of a release again, as this version of the library words it.

    Args:
        folder: folder of the release.

    Returns:
        The path of the card.

    Raises:
        ReleaseError: for a folder that is no release, or files that are not those of its configuration.
    """
    release = with_home(folder)
    config = release_format.read_config(release / release_format.CONFIG)
    release_format.check_files(release, config)
    path = release / release_format.CARD
    release_format.write_text(path, card_of(release, config))
    return path


def card_of(folder: Path, config: dict[str, Any], wording: Mapping[str, str] = CURRENT) -> str:
    """Write the text of a card from the files of a release.

    Args:
        folder: folder of the release.
        config: its configuration; a file without a digest in it is not used.
        wording: sentences that differ between versions, see `zoo/releases/card_wording.py`.

    Raises:
        ReleaseError: if the files do not hold what a card shows.
    """
    metrics, audit = folder / release_format.METRICS, folder / release_format.AUDIT
    report = read_audit(audit) if release_format.AUDIT in config["files"] else None
    try:
        numbers = json.loads(metrics.read_text(encoding="utf-8")) if release_format.METRICS in config["files"] else None
        return card(config, numbers, report, wording)
    except UserError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, TemplateError) as error:
        raise ReleaseError(
            f"{folder}: no card can be written, because {release_format.CONFIG}, {release_format.METRICS} or "
            f"{release_format.AUDIT} does not hold what a card shows ({type(error).__name__}: {first_line(error)}). "
            "Pack the release again from its run"
        ) from error


def read_audit(path: Path) -> dict[str, Any]:
    """Read the report of an audit as plain values.

    Args:
        path: path of `report.json`, or of the `audit.json` of a release.

    Raises:
        ReleaseError: for a file that cannot be read, or lacks what a card shows.
    """
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        complete = {"verdict", "summary", "about", "findings"} <= set(report)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ReleaseError(f"report: {path} cannot be read: {first_line(error)}") from error
    if not complete:
        raise ReleaseError(f"report: {path} is no report of python -m zoo.audit")
    return report
