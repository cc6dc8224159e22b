"""A release carries the report of its own audit, and its card says what the report says."""

from __future__ import annotations

import html
import json
import math
import shutil
from pathlib import Path

import pytest
from zoo.audit.findings.formatting import number, verdict_heading

import zoo
from tests.helpers.training import tiny_dcgan
from zoo import hub
from zoo.audit import Finding, Report, Statistic
from zoo.audit.opening import write_release_report
from zoo.audit.reporting.reading import read_report
from zoo.errors import ReleaseError, UserError
from zoo.io.files import sha256_of
from zoo.releases import references
from zoo.releases.audited import card_of, write_card
from zoo.releases.card_wording import CURRENT, VERSION_0_1

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
    assert (folder / "audit.json").read_bytes() == (tmp_path / "report" / "report.json").read_bytes()
    assert "All its numbers: [audit.json](audit.json)" in text
    assert "the card agrees with the other files" in hub.verify(folder)


def test_a_changed_report_is_noticed(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    hub.attach(folder, report(tmp_path / "report"))
    path = folder / "audit.json"
    path.write_text(path.read_text().replace('"alarm"', '"passed"'))
    with pytest.raises(ReleaseError, match=r"audit\.json is damaged or was changed"):
        hub.verify(folder)


def with_page(folder: Path, page: Path) -> None:
    """Add the page of an audit, as releases of version 0.1 have it."""
    shutil.copy(page, folder / "audit.html")
    config = json.loads((folder / "config.json").read_text())
    config["files"]["audit.html"] = {"size": page.stat().st_size, "sha256": sha256_of(page)}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    write_card(folder)


def test_a_release_with_the_page_of_its_audit_stays_valid(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    hub.attach(folder, report(tmp_path / "report"))
    with_page(folder, tmp_path / "report" / "report.html")
    assert "The full report: [audit.html](audit.html)." in (folder / "README.md").read_text()
    assert "the card agrees with the other files" in hub.verify(folder)
    page = (folder / "audit.html").read_text()
    (folder / "audit.html").write_text(page + " ")
    with pytest.raises(ReleaseError, match=r"audit\.html is damaged or was changed"):
        hub.verify(folder)
    hub.attach(folder, tmp_path / "report")  # the page is of the old report
    assert not (folder / "audit.html").exists()
    assert hub.verify(folder)


def test_the_page_is_written_from_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    with pytest.raises(ReleaseError, match=r"it has no audit report\. Audit it, python -m zoo\.audit checkpoint="):
        write_release_report(str(folder))
    hub.attach(folder, report(tmp_path / "report"))
    write_release_report(str(folder), str(tmp_path / "page.html"))
    assert capsys.readouterr().out == f"report: {tmp_path / 'page.html'}\n"
    text, saved = ((tmp_path / name).read_text() for name in ("page.html", "report/report.html"))
    note = "<p>A release keeps no figures of its report; python -m zoo.audit draws them.</p>\n"
    assert note in text
    assert text.replace(note, "") == saved  # this report has no figures
    (folder / "audit.json").write_text("{}")
    with pytest.raises(ReleaseError, match=r"audit\.json is damaged or was changed"):
        write_release_report(str(folder))


@pytest.mark.parametrize("name", zoo.pretrained())
def test_the_page_of_a_shipped_release_has_every_number(name: str, tmp_path: Path) -> None:
    write_release_report(name, str(tmp_path / "page.html"))
    text = html.unescape((tmp_path / "page.html").read_text())
    saved = json.loads((references.releases_folder() / name / "audit.json").read_text())
    assert f'<p class="headline">{verdict_heading(tuple(saved["verdict"]))}</p>' in text
    for finding in saved["findings"]:
        assert finding["answer"] in text
        for statistic in finding["statistics"]:
            assert f'<span class="name">{statistic["name"]}</span>' in text
            if statistic["value"] is not None:
                assert f"<b>{number(statistic['value'], statistic['unit'])}</b>" in text


def test_infinity_is_read_back(tmp_path: Path) -> None:
    statistics = (
        Statistic("support", math.inf, 4e6, math.inf, unit="images"),
        Statistic("bound", 5.0, 4.0, math.inf, 1.0, 0.0, 2.0, 9, "%", True, "a share"),
        Statistic("unknown", math.nan),
    )
    findings = (Finding("support", "How many?", "passed", "Many.", statistics, protocol={"n": 3}, seconds=1.25),)
    folder = Report("it", findings, {"seed": 0}).save(tmp_path)
    found = read_report(folder / "report.json")
    assert found.findings[0].statistics[:2] == statistics[:2]
    assert math.isnan(found["support"]["unknown"].value)
    assert found.as_dict() == Report("it", findings, {"seed": 0}).as_dict()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"subject": "x", "about": {}, "findings": [{"status": "fine"}]}', '{"findings": 3}']
)
def test_what_is_no_report_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(UserError, match=r"report\.json is not a report of python -m zoo\.audit"):
        read_report(tmp_path / "report.json")


def test_a_card_in_the_wording_of_version_0_1_is_valid(tmp_path: Path) -> None:
    model = tiny_dcgan()
    model.origin = {"source": "elsewhere", "missing": "a discriminator"}
    data = {"name": "Noise", "train": 100, "held_out": 20}
    folder = model.save_pretrained(tmp_path / "it", dtype="float16", about={"data": data})
    hub.attach(folder, report(tmp_path / "report"))
    with_page(folder, tmp_path / "report" / "report.html")
    card = folder / "README.md"
    new = card.read_text()
    card.write_text(card_of(folder, json.loads((folder / "config.json").read_text()), VERSION_0_1))
    assert "the card agrees with the other files" in hub.verify(folder)
    for sentence in (
        "Weights are stored as float16, rounded, to halve the file, and computed with in float32.",
        "The first 80 samples of seed 0. Nothing was picked. The same call gives",
        "- 100 images to train on, 20 held out and never trained on",
        "By `python -m zoo.audit` (budget quick, seed 0, extractor digits, 1,000 generated, 1,618 training and 179 "
        "held-out images). The whole report: [audit.html](audit.html).",
        "- nothing about this model was measured",
        "- it came without a discriminator: what is there has random weights",
    ):
        assert sentence in card.read_text()
        assert sentence not in new
    assert VERSION_0_1.keys() == CURRENT.keys()


def test_a_card_of_other_wording_can_be_written_again(tmp_path: Path) -> None:
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    card = folder / "README.md"
    text = card.read_text()
    card.write_text(text.replace("without selection", "picked by nobody"))
    with pytest.raises(ReleaseError, match=r"first line that differs: The first 80 .* python -m zoo\.hub card="):
        hub.verify(folder)
    assert write_card(folder) == card
    assert card.read_text() == text
    assert hub.verify(folder)


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
