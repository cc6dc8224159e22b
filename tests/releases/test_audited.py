"""A release carries the report of its own audit, and its card says what the report says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.training import tiny_dcgan
from zoo import hub
from zoo.audit import Finding, Report
from zoo.errors import ReleaseError

ABOUT = {
    "model": "DCGAN after 0 images",
    "budget": "quick",
    "seed": 0,
    "extractor": {"name": "digits"},
    "used": {"train": 1618, "held_out": 179, "generated": 1000},
}


def report(folder: Path, **about: str) -> Path:
    found = (
        Finding(
            "copying",
            "Does it copy training images?",
            "alarm",
            "7 % are copies | exact ones.",
            flags={"memorising": "7 % are copies"},
        ),
        Finding("support", "How many distinct images can it make?", "passed", "No end is in sight."),
    )
    return Report("it", found, {**ABOUT, **about}).save(folder)


def test_the_card_says_what_the_report_says(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    hub.attach(folder, report(tmp_path / "report"))
    text = (folder / "README.md").read_text()
    assert "| Does it copy training images? | alarm | 7 % are copies \\| exact ones. |" in text
    assert "- the audit's verdict: Memorising (7 % are copies)." in text
    assert "1,000 generated, 1,618 training and 179 held-out images" in text
    assert (folder / "audit.html").read_bytes() == (tmp_path / "report" / "report.html").read_bytes()
    assert "the card says what the other files say" in hub.verify(folder)


def test_a_changed_report_is_noticed(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    hub.attach(folder, report(tmp_path / "report"))
    path = folder / "audit.json"
    path.write_text(path.read_text().replace('"alarm"', '"passed"'))
    with pytest.raises(ReleaseError, match=r"audit\.json is damaged or was changed"):
        hub.verify(folder)


def test_packing_anew_leaves_no_old_report(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    hub.attach(folder, report(tmp_path / "report"))
    tiny_dcgan().save_pretrained(folder)
    assert not (folder / "audit.json").exists()
    assert hub.verify(folder)


def test_the_report_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    other = report(tmp_path / "report", model="BigGAN after 7 images")
    with pytest.raises(ReleaseError, match=r"about 'BigGAN after 7 images', this release is a DCGAN after 0 images"):
        hub.attach(folder, other)
    (tmp_path / "report" / "report.json").write_text(json.dumps({"verdict": []}))
    with pytest.raises(ReleaseError, match=r"no report of python -m zoo\.audit"):
        hub.attach(folder, other)
    with pytest.raises(ReleaseError, match="cannot be read"):
        hub.attach(folder, tmp_path / "nowhere")
