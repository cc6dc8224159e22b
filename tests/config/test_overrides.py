"""Overrides of a recipe: words of a command line, arguments of a notebook, seeds and mappings."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.helpers.recipes import recipe, written
from zoo.callbacks import SampleGrid
from zoo.config.arguments import parse_arguments
from zoo.errors import RecipeError, UserError
from zoo.runs.recipes import load_recipe


def test_arguments_nest_at_dots() -> None:
    words = ["images=20_000", "model.width=8", "model.betas=[0.0, 0.9]", "data.flip=true", "callbacks.SampleGrid=null"]
    assert parse_arguments(words) == {
        "images": "20_000",  # until the setting is known to be a number
        "model": {"width": 8, "betas": "[0.0, 0.9]"},
        "data": {"flip": True},
        "callbacks": {"SampleGrid": None},
    }
    checked = recipe("dcgan_digits", *words)
    assert (checked.images, checked.model.arguments["betas"]) == (20_000, (0.0, 0.9))


@pytest.mark.parametrize("value", ["a=b", "a=b=c", "x/y=1", "with space=1"])
def test_values_may_hold_equals_signs(value: str) -> None:
    assert parse_arguments([f"data.root={value}"]) == {"data": {"root": value}}
    assert recipe("dcgan_digits", "data.class=Folder", f"data.root={value}").data.arguments["root"] == value


def test_the_last_of_two_words_for_one_setting_counts() -> None:
    assert parse_arguments(["model.width=8", "model.width=9"]) == {"model": {"width": 9}}


@pytest.mark.parametrize("word", ["model.width", "=3", "", "recipe"])
def test_a_word_that_is_no_assignment_is_refused(word: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_arguments([word])
    assert str(caught.value) == f"{word!r} is not of the form key=value, such as images=20000 or model.width=32"


@pytest.mark.parametrize("word", ["model.width=${oops", "model={width: '${oops'}"])
def test_a_reference_that_is_not_complete_is_refused_by_name(word: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_arguments([word])
    assert str(caught.value).startswith(f"the value in {word!r} cannot be read: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("model.betas=[1", "model.betas: '[1' is not a list of 2: a number, a number"),
        ("model.width={a: ", "model.width: '{a: ' is not an integer"),
    ],
)
def test_a_value_with_open_brackets_is_refused_where_it_is_no_text(word: str, fault: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe("dcgan_digits", word)
    assert caught.value.faults == [fault]


def test_nested_overrides_replace_only_what_they_name() -> None:
    found, plain = recipe("dcgan_digits", "model.width=8", "callbacks.SampleGrid.every=5"), recipe("dcgan_digits")
    assert found.model.arguments == {**plain.model.arguments, "width": 8}
    assert found.callbacks["SampleGrid"].arguments == {**plain.callbacks["SampleGrid"].arguments, "every": 5}
    assert found.callbacks["SaveEvery"] == plain.callbacks["SaveEvery"]
    assert (found.data, found.trainer) == (plain.data, plain.trainer)


def test_null_removes_a_callback() -> None:
    assert set(recipe("dcgan_digits").callbacks) == {"Alarms", "SampleGrid", "SampleMetrics", "SaveEvery"}
    assert set(recipe("dcgan_digits", "callbacks.SampleGrid=null").callbacks) == {
        "Alarms",
        "SampleMetrics",
        "SaveEvery",
    }
    assert recipe("dcgan_digits", "callbacks=null").callbacks == {}


def test_a_callback_can_be_added_under_a_name_of_its_own(tmp_path: Path) -> None:
    found = recipe("dcgan_digits", "callbacks.small.class=SampleGrid", "callbacks.small.every=7")
    assert found.callbacks["small"].target is SampleGrid
    assert found.callbacks["small"].arguments["every"] == 7
    assert load_recipe(written(tmp_path / "dcgan_digits.yaml", found.to_yaml())) == found


def test_interpolations_follow_overrides() -> None:
    found = recipe("dcgan_digits", "model.resolution=32", "model.channels=3")
    assert (found.data.arguments["resolution"], found.data.arguments["channels"]) == (32, 3)
    horizon = recipe("dcgan_digits", "images=640", "model.lr_schedule=linear", "model.lr_horizon=${images}")
    assert horizon.model.arguments["lr_horizon"] == 640


def test_one_seed_reaches_the_model_and_the_data() -> None:
    found = recipe("dcgan_digits", "seed=7")
    assert (found.seed, found.model.arguments["seed"], found.data.arguments["seed"]) == (7, 7, 7)


def test_a_part_keeps_a_seed_of_its_own() -> None:
    found = recipe("dcgan_digits", "seed=7", "model.seed=3")
    assert (found.seed, found.model.arguments["seed"], found.data.arguments["seed"]) == (7, 3, 7)
    other = recipe("dcgan_digits", "data.seed=5")
    assert (other.seed, other.model.arguments["seed"], other.data.arguments["seed"]) == (0, 0, 5)


def test_a_seed_changes_neither_pictures_nor_the_held_out_part() -> None:
    found = recipe("dcgan_digits", "seed=7")
    assert found.data.arguments["split_seed"] == 0
    assert found.callbacks["SampleGrid"].arguments["seed"] == 0


def test_overrides_of_a_notebook_mean_the_same_as_words() -> None:
    nested = {"images": 64, "model": {"width": 8, "betas": (0.0, 0.9)}, "callbacks": {"SampleGrid": None}}
    words = ["images=64", "model.width=8", "model.betas=[0.0,0.9]", "callbacks.SampleGrid=null"]
    assert load_recipe("dcgan_digits", nested) == recipe("dcgan_digits", *words)


def test_a_notebook_may_give_a_path_as_a_path(tmp_path: Path) -> None:
    found = load_recipe("dcgan_digits", {"data": {"class": "Folder", "root": tmp_path}})
    assert found.data.arguments["root"] == str(tmp_path)


def test_a_notebook_may_give_a_class_as_a_class() -> None:
    given = load_recipe(
        "dcgan_digits", {"model": {"class": zoo.WGANGP}, "callbacks": {"Pictures": {"class": SampleGrid, "every": 640}}}
    )
    assert given.model.target is zoo.WGANGP
    assert given.callbacks["Pictures"].target is SampleGrid
    assert "class: WGANGP" in given.to_yaml()


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("batch_size", "Did you mean data.batch_size?"),
        ("lr", "Did you mean model.discriminator_lr or model.generator_lr?"),
        ("precision", "Did you mean trainer.precision?"),
        ("epochs", "a run's length is `images`, the number of real images shown"),
        ("max_epochs", "a run's length is `images`"),
        ("imagse", "Did you mean images?"),
    ],
)
def test_a_setting_without_its_section_is_told_where_it_belongs(word: str, remedy: str) -> None:
    with pytest.raises(RecipeError, match=rf"{word}: there is no such section.*{re.escape(remedy)}"):
        load_recipe("dcgan_digits", {word: 3})


def test_the_callers_overrides_stay_as_they_are() -> None:
    nested: dict[str, Any] = {"data": {"class": "Folder", "root": "X"}, "model": {"width": 8}}
    before = copy.deepcopy(nested)
    load_recipe("dcgan_mnist", nested)
    assert nested == before


def test_a_mapping_by_resolution_is_changed_in_part_or_as_a_whole() -> None:
    plain = {4: 128, 32: 64, 64: 32, 128: 16}
    for words, expected in [
        ([], plain),
        (["data.batch_size.128=8"], {**plain, 128: 8}),
        (["data.batch_size.128=8", "data.batch_size={4: 64}"], {**plain, 4: 64, 128: 8}),
        (["data.batch_size=16"], 16),
    ]:
        assert recipe("progan_celeba", *words).data.arguments["batch_size"] == expected
    assert recipe("dcgan_digits", "data.batch_size={4: 64}").data.arguments["batch_size"] == {4: 64}


@pytest.mark.parametrize("word", ["data.batch_size.x=8", "data.batch_size.128=x", "data.batch_size={a: 64}"])
def test_what_is_no_mapping_between_numbers_is_refused(word: str) -> None:
    with pytest.raises(RecipeError, match=r"data\.batch_size: .* is not an integer or a mapping"):
        recipe("progan_celeba", word)
