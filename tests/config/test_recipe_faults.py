"""Faults of a recipe: reported together, by the keys and words that a user knows."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from pytorch_lightning import Trainer

from tests.helpers.recipes import MINIMAL, recipe, written
from zoo.config.arguments import parse_arguments
from zoo.config.checking import REFUSED_BY_TRAINER
from zoo.errors import RecipeError, UserError
from zoo.runs.recipes import load_recipe


def test_all_faults_are_reported_together_under_a_header_that_counts_them() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("dcgan_digits", "model.widht=4", "data.batch_size=x", "images=0", "callbacks.SampleGird.every=5")
    assert len(caught.value.faults) == 4
    header, *lines = str(caught.value).splitlines()
    assert header == (
        "dcgan_digits with model.widht=4 data.batch_size=x images=0 callbacks.SampleGird.every=5 has 4 faults"
    )
    assert lines == [f"  {fault}" for fault in caught.value.faults]
    assert [line.split(":")[0] for line in caught.value.faults] == [
        "images",
        "model.widht",
        "data.batch_size",
        "callbacks.SampleGird.class",
    ]


def test_one_fault_is_counted_as_one() -> None:
    with pytest.raises(RecipeError, match=r"dcgan_digits with model\.widht=4 has 1 fault\n"):
        recipe("dcgan_digits", "model.widht=4")


def test_a_recipe_error_is_also_a_value_error() -> None:
    with pytest.raises(ValueError, match="widht"):
        load_recipe("dcgan_digits", {"model": {"widht": 4}})


def test_a_wrong_seed_is_one_fault() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("dcgan_digits", "seed=abc")
    assert caught.value.faults == ["seed: 'abc' is not an integer"]


def test_what_a_trainer_is_refused_is_an_argument_of_lightnings_trainer() -> None:
    assert set(REFUSED_BY_TRAINER) <= set(inspect.signature(Trainer).parameters)


@pytest.mark.parametrize("key", sorted(REFUSED_BY_TRAINER))
def test_what_a_trainer_must_not_have_is_refused_with_the_reason(key: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("dcgan_digits", f"trainer.{key}=1")
    assert caught.value.faults == [f"trainer.{key}: {REFUSED_BY_TRAINER[key]}"]


@pytest.mark.parametrize("key", ["enable_model_summary", "plugins"])
def test_a_trainer_argument_that_the_run_itself_sets_is_refused(key: str) -> None:
    with pytest.raises(RecipeError, match=rf"trainer\.{key}"):
        recipe("dcgan_digits", f"trainer.{key}=true")


@pytest.mark.parametrize("duration", ["17", "[1]", "{minutes: x}", "{fortnights: 1}"])
def test_a_duration_is_checked_with_the_recipe(duration: str) -> None:
    """Row W3: `trainer.max_time=17` was refused by Lightning, after the images had been read."""
    with pytest.raises(
        RecipeError, match=r"trainer\.max_time: .* is no duration; write DD:HH:MM:SS, such as 00:12:00:00"
    ):
        recipe("dcgan_digits", f"trainer.max_time={duration}")


@pytest.mark.parametrize("duration", ["00:00:30:00", "{minutes: 30}", "null"])
def test_durations_of_lightning_are_accepted(duration: str) -> None:
    assert "max_time" in recipe("dcgan_digits", f"trainer.max_time={duration}").trainer


@pytest.mark.parametrize("precision", ["16", "16-mixed", "16-true", "transformer-engine-float16"])
def test_half_precision_is_refused_as_the_loop_refuses_it(precision: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("dcgan_digits", f"trainer.precision={precision}")
    assert f"trainer.precision: {precision} is refused" in str(caught.value)
    assert "use bf16-mixed, 32-true, or auto" in str(caught.value)


def test_an_unknown_precision_is_not_answered_with_ones_that_are_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("dcgan_digits", "trainer.precision=64x")
    assert "'64x'" in str(caught.value)
    assert "16-mixed'" not in str(caught.value).replace("bf16-mixed'", "")


@pytest.mark.parametrize("precision", ["auto", "bf16-mixed", "32-true"])
def test_precisions_that_train_gans_are_accepted(precision: str) -> None:
    assert recipe("dcgan_digits", f"trainer.precision={precision}").trainer["precision"] == precision


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("- 1\n- 2\n", ["a recipe is a mapping with the sections seed, images, pretrained, model, data, trainer"]),
        ("images: 10\nmodel: {width: 4}\ndata: {class: Digits}\n", ["model: missing; it is a mapping with `class`"]),
        ("images: 10\nmodel: {class: DCGAN}\n", ["data: missing; it is a mapping with `class`"]),
        (MINIMAL + "model: {class: DCGAN}\n", ["duplicate key model"]),
        (MINIMAL + "callbacks: [SampleGrid]\n", ["callbacks: must be a mapping from a name to settings"]),
        (MINIMAL + "callbacks: {SampleGrid: 3}\n", ["callbacks.SampleGrid: must be a mapping of settings", "got 3"]),
        (MINIMAL + "trainer: cpu\n", ["trainer: must be a mapping of arguments of pytorch_lightning.Trainer"]),
        (MINIMAL.replace("Digits", "Folder"), ["data.root: missing; Folder needs it (a text)", "data.resolution"]),
        (MINIMAL.replace("16", "'${oops}'"), ["oops"]),
        ("", ["images: missing", "model: missing", "data: missing"]),
    ],
)
def test_a_file_with_faults_names_each(text: str, faults: list[str], tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path / "faulty.yaml", text))
    assert "faulty.yaml has " in str(caught.value)
    for fault in faults:
        assert fault in str(caught.value)


@pytest.mark.parametrize("section", ["model", "data"])
@pytest.mark.parametrize("value", ["3", "DCGAN", "[1, 2]", "null"])
def test_a_section_that_is_no_mapping_is_a_fault(section: str, value: str, tmp_path: Path) -> None:
    lines = [line for line in MINIMAL.splitlines() if not line.startswith(section)]
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path / "r.yaml", "\n".join([*lines, f"{section}: {value}\n"])))
    assert caught.value.faults[0].startswith(f"{section}: ")
    assert "`class`" in caught.value.faults[0]


def test_a_missing_length_is_named_as_the_user_knows_it(tmp_path: Path) -> None:
    text = MINIMAL.replace("images: 10\n", "")
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path / "r.yaml", text))
    (fault,) = caught.value.faults
    assert fault.startswith("images: missing")
    assert "an integer" in fault
    assert "_top_level" not in fault


def test_a_missing_interpolation_names_the_setting_that_asks_for_it(tmp_path: Path) -> None:
    text = MINIMAL.replace("Digits", "Digits, resolution: '${model.resolutoin}'")
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(tmp_path / "r.yaml", text))
    assert "model.resolutoin" in str(caught.value)
    assert "data.resolution" in str(caught.value)


def test_a_model_given_as_a_number_is_told_so_in_words_of_the_recipe() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("dcgan_digits", "model=3")
    assert "ConfigTypeError" not in str(caught.value)
    assert "`class`" in str(caught.value)


@pytest.mark.parametrize("section", ["model", "data", "callbacks.SaveEvery", "loggers.mine"])
def test_a_misspelt_class_is_answered_with_the_key(section: str) -> None:
    """`data.clas=Folder` has no effect on the class, and says so: row A16."""
    loggers = ["loggers.mine.class=pytorch_lightning.loggers.CSVLogger", "loggers.mine.save_dir=x"]
    with pytest.raises(RecipeError) as caught:
        load_recipe("dcgan_digits", parse_arguments([*loggers, f"{section}.clas=Folder"]))
    (fault,) = caught.value.faults
    assert fault.startswith(f"{section}.clas: ")
    assert fault.endswith(" has no setting of that name. Did you mean class?")


def test_a_pattern_that_a_shell_has_expanded_is_refused() -> None:
    """Of two values the last counts; of the shards of a pattern without quotes only the last would be read."""
    words = [f"data.urls=train-{i:03d}.tar" for i in range(3)]
    with pytest.raises(UserError) as raised:
        parse_arguments(words)
    assert str(raised.value) == (
        "data.urls is given 3 times, from 'data.urls=train-000.tar' to 'data.urls=train-002.tar': a shell makes "
        "several arguments of a pattern with braces. Put it in quotes: 'data.urls=shards/train-{000..999}.tar'"
    )
    assert parse_arguments(["images=1", "images=2"]) == {"images": 2}
