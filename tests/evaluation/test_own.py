"""Metrics, extractors and audit questions of one's own, by class path: row A12."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.audit_evidence import images
from zoo.audit import audit, planted
from zoo.callbacks import SampleMetrics
from zoo.config.command_line import run_command
from zoo.errors import UserError
from zoo.evaluation.metric_spec import own_metric
from zoo.features import extractor
from zoo.rendering import pictures
from zoo.runs.measuring import main

IDEAS = '''
import torch
from zoo.audit import Finding
from zoo.features import Extractor
from zoo.metrics import CMMD, FeatureMetric, StoredFeatures


class Mine(StoredFeatures):
    """Distance of the means.

    It is |mean_r - mean_g|.
    """

    higher_is_better = False

    def compute(self):
        real, fake = self.features()
        return self.named(mean_distance=(real.mean(0) - fake.mean(0)).norm())


class Wide(Mine):
    """Distance of the means of the first features."""

    keys = {"first_distance": False}

    def __init__(self, width, used=1):
        super().__init__()
        self.given, self.used = width, used

    def compute(self):
        real, fake = self.features()
        assert real.shape[1] == self.given
        return self.named(first_distance=(real.mean(0) - fake.mean(0))[: self.used].norm(), hidden=1.0)


class Colours(Extractor):
    """The mean of each channel."""

    def __init__(self, scale: float = 1.0):
        super().__init__("colours", 3, {"network": "none", "layer": "mean of each channel"})
        self.scale = scale

    def forward_pixels(self, pixels):
        return self.scale * pixels.mean((2, 3)) / 255, None


class Symmetry:
    """A question about mirrored images."""

    QUESTION = "Are the images as symmetric as real ones?"

    def run(self, evidence):
        sides = [part.images() - part.mirrored().images() for part in (evidence.generated, evidence.held_out)]
        fake, real = (float(side.abs().mean()) for side in sides)
        flags = {"lopsided": "its images are less symmetric"} if fake > 2 * real else {}
        return Finding("x", self.QUESTION, "alarm" if flags else "passed", f"{fake:.2f}, real {real:.2f}.", flags=flags)


class Undirected(Mine):
    higher_is_better = None


class Needy(Mine):
    def __init__(self, depth):
        super().__init__()


class Abstract(FeatureMetric):
    higher_is_better = True

    def update(self, features, real):
        pass


class Same(Mine):
    pass


class Posing(Mine):
    def compute(self):
        return self.named(fid=1.0)


class Kernel(CMMD):
    """A kernel distance of another bandwidth."""

    def __init__(self):
        super().__init__(sigma=1.0)


class Named(Kernel):
    """A kernel distance of another bandwidth, by another name."""

    def numbers(self, real, fake, found):
        return self.named(mine=super().numbers(real, fake, found)["cmmd"])


class Bare(Mine):
    def compute(self):
        return torch.tensor(1.0)


class Posed(Colours):
    def __init__(self):
        super().__init__()
        self.name = "inception-2"


class Silent:
    QUESTION = "Nothing?"

    def run(self, evidence):
        return None
'''


@pytest.fixture(autouse=True)
def ideas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "my_ideas.py").write_text(IDEAS)
    sys.modules.pop("my_ideas", None)  # of another test in the same process
    yield
    sys.modules.pop("my_ideas", None)


def folder(name: str, brightness: float) -> str:
    """Save 30 images of one grey level that differs a little between images."""
    for i in range(30):
        level = brightness + 0.01 * (i % 3 - 1)
        pictures.save(pictures.single(torch.full((3, 8, 8), level)), Path(name) / f"{i:02d}.png")
    return name


def evaluated(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, [f"real={folder('real', 0.0)}", f"fake={folder('fake', 0.5)}", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_metric_and_an_extractor_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Grey levels 0.5 apart in [-1, 1] are 0.25 apart in [0, 1], in each of three channels: row A12."""
    words = ["metrics=kid,my_ideas.Mine,my_ideas.Wide", "extractor=my_ideas.Colours", "out=numbers.json"]
    assert evaluated(*words) == 0
    rows = {row["label"]: row for row in json.loads(Path("numbers.json").read_text())["rows"][0]["numbers"]}
    assert list(rows) == ["KD-colours", "mean_distance-colours", "first_distance-colours"]
    assert rows["mean_distance-colours"]["value"] == pytest.approx(0.25 * 3**0.5, abs=0.01)
    assert rows["first_distance-colours"]["value"] == pytest.approx(0.25, abs=0.01)
    assert rows["mean_distance-colours"]["protocol"]["metric"] == "Distance of the means."
    assert rows["mean_distance-colours"]["protocol"]["extractor"] == "colours"
    assert rows["mean_distance-colours"]["low"] is not None
    assert evaluated(*words[:2], "options.scale=2", "out=scaled.json") == 0
    scaled = json.loads(Path("scaled.json").read_text())["rows"][0]["numbers"][1]
    assert scaled["value"] == pytest.approx(0.5 * 3**0.5, abs=0.02)
    assert "mean_distance-colours" in capsys.readouterr().out


def test_a_metric_of_distances_of_ones_own_keeps_its_number_beside_the_one_it_extends() -> None:
    """Row A12: greys have one direction, so `cmmd` is 0; the other one, which does not scale to length 1, is not."""
    found = {}
    for names in ("cmmd", "my_ideas.Named", "cmmd,my_ideas.Named"):
        assert evaluated(f"metrics={names}", "extractor=my_ideas.Colours", "out=numbers.json", "repeats=2") == 0
        numbers = json.loads(Path("numbers.json").read_text())["rows"][0]["numbers"]
        found[names] = {row["key"]: (row["value"], row["low"], row["floor"]) for row in numbers}
    assert set(found["cmmd,my_ideas.Named"]) == {"cmmd", "mine"}
    assert found["cmmd"]["cmmd"][0] == pytest.approx(0, abs=1e-3)
    assert found["my_ideas.Named"]["mine"][0] > 10
    for key, numbers in (found["cmmd"] | found["my_ideas.Named"]).items():
        assert found["cmmd,my_ideas.Named"][key] == pytest.approx(numbers, rel=1e-6, abs=1e-6), key


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["metrics=Mine"], "vendi. One of your own is named by its path: my_ideas.Mine"),
        (["metrics=my_ideas.Mien"], "my_ideas has no Mien. Did you mean Mine?"),
        (["metrics=no_ideas.Mine"], "there is no module no_ideas to import no_ideas.Mine from"),
        (["metrics=my_ideas.Symmetry"], "my_ideas.Symmetry is no metric of features. Extend zoo.metrics.FeatureMetric"),
        (["metrics=my_ideas.Undirected"], "my_ideas.Undirected: set the class attribute higher_is_better to True or"),
        (["metrics=my_ideas.Needy"], "my_ideas.Needy(depth): only width, the number of features, is handed over"),
        (["metrics=my_ideas.Abstract"], "my_ideas.Abstract lacks compute"),
        (["metrics=my_ideas.Posing"], "my_ideas.Posing computes fid, a name of a metric of this library"),
        (
            ["metrics=cmmd,my_ideas.Kernel"],
            "my_ideas.Kernel computes cmmd, a name of a metric of this library. Give it",
        ),
        (["metrics=my_ideas.Mine,my_ideas.Same"], "my_ideas.Same computes mean_distance, as another metric before it"),
        (["metrics=my_ideas.Bare"], "Bare.compute() must return numbers by name, as `named` does; got a Tensor"),
        (["extractor=Colours"], "stacked-mnist. One of your own is named by its path: my_ideas.Colours"),
        (["extractor=my_ideas.Mine"], "extractor my_ideas.Mine is no extractor. Extend zoo.features.Extractor"),
        (["extractor=my_ideas.Posed"], "extractor my_ideas.Posed calls itself 'inception-2', as one of this library"),
        (
            ["extractor=my_ideas.Colours", "options.sacle=2"],
            "sacle: my_ideas.Colours has no setting of that name. Did you mean scale?",
        ),
    ],
)
def test_what_is_no_metric_is_refused(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Row A12."""
    given = words if words[0].startswith("extractor") else [*words, "extractor=pixels"]
    assert evaluated(*given) == 2
    said = capsys.readouterr().err
    assert text in said
    assert "Traceback" not in said


def test_sample_metrics_take_a_metric_of_ones_own() -> None:
    assert SampleMetrics(64, metrics=("kid", "my_ideas.Mine"), select="kid").metrics == ["kid", "my_ideas.Mine"]
    assert SampleMetrics(64, metrics=("my_ideas.Wide",), select="first_distance").select_highest is False
    with pytest.raises(UserError, match="select: 'fid' is not measured"):
        SampleMetrics(64, metrics=("my_ideas.Wide",))


def test_width_is_handed_over() -> None:
    made: Any = own_metric("my_ideas.Wide").make(7, 10, None)
    assert made.given == 7


def test_a_question_of_ones_own_is_asked_last_and_its_flag_is_the_verdict() -> None:
    """Row A12."""
    real = images(60, 0), images(60, 1)
    lopsided = torch.linspace(-1, 1, 8).expand(60, 1, 8, 8)
    report = audit(planted.Honest(lopsided), *real, features="pixels", only="my_ideas.Symmetry,weights")
    assert [finding.name for finding in report.findings] == ["weights", "my_ideas.Symmetry"]
    assert report.verdict == ("lopsided",)
    report.save("report")
    assert "Are the images as symmetric as real ones?" in Path("report/report.html").read_text()
    honest = audit(planted.Honest(images(60, 2)), *real, features="my_ideas.Colours", only=["my_ideas.Symmetry"])
    assert honest["my_ideas.Symmetry"].status == "passed"
    assert honest.about["extractor"]["name"] == "colours"


def test_all_questions_and_ones_own() -> None:
    from zoo.audit.auditing import chosen_questions
    from zoo.audit.questions import NAMES

    assert chosen_questions("all,my_ideas.Symmetry") == [*NAMES, "my_ideas.Symmetry"]


@pytest.mark.parametrize(
    ("only", "text"),
    [
        ("Symmetry", "weights. One of your own is named by its path: my_ideas.Symmetry"),
        ("my_ideas.Mine", "only: my_ideas.Mine is no question: a class that has QUESTION"),
        ("my_ideas.Silent", "only: my_ideas.Silent.run must return a zoo.audit.Finding; it returned a NoneType"),
    ],
)
def test_what_is_no_question_is_refused(only: str, text: str) -> None:
    with pytest.raises(UserError, match=text.replace("(", r"\(")):
        audit(planted.Honest(images(60, 2)), images(60, 0), images(60, 1), features="pixels", only=only)


def test_extractors_of_ones_own_are_built_with_their_settings() -> None:
    made: Any = extractor("my_ideas.Colours", scale=2.0)
    assert made.scale == 2
    assert made(torch.ones(2, 1, 4, 4)).tolist() == [[2.0] * 3] * 2
