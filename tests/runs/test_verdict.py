"""The verdict on a run in words: from planted records whose truth is known."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.runs.test_watching import planted_run
from zoo.io.run_folder import RunFolder
from zoo.runs.comparing.readings import Reading
from zoo.runs.fitting import summary
from zoo.runs.history import read_run
from zoo.runs.verdict import advice as advice_module
from zoo.runs.verdict.evidence import Evidence
from zoo.runs.verdict.lines import lines_of, verdict_lines
from zoo.runs.verdict.trend import State, trend_of
from zoo.runs.verdict.verdict import Verdict, judge, verdict_of

ROOT = Path(__file__).parent.parent.parent
EVERY = 10_000


def curve(values: list[float], floor: float | None = 10.0, key: str = "fid", higher: bool = False) -> list[Reading]:
    label = {"fid": "FD-pixels"}.get(key, key)
    return [
        Reading(label, label.split("-")[0], value, EVERY * (i + 1), key, "train", None, None, floor, higher)
        for i, value in enumerate(values)
    ]


def evidence(values: list[float], **changes: Any) -> Evidence:
    """Evidence of a run of `len(values)` measurements that has ended, without alarms."""
    points = curve(values)
    coverage = curve([0.9], 0.95, "coverage", True)[0]
    length = EVERY * max(len(values), 1)
    known = Evidence(
        length,
        length,
        True,
        points,
        {"fid": points[-1], "coverage": coverage} if points else {},
        has_alarms=True,
        signals={"diversity": 0.95, "duplicates": 0.0},
        readings=100,
        model={"class": "DCGAN", "objective": "non_saturating"},
    )
    return replace(known, **changes)


def remark(verdict: Verdict, topic: str) -> Any:
    return next(each for each in verdict.remarks if each.topic == topic)


@pytest.mark.parametrize(
    ("values", "state", "since"),
    [
        ([100, 60, 40, 30, 20], State.IMPROVING, 50_000),
        ([100, 60, 40, 40, 40, 40], State.FLAT, 30_000),
        ([100, 60, 40, 39.5, 40.5, 39.2], State.FLAT, 30_000),  # 2 % is no improvement
        ([100, 60, 40, 36, 33, 30], State.IMPROVING, 60_000),
        ([100, 40, 42, 50, 60], State.WORSE, 20_000),
        ([100, 60, 40], State.FEW, 30_000),
        ([100, 90, 80, 70, 60, 61], State.IMPROVING, 60_000),  # one measurement is no pause
    ],
)
def test_the_end_of_a_curve_is_recognised(values: list[float], state: State, since: int) -> None:
    trend = trend_of(curve(values))
    assert (trend.state, trend.since) == (state, since)
    mirrored = trend_of(curve([200 - value for value in values], higher=True), higher_is_better=True)
    assert mirrored.best == 200 - trend.best


def test_the_gain_of_the_last_quarter_is_that_of_the_best_values() -> None:
    trend = trend_of(curve([100, 80, 50, 40]))  # the best of the first three quarters is 50
    assert trend.gained == pytest.approx(0.2)
    assert (trend.words, trend.gain) == ("still improving", "20% better over the last quarter of the run")


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_number_that_was_about_0_has_no_gain_in_per_cent(scale: float) -> None:
    kid = [1e-3, 5e-4, 2e-4, 1e-5, -1e-4, -3e-4]  # a distance that crosses 0
    for values, higher in (([0, 0, 0, 0, 0.02], True), (kid, False)):
        trend = trend_of(curve([scale * value for value in values], higher=higher), higher_is_better=higher)
        assert trend.state is State.IMPROVING
        assert trend.gain == ""


def test_noise_about_0_is_no_change() -> None:
    trend = trend_of(curve([1e-2, 1e-3, 1e-5, -1e-6, 4e-6, -2e-6, 3e-6]))
    assert (trend.state, trend.since) == (State.FLAT, 30_000)


def test_a_run_that_improves_is_to_go_on() -> None:
    found = judge(evidence([400, 200, 150, 120, 100]))
    assert found.headline == (
        "10 times as far from the training images as real images are from each other, and still improving."
    )
    assert found.tone == "fair"
    assert remark(found, "progress").text == (  # 100 against 150, the best of the first three quarters
        "FD-pixels: still improving, 33% better over the last quarter of the run."
    )
    assert found.advice[0].text == "Train longer: `python -m zoo.fit resume=RUN images=100000`"
    running = evidence([400, 200, 150, 120, 100], ended=False, images=10**6, trains=True)
    assert judge(running).advice[0].text == "Let it run on."
    stopped = judge(replace(running, trains=False)).advice[0].text
    assert stopped == "Go on with it: `python -m zoo.fit resume=RUN`"


def test_a_low_recall_beside_a_good_coverage_is_said() -> None:
    numbers = {key: curve([value], 0.9, key, True)[0] for key, value in (("coverage", 0.88), ("recall", 0.1))}
    found = remark(judge(evidence([12, 11], latest=numbers)), "coverage")
    assert (found.tone, found.text) == (
        "fair",
        "Coverage is 0.88 (real images: 0.9). Recall, which is stricter, is 0.1 (real images: 0.9).",
    )


def test_a_plateau_calls_for_another_model_or_loss() -> None:
    found = judge(evidence([400, 100, 60, 60, 60, 60]))
    assert found.headline.endswith("flat since 30,000 images.")
    assert "6.0 times as far" in found.headline
    texts = [each.text for each in found.advice]
    assert texts[0].startswith("Another model")
    assert texts[1].startswith("Another loss: `model.objective=relativistic`")
    assert remark(found, "progress").text == "FD-pixels: flat since 30,000 images."
    relativistic = judge(evidence([400, 100, 60, 60, 60, 60], model={"class": "R3GAN", "objective": "relativistic"}))
    assert relativistic.advice == ()


@pytest.mark.parametrize(
    ("base", "texts"),
    [
        ({"class": "R3GAN", "objective": "relativistic", "augment": ["adaptive"]}, []),
        (
            {"class": "BigGAN", "objective": "hinge", "augment": []},
            [
                "More images, or augmentation: `model.base.augment=adaptive`",
                "Another loss: `model.base.objective=relativistic` with `model.base.r1=` and `model.base.r2=`",
            ],
        ),
    ],
)
def test_advice_for_a_mixture_is_of_its_base(base: dict[str, Any], texts: list[str]) -> None:
    model = {"class": "MixGAN", "components": 2, "base": base}
    signals = {"overfitting/r_v": 0.9, "overfitting/certainty": 12.0}
    found = judge(evidence([400, 100, 60, 60, 60, 60], model=model, signals=signals))
    assert [each.text for each in found.advice] == texts


def test_a_collapse_is_the_headline() -> None:
    event = {"images_seen": 40_000, "alarm": "loss of diversity", "reason": "alike", "action": "warn"}
    found = judge(evidence([400, 100, 60, 90, 300], events=[event], signals={"diversity": 0.1, "duplicates": 0.9}))
    assert (found.tone, found.headline) == (
        "bad",
        "Collapsed: the images of different latents are nearly the same.",
    )
    assert remark(found, "alarms").text == (
        "Loss of diversity; the last at 40,000 images. At the last reading, images of fixed latents differ 0.10 times "
        "as much as real ones, and 90% have a near-duplicate."
    )
    assert "rollback" in found.advice[0].text
    assert found.advice[1].text == "Use the best checkpoint, that of 30,000 images, not the last one."
    assert "Train longer" not in " ".join(each.text for each in found.advice)
    mended = judge(evidence([400, 100, 60, 50, 40], events=[event]))  # the signals are healthy again
    assert not mended.headline.startswith("Collapsed")
    assert remark(mended, "alarms").tone == "fair"


def test_an_untrained_generator_has_not_collapsed() -> None:
    alike = {"diversity": 0.1, "duplicates": 1.0}
    assert "Collapsed" not in judge(evidence([400], signals=alike, images=10**6)).headline
    assert "Collapsed" not in judge(evidence([400], signals=alike, readings=16)).headline
    assert "Collapsed" in judge(evidence([400], signals=alike)).headline


def test_a_discriminator_that_overfits_is_no_copying_generator() -> None:
    signals = {"overfitting/r_v": 0.9, "overfitting/certainty": 12.0}
    found = judge(evidence([400, 100, 60, 60, 60, 60], signals=signals))
    assert "it overfits" in remark(found, "alarms").text
    assert remark(found, "memorising").tone == "unknown"
    assert "does not mean that the generator has" in remark(found, "memorising").text
    assert found.advice[0].text == "More images, or augmentation: `model.augment=adaptive`"
    uncertain = judge(evidence([60, 60], signals={"overfitting/r_v": 0.9, "overfitting/certainty": 2.0}))
    assert "overfits" not in remark(uncertain, "alarms").text


def test_nothing_is_said_of_what_was_not_measured() -> None:
    found = judge(Evidence(5000, 5000, True))
    assert (found.tone, found.headline) == (
        "unknown",
        "Not measured: no number in this run says how good its images are.",
    )
    assert {each.tone for each in found.remarks} == {"unknown"}
    assert found.advice[0].text == "Measure the samples: `python -m zoo.evaluate checkpoint=RUN`"
    assert "zoo.audit checkpoint=RUN" in remark(found, "memorising").text


def test_a_measurement_that_is_to_come_is_waited_for() -> None:
    found = judge(Evidence(5000, 80_000, False, measured_every=9600))
    assert found.headline == "Not measured yet: the first measurement comes at 9,600 images."
    assert found.advice == ()
    assert judge(Evidence(5000, 8000, False, measured_every=9600)).headline.endswith("comes at 8,000 images.")
    ended = judge(Evidence(8000, 8000, True, measured_every=9600))  # a kill, or a disk without room
    assert ended.headline == "Not measured: no number in this run says how good its images are."


@pytest.mark.parametrize(
    ("values", "tone"),
    [({"authenticity": 0.4}, "good"), ({"authenticity": 0.05}, "bad"), ({"ct": -0.5}, "good"), ({"ct": -9.0}, "bad")],
)
def test_copies_are_told_by_what_measures_them(values: dict[str, float], tone: str) -> None:
    numbers = {
        key: curve([value], 0.4 if key == "authenticity" else None, key, True)[0] for key, value in values.items()
    }
    found = judge(evidence([12, 11, 11, 11, 11], held_out=numbers))
    assert remark(found, "memorising").tone == tone
    assert ("copies training images" in found.headline) == (tone == "bad")
    assert found.tone == tone


def test_the_finding_of_the_audit_comes_first() -> None:
    audit = {"findings": [{"name": "copying", "status": "alarm", "answer": "12 % are copies."}]}
    found = judge(evidence([12, 11], audit=audit))
    assert remark(found, "memorising").text == "By the audit of this run: 12 % are copies."
    assert found.tone == "bad"
    skipped = {"findings": [{"name": "copying", "status": "skipped", "answer": "too few"}]}
    assert remark(judge(evidence([12, 11], audit=skipped)), "memorising").tone == "unknown"


def test_a_distance_like_that_of_real_images_calls_for_audit_and_release() -> None:
    found = judge(evidence([50, 20, 12, 11]))
    assert (found.tone, found.headline) == (
        "good",
        "About as near to the training images as real images are to each other.",
    )
    assert [each.text.split(":")[0] for each in found.advice] == ["Audit it before it is used", "Release it"]
    rare = judge(evidence([50, 20, 12, 11], latest={"coverage": curve([0.3], 0.95, "coverage", True)[0]}))
    assert (rare.tone, rare.headline) == (
        "fair",
        "About as near to the training images as real images are to each other, but parts of the data are rarely "
        "drawn.",
    )


def test_a_distance_without_a_floor_is_only_stated() -> None:
    points = curve([0.5, 0.2], None, "kid")
    found = judge(evidence([1], curve=points, latest={"kid": points[-1]}))
    assert found.headline == "kid is 0.2."
    assert "times" not in remark(found, "distance").text
    assert remark(found, "progress").text == "kid: 2 measurements, too few to say whether it still improves."


def headings(page: Path) -> set[str]:
    """The anchors of a page, as its renderers make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_page_that_advice_names_exists() -> None:
    text = Path(advice_module.__file__).read_text(encoding="utf-8")
    pages = re.findall(r'"(docs/[^"]+)"', text)
    assert len(pages) >= 9
    for name in pages:
        page, _, heading = name.partition("#")
        assert (ROOT / page).is_file(), name
        assert not heading or heading in headings(ROOT / page), name


def test_the_evidence_that_advice_quotes_is_that_of_the_results() -> None:
    text = re.sub(r'"\s*\n\s*"', "", Path(advice_module.__file__).read_text(encoding="utf-8"))
    for release, name in (("biggan_fashion", "BigGAN"), ("wgan_gp_fashion", "WGAN-GP"), ("dcgan_fashion", "DCGAN")):
        folder = ROOT / "checkpoints" / release
        evaluations = json.loads((folder / "metrics.json").read_text())["evaluations"]
        numbers = evaluations[0]["rows"][0]["numbers"]
        distance = next(number for number in numbers if number["label"] == "FD-effnet-lite0")
        assert f"{distance['value']:.0f} with {name}" in text
        assert f"real images {distance['floor']:.0f}" in text
        about = json.loads((folder / "config.json").read_text())["about"]
        assert about["training"]["images"] == 400_000
    rows = (ROOT / "studies" / "README.md").read_text(encoding="utf-8")
    assert "| none | in 74 % of pairs (70 to 78) | 0.57 | 770 |" in rows
    assert "| color and translation | in 46 % of pairs (41 to 50) | 0.55 | 799 |" in rows
    assert "46 % of pairs instead of 74 %" in text
    assert "FD-effnet-lite0 799 and 770" in text
    assert "ended within 7.3 % of what they reach" in re.sub(r"\s+", " ", (ROOT / "docs" / "alarms.md").read_text())
    assert "within 7.3 % of undisturbed ones, those without 33 % worse on average" in text


def test_the_console_has_the_commands_for_the_run() -> None:
    lines = lines_of(judge(evidence([400, 200, 150, 120, 100])), Path("runs/mine"))
    assert lines[0].startswith("verdict: 10 times as far")
    assert "next: Train longer: python -m zoo.fit resume=runs/mine images=100000" in lines
    assert lines[-1].endswith("See docs/recipes.md#resuming")
    assert not any("=RUN" in line for line in lines)


def test_a_real_run_says_its_verdict_while_it_measures_and_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = zoo.fit(
        "dcgan_digits",
        out=tmp_path / "run",
        images=640,
        model={"width": 4},
        trainer={"accelerator": "cpu"},
        callbacks={"SampleGrid": None, "SaveEvery": None, "SampleMetrics": {"every": 320, "n": 100}},
    )
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("verdict at 320 images: ")]
    assert len(said) == 1
    found = verdict_of(read_run(run.folder))
    row = json.loads(RunFolder(run.folder).measured_in_training()[0].read_text().splitlines()[-1])
    number = next(each for each in row["numbers"] if each["key"] == "fid")
    ratio = number["value"] / number["floor"]
    expected = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"
    assert found.headline.startswith(f"{expected} times as far from the training images")
    assert f"verdict: {found.headline}" in summary(run).splitlines()


def test_measurements_that_cannot_be_read_are_no_end_of_a_run(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "run")
    path = RunFolder(run).training_metrics("pixels")
    path.parent.mkdir()
    path.write_text('{"images_seen": 800, "numbers": [{"label": "FD-pixels"}]}\n')
    RunFolder(run).audit_report.parent.mkdir()
    RunFolder(run).audit_report.write_text('{"findings": null}')
    assert verdict_lines(run)[0].startswith(
        f"verdict: Unknown: the measurements of this run cannot be read ({path} has numbers that cannot be read"
    )
    path.unlink()
    assert verdict_lines(run)[0].startswith("verdict: 8.0 times as far")  # 1000 / 40^1.2 / 1.5, from the table
    (path.parent / "000000004000-held_out-pixels.json").write_text("{")
    assert "000000004000-held_out-pixels.json holds no numbers" in verdict_lines(run)[0]


def test_records_that_cannot_be_read_have_no_verdict(tmp_path: Path) -> None:
    assert verdict_lines(tmp_path) == []


def test_images_that_are_alike_early_in_a_run_are_neither_good_nor_bad() -> None:
    signals = {"diversity": 0.14, "duplicates": 1.0}
    alike = evidence([300.0, 200.0], signals=signals, readings=2)
    early = remark(judge(alike), "alarms")
    assert early.tone == "unknown"
    assert early.text.endswith("and 100% have a near-duplicate. That is too early to judge.")
    assert remark(judge(replace(alike, signals={"diversity": 0.9, "duplicates": 0.0})), "alarms").tone == "good"
    assert remark(judge(replace(alike, readings=100)), "alarms").tone == "bad"


def test_commands_are_whole_words_of_a_shell(tmp_path: Path) -> None:
    """A folder with a space and brackets in its name is quoted in every command that is printed."""
    run = tmp_path / "my run, [1]"
    lines = "\n".join(lines_of(judge(evidence([])), run))
    commands = re.findall(r"python -m zoo\.\w+ \w+=\S.*?(?=$| tells| compares| measures)", lines, re.M)
    assert commands
    for command in commands:
        assert str(run) in [word.partition("=")[2] for word in shlex.split(command)], command
