"""Settings in the editor: the JSON schema of recipes and the typed settings of `zoo.fit` are those of the code."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from mypy import api
from omegaconf import OmegaConf
from write_schema import SCHEMA, schema_text
from write_typed_settings import TYPED_SETTINGS, typed_settings

import zoo
from zoo.config.arguments import parse_arguments
from zoo.config.checking import REFUSED_BY_TRAINER, SECTIONS
from zoo.config.recipe_files import recipe_folder, recipe_names
from zoo.config.settings import settings_of
from zoo.config.values import Word, read_yaml
from zoo.errors import RecipeError
from zoo.runs.recipes import load_recipe
from zoo.runs.typed_settings import ModelSettings, Overrides, TrainerSettings

RUNNABLE = "images: 10\nmodel: {class: DCGAN, resolution: 16}\ndata: {class: Digits}\n"


def faults(text: str) -> list[str]:
    """Where the schema finds faults in a recipe."""
    content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    plain = json.loads(json.dumps(content))  # as an editor sees it: all keys are texts
    validator = Draft7Validator(json.loads(SCHEMA.read_text()))
    return sorted(".".join(map(str, error.absolute_path)) for error in validator.iter_errors(plain))


def changed(name: str, *arguments: str) -> str:
    """The text of a recipe with values of a command line in place of its own."""
    given = OmegaConf.create(as_in_a_file(parse_arguments(arguments)))
    return OmegaConf.to_yaml(OmegaConf.merge(OmegaConf.load(recipe_folder() / f"{name}.yaml"), given))


def as_in_a_file(value: Any) -> Any:
    """Return arguments with the lists that a recipe file would have in place of their texts."""
    if isinstance(value, dict):
        return {key: as_in_a_file(item) for key, item in value.items()}
    return read_yaml(value) if isinstance(value, Word) else value


# --- the files are up to date ----------------------------------------------------------------------------------------


def test_the_schema_is_that_of_the_signatures() -> None:
    assert SCHEMA.read_text() == schema_text(), "run: python recipes/write_schema.py"


def test_the_typed_settings_are_those_of_the_signatures() -> None:
    assert TYPED_SETTINGS.read_text() == typed_settings(), "run: python recipes/write_typed_settings.py"


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_the_schema_has_every_section_and_every_setting() -> None:
    schema = json.loads(SCHEMA.read_text())
    assert set(schema["properties"]) == {*SECTIONS, "numbers"}
    for target in (zoo.DCGAN, zoo.MixGAN, zoo.data.Folder, zoo.callbacks.Alarms):
        assert set(schema["definitions"][target.__name__]["properties"]) == {"class", *settings_of(target)}
    assert not set(schema["properties"]["trainer"]["properties"]) & set(REFUSED_BY_TRAINER)


# --- recipes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_accepted_as_it_is_and_written_out(name: str) -> None:
    path = recipe_folder() / f"{name}.yaml"
    assert faults(path.read_text()) == []
    assert faults(load_recipe(path).to_yaml()) == []


ACCEPTED = [
    "model.class=my_ideas.Mine model.seek=2",
    "model.base={class: my_ideas.Mine, seek: 2}",
    "callbacks.SampleGrid=null",
    "callbacks=null",
    "callbacks.small.class=SampleGrid callbacks.small.every=5",
    "callbacks.SampleGrid.class=SaveEvery callbacks.SampleGrid.keep=3",
    "callbacks={my_ideas.Shout: {loud: true}}",
    "loggers={pytorch_lightning.loggers.CSVLogger: {save_dir: x}}",
    "model.lr_horizon=${images}",
    "model.betas=[0,0.9]",
    "data.batch_size={4: 64, 8: 16}",
    "trainer.devices=[0,1]",
    "trainer.max_time=null",
]


@pytest.mark.parametrize("words", ACCEPTED)
def test_what_a_recipe_may_say_is_accepted(words: str) -> None:
    arguments = [words] if "{" in words else words.split()
    text = changed("mix_dcgan_digits" if "base" in words else "dcgan_digits", *arguments)
    assert faults(text) == []


def test_a_mixture_may_name_its_base_alone() -> None:
    text = "images: 10\nmodel: {class: MixGAN, base: DCGAN}\ndata: {class: Digits}\n"
    assert faults(text) == []
    assert faults(text.replace("base: DCGAN", "base: DCGANN")) == ["model.base"]


REFUSED = {
    "model.widht=4": "model",
    "model.width=wide": "model.width",
    "model.width=1.5": "model.width",
    "model.latent=gauss": "model.latent",
    "model.betas=[0.5]": "model.betas",
    "model.class=DCGANN": "model.class",
    "modle.width=4": "",
    "images=many": "images",
    "data.flip=perhaps": "data.flip",
    "data.class=Digit": "data.class",
    "data.batch_size={x: 64}": "data.batch_size",
    "callbacks.SampleGird.every=5": "callbacks.SampleGird",
    "callbacks.SampleGrid.evry=5": "callbacks.SampleGrid",
    "callbacks.SampleGrid={rows: 2, every: often}": "callbacks.SampleGrid",
    "callbacks.small.class=SampleGrid": "callbacks.small",
    "trainer.max_steps=9": "trainer",
    "trainer.precision=16-mixed": "trainer.precision",
    "trainer.device=2": "trainer",
}


@pytest.mark.parametrize("word", REFUSED)
def test_a_fault_is_found_where_it_is_and_by_the_command_too(word: str, tmp_path: Path) -> None:
    text = changed("dcgan_digits", word)
    (place,) = set(faults(text))
    assert place == REFUSED[word]
    (tmp_path / "faulty.yaml").write_text(text)
    with pytest.raises(RecipeError):
        load_recipe(tmp_path / "faulty.yaml")


@pytest.mark.parametrize("missing", ["images", "model", "data"])
def test_what_is_missing_is_found(missing: str) -> None:
    assert faults(RUNNABLE) == []
    content = yaml.safe_load(RUNNABLE)
    del content[missing]
    assert faults(yaml.safe_dump(content)) == [""]


def test_a_misspelt_setting_of_the_base_of_a_mixture_is_found() -> None:
    assert faults(changed("mix_dcgan_digits", "model.base.widht=4")) == ["model.base"]


# --- typed settings --------------------------------------------------------------------------------------------------


def test_the_typed_settings_are_the_sections_of_a_recipe() -> None:
    assert set(Overrides.__annotations__) == set(SECTIONS)
    assert {"class", *settings_of(zoo.DCGAN)} <= set(ModelSettings.__annotations__)
    assert not set(TrainerSettings.__annotations__) & set(REFUSED_BY_TRAINER)
    parameter = inspect.signature(zoo.fit).parameters["overrides"]
    assert (parameter.kind, parameter.annotation) == (parameter.VAR_KEYWORD, "Unpack[Overrides]")


PROGRAM = """
from pathlib import Path
from typing import Any
from typing_extensions import Unpack
from typed_settings import CallbackSections, ModelSettings, Overrides

def fit(recipe: str | Path | None = None, *, out: str | Path | None = None, **overrides: Unpack[Overrides]) -> None: ...

class Mine: ...

common: dict[str, Any] = {"images": 640, "trainer": {"accelerator": "cpu"}}
model = {"class": "my_ideas.Mine", "seek": 2.0}
fit("dcgan_digits", out="run", images=640, model={"width": 4, "betas": (0.0, 0.9), "generator_lr": 1}, **common)
fit("dcgan_digits", model={"class": "my_ideas.Mine", "seek": 2.0}, data={"class": "Folder", "root": Path("x")})
fit("dcgan_digits", model={"class": Mine}, callbacks={"SampleGrid": None, "SampleMetrics": {"every": 320, "n": 100}})
fit("dcgan_digits", model=model, callbacks={"Mine": {"class": Mine}}, loggers=None, pretrained="biggan_fashion")
fit("mix_dcgan_digits", model={"base": {"width": 4}, "components": 2}, trainer={"devices": [0, 1]}, seed=3)
"""
FAULTY = """
fit("dcgan_digits", modle={"width": 4})
fit("dcgan_digits", images="many")
fit("dcgan_digits", model=3)
typed: ModelSettings = {"widht": 4}
sections: CallbackSections = {"SampleGrid": 5}
"""


def test_a_type_checker_accepts_every_use_and_finds_a_misspelt_section(tmp_path: Path) -> None:
    shutil.copy(TYPED_SETTINGS, tmp_path)  # alone: mypy follows the package to torch, which takes minutes
    path = tmp_path / "program.py"
    path.write_text(PROGRAM + FAULTY)
    out, err, _ = api.run(["--strict", "--no-error-summary", f"--cache-dir={tmp_path / 'cache'}", str(path)])
    assert err == ""
    first = len(PROGRAM.splitlines()) + 2
    wrong = [line for line in out.splitlines() if " error: " in line]
    assert [int(line.split(":")[1]) for line in wrong] == list(range(first, first + 5)), out
    assert 'Unexpected keyword argument "modle" for "fit"; did you mean "model"?' in wrong[0]
    assert "widht" in wrong[3]
