"""What the README shows works as it is written there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import torch

import zoo
from zoo.config.arguments import parse_arguments
from zoo.config.loading import recipe_names
from zoo.hub.converting import SOURCES
from zoo.runs.recipes import load_recipe

TEXT = (Path(__file__).parent.parent / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_every_recipe_that_is_named_exists() -> None:
    assert set(re.findall(r"recipe=(\w+)", TEXT)) - {"NAME"} <= set(recipe_names())


def test_the_five_lines_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (lines,) = [block for block in PYTHON if "zoo.fit(" in block]
    names: dict[str, object] = {}
    exec(lines.replace("20_000", "192, model={'width': 4}, trainer={'accelerator': 'cpu'}"), names)
    images, scores = names["images"], names["scores"]
    assert isinstance(images, torch.Tensor)
    assert isinstance(scores, torch.Tensor)
    assert (images.shape, scores.shape) == ((16, 1, 16, 16), (16,))


def test_the_subclass_trains_without_registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (lines,) = [block for block in PYTHON if "class ModeSeekingGAN" in block]
    Path("my_ideas.py").write_text(lines)
    run = zoo.fit(
        "dcgan_digits",
        out="run",
        images=192,
        trainer={"accelerator": "cpu"},
        model={"class": "my_ideas.ModeSeekingGAN", "seek": 2.0, "width": 4},
    )
    assert "g/mode_seeking" in run.model.last_terms
    assert type(zoo.load_run("run")).__name__ == "ModeSeekingGAN"


def test_a_pretrained_model_is_loaded_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (lines,) = [block for block in PYTHON if "from_pretrained(" in block]
    names: dict[str, object] = {}
    exec(f"import zoo\n{lines}", names)
    images = names["images"]
    assert isinstance(images, torch.Tensor)
    assert images.shape == (20, 1, 16, 16)
    assert torch.equal(
        zoo.from_pretrained("./my_digits").sample(2, seed=0), zoo.from_pretrained("dcgan_digits").sample(2, seed=0)
    )


def test_the_sources_of_weights_are_those_that_there_are() -> None:
    section = TEXT.split("## Pretrained models")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.split("| source |")[1].splitlines()[2:] if line.startswith("|")]
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == set(SOURCES)


@pytest.mark.skipif(importlib.util.find_spec("pl_bolts") is None, reason="pip install --no-deps lightning-bolts==0.7.0")
def test_the_recipe_with_lightning_bolts_is_one() -> None:
    command = TEXT.split("## With lightning-bolts")[1].split("python -m zoo.fit ")[1].split("```")[0]
    words = parse_arguments(command.replace("\\\n", " ").split())
    recipe = load_recipe(words.pop("recipe"), words)
    assert recipe.data.arguments["resolution"] == 16
    assert recipe.callbacks["LatentDimInterpolator"].arguments["every"] == 20_000


def test_the_faults_are_told_as_shown() -> None:
    shown = re.search(r"\$ python -m zoo.fit (.*)\nzoo.fit: ((?:.|\n)*?)```", TEXT)
    assert shown is not None
    words = parse_arguments(shown[1].split())
    with pytest.raises(ValueError, match="2 faults") as caught:
        load_recipe(words.pop("recipe"), words)
    assert str(caught.value) == shown[2].strip()
