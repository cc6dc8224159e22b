"""Published numbers of recipes: what a recipe may state, and how they are shown beside ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import zoo
from zoo.config.command_line import run_command
from zoo.errors import RecipeError
from zoo.evaluation.metric_table import label_of
from zoo.features import EXTRACTORS
from zoo.io.run_folder import RunFolder
from zoo.runs.comparing.grouping import described_run
from zoo.runs.measuring import main
from zoo.runs.recipes import load_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
STATING = sorted(path.stem for path in RECIPES.glob("*.yaml") if "\nnumbers:" in path.read_text())
WITHOUT = {"SampleGrid": None, "SampleMetrics": None}
ENTRY = {"number": "FID", "value": 42.72, "of": "DCGAN", "protocol": "inception", "source": "X", "read": "source"}


def entries(name: str) -> list[dict[str, Any]]:
    numbers: list[dict[str, Any]] = yaml.safe_load((RECIPES / f"{name}.yaml").read_text())["numbers"]
    return numbers


def evaluate(*words: str) -> int:
    """Exit code of `python -m zoo.evaluate`, called in this process."""
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a recipe of one's own that states two published numbers, trained for a moment."""
    folder = tmp_path_factory.mktemp("own")
    recipe = yaml.safe_load((RECIPES / "dcgan_digits.yaml").read_text())
    recipe["numbers"] = [
        {**ENTRY, "number": "FD", "value": 3.5, "label": "FD-digits", "read": "second hand", "spread": 0.25},
        ENTRY,
    ]
    (folder / "mine.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(folder / "cache"))
        zoo.fit(str(folder / "mine.yaml"), out=folder / "run", images=640, model={"width": 4}, callbacks=WITHOUT)
    return folder / "run"


def test_recipes_of_papers_state_published_numbers() -> None:
    assert len(STATING) >= 20
    for name in ("dcgan_cifar10", "wgan_gp_cifar10", "biggan_cifar10", "progan_cifar10", "r3gan_cifar10"):
        assert name in STATING


@pytest.mark.parametrize("name", STATING)
def test_every_published_number_says_of_what_by_what_and_from_where(name: str) -> None:
    loaded = load_recipe(name).numbers
    assert len(loaded) == len(entries(name))
    labels = {label_of("fid", extractor) for extractor in EXTRACTORS}
    for entry in loaded:
        assert all(entry[key].strip() for key in ("number", "of", "protocol", "source"))
        assert entry["read"] in ("source", "second hand", "unverified")
        if entry["number"].startswith("FD"):
            assert entry["label"] in labels


def test_numbers_of_the_anchors_are_the_ones_stated() -> None:
    """Read at the sources, independently of the recipes: dgm-eval's Table 11, and a repository's README."""
    stated = {(entry["number"], entry["value"]) for name in STATING for entry in entries(name)}
    assert {("FD-DINOv2", 1088.56), ("FD-DINOv2", 326.66), ("FID", 42.72), ("IS", 8.42), ("modes", 78.9)} <= stated
    second_hand = [entry for name in STATING for entry in entries(name) if entry["value"] in (1.96, 7.045, 14.73, 36.4)]
    assert {entry["read"] for entry in second_hand} == {"second hand"}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("FID 3", "numbers: must be a list of published numbers, each a mapping; got 'FID 3'"),
        (["FID 3"], r"numbers\[0\]: must be a mapping with number, value, of, protocol, source and read; got 'FID 3'"),
        ([{**ENTRY, "valeu": 3}], r"numbers\[0\].valeu: a published number has no setting .*Did you mean .*value\?"),
        (
            [{**ENTRY, "read": "heard"}],
            r"numbers\[0\].read: 'heard' is not one of 'source', 'second hand', 'unverified'",
        ),
        ([{**ENTRY, "value": "low"}], r"numbers\[0\].value: "),
        ([{"number": "FID"}], r"numbers\[0\].value"),
    ],
)
def test_a_fault_in_the_section_is_named(given: Any, text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        load_recipe("dcgan_digits", {"numbers": given})


def test_published_numbers_change_nothing_of_a_run(run: Path) -> None:
    """They are recorded with it, and are no setting by which runs are told apart or resumed."""
    assert [entry["value"] for entry in yaml.safe_load(RunFolder(run).recipe.read_text())["numbers"]] == [3.5, 42.72]
    assert not any(key.startswith("numbers") for key in described_run(run)["settings"])
    assert load_recipe(RunFolder(run).recipe).sections().keys() == load_recipe("dcgan_digits").sections().keys()


def test_ours_stand_beside_and_what_was_not_measured_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "numbers.json"
    assert evaluate(f"checkpoint={run}", "metrics=fid", "repeats=0", "compare=published", f"out={out}") == 0
    content = json.loads(out.read_text())
    ours = content["rows"][0]["numbers"][0]["value"]
    first, second = content["published"]
    assert (first["value"], first["ours"]) == (3.5, ours)
    assert first["how"] == "179 samples against 179 of held_out, after 640 images"
    assert second["ours"] == "not run"
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "published numbers beside ours",
        "3.5 ± 0.25",
        f"{ours:.5g}",
        "not run",
        "second hand",
        "at the source",
    ):
        assert part in text
    assert "what was read second hand or not verified is no number to quote" in text


def test_an_earlier_measurement_of_the_run_is_found(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path(shutil.copytree(run, tmp_path / "run"))
    assert evaluate(f"checkpoint={own}", "metrics=fid", "repeats=0", "n=100") == 0
    (own / "evaluation" / "broken.json").write_text("{")
    out = tmp_path / "numbers.json"
    assert evaluate(f"checkpoint={own}", "metrics=kid", "repeats=0", "compare=published", f"out={out}") == 0
    assert json.loads(out.read_text())["published"][0]["how"] == (
        "100 samples against 100 of held_out, after 640 images"
    )


def test_without_published_numbers_it_is_said_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extracted: list[int]
) -> None:
    for words, text in (
        (("checkpoint=dcgan_digits", "compare=published"), "the recipe dcgan_digits has no section `numbers`"),
        (("real=a", "fake=b", "compare=published"), "the published numbers are those of a recipe. Give checkpoint=RUN"),
        (("checkpoint=dcgan_digits", "compare=publisht"), "publisht"),
    ):
        assert evaluate(*words) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert text in said
        assert "Traceback" not in said
    assert extracted == []
