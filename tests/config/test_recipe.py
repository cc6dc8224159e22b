"""Truths of recipes: what comes with the zoo, overrides, and what a checked recipe holds."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pytorch_lightning import Trainer

import zoo
from zoo.callbacks import SampleGrid
from zoo.config.arguments import parse_arguments
from zoo.config.checking import REFUSED_BY_TRAINER
from zoo.config.recipe import Recipe
from zoo.config.recipe_files import find_recipe, recipe_description, recipe_folder, recipe_names
from zoo.config.settings import settings_of
from zoo.data import Digits, Folder
from zoo.errors import RecipeError, UserError
from zoo.runs.recipes import load_recipe

NAMES = recipe_names()
MINIMAL = "images: 10\nmodel: {class: DCGAN, resolution: 16}\ndata: {class: Digits}\n"


def recipe(name: str, *words: str) -> Recipe:
    """The recipe as the command line would have it."""
    return load_recipe(name, parse_arguments(words))


def of_networks(model: dict[str, Any]) -> dict[str, Any]:
    """A model's settings, or those of the base that it mixes."""
    base: dict[str, Any] = model.get("base", model)
    return base


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# --- the recipes of the zoo ------------------------------------------------------------------------------------------


def test_the_zoo_has_recipes() -> None:
    assert {"dcgan_digits", "vanilla_digits"} <= set(NAMES)
    assert set(NAMES) == {path.stem for path in recipe_folder().iterdir() if path.suffix == ".yaml"}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_resolves_to_classes_and_complete_settings(name: str) -> None:
    found = recipe(name)
    assert found.name == name
    assert found.images > 0
    assert issubclass(found.model.target, zoo.GAN)
    for part in (found.model, found.data, *found.callbacks.values()):
        assert set(part.arguments) == set(settings_of(part.target))
    assert found.notes == []
    assert "SaveEvery" in found.callbacks


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_written_out_is_the_same_recipe(name: str, tmp_path: Path) -> None:
    found = recipe(name)
    again = load_recipe(written(tmp_path / f"{name}.yaml", found.to_yaml()))
    assert again == found
    assert again.to_yaml() == found.to_yaml()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_begins_with_what_it_is_and_how_to_run_it(name: str) -> None:
    first, second, third = (recipe_folder() / f"{name}.yaml").read_text().splitlines()[:3]
    assert first.startswith("# ")
    assert first[2].isalnum()
    assert first == f"# {recipe_description(name)}"
    assert second == "# yaml-language-server: $schema=schema.json"
    assert third.startswith("#")
    assert third.lstrip("# ") == f"python -m zoo.fit recipe={name}"


@pytest.mark.parametrize("name", NAMES)
def test_the_model_of_a_recipe_can_be_built_and_draws_images_of_its_shape(name: str) -> None:
    found = recipe(name)
    with torch.device("meta"):
        model = found.model.build()
    arguments = of_networks(found.model.arguments)
    count = 2 * found.model.arguments.get("components", 1)  # two for each generator of a mixture
    assert model.seed == found.seed
    model.images_seen = found.images  # what grows is full-grown at the end
    with torch.device("meta"):
        latents = model.sample_latent(count)
        images = model.generate(model.generator, latents, model.sample_labels(count))
    assert images.shape == (count, arguments["channels"], arguments["resolution"], arguments["resolution"])


@pytest.mark.parametrize("name", NAMES)
def test_the_model_and_the_data_of_a_recipe_agree_on_the_shape_of_images(name: str) -> None:
    model, data = of_networks(recipe(name).model.arguments), recipe(name).data.arguments
    assert (model["resolution"], model["channels"]) == (data["resolution"], data["channels"])


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_can_be_pointed_at_a_folder(name: str, tmp_path: Path) -> None:
    found = recipe(name, "data.class=Folder", "data.root=X")
    assert found.data.target is Folder
    assert found.data.arguments["root"] == "X"
    assert of_networks(found.model.arguments)["num_classes"] == 0

    file = yaml.safe_load((recipe_folder() / f"{name}.yaml").read_text())
    told = " ".join(found.notes)
    dropped = set(file["data"]) - {"class"} - set(settings_of(Folder))
    for key in dropped:
        assert key in told
    assert ("left out" in told) == bool(dropped)
    for key in set(file["data"]) & {"batch_size", "flip"}:
        assert found.data.arguments[key] == file["data"][key]
    classes = of_networks(file["model"]).get("num_classes", 0)
    where = "model.base" if "base" in file["model"] else "model"
    assert (f"{where}.num_classes is 0 because data.class was changed" in told) == bool(classes)
    assert (f"give {where}.num_classes= the number of its classes" in told) == bool(classes)
    assert f"{where}.num_classes={classes} " not in told  # the new data need not have as many classes: row I3

    again = load_recipe(written(tmp_path / f"{name}.yaml", found.to_yaml()))
    assert again == dataclasses.replace(found, notes=[])


# --- other data, other models ----------------------------------------------------------------------------------------


def test_a_given_number_of_classes_is_kept_on_other_data() -> None:
    found = recipe("dcgan_digits", "data.class=Folder", "data.root=X", "model.num_classes=7")
    assert found.model.arguments["num_classes"] == 7
    assert found.notes == []


def test_naming_the_same_data_again_changes_nothing() -> None:
    assert recipe("dcgan_digits", "data.class=Digits") == recipe("dcgan_digits")


def test_changing_a_setting_of_the_data_leaves_the_classes_alone() -> None:
    found = recipe("dcgan_digits", "data.batch_size=8")
    assert found.model.arguments["num_classes"] == 10
    assert found.notes == []


def test_another_model_keeps_the_settings_it_knows_and_says_which_it_does_not() -> None:
    found = recipe("vanilla_digits", "model.class=DCGAN", "model.width=4")
    assert found.model.target is zoo.DCGAN
    assert (found.model.arguments["latent_dim"], found.model.arguments["width"]) == (64, 4)
    assert found.notes == [
        "model.class was changed; the recipe's layers, discriminator_layers, discriminator_width, pieces, dropout are "
        "left out"
    ]


def test_a_setting_given_for_another_class_is_never_dropped_in_silence() -> None:
    with pytest.raises(RecipeError, match=r"model\.dropout: DCGAN has no setting of that name"):
        recipe("vanilla_digits", "model.class=DCGAN", "model.dropout=0.5")


# --- overrides -------------------------------------------------------------------------------------------------------


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


# --- files of one's own ----------------------------------------------------------------------------------------------


def test_a_short_file_is_a_recipe(tmp_path: Path) -> None:
    found = load_recipe(str(written(tmp_path / "mine.yaml", MINIMAL)))
    assert (found.name, found.seed, found.images, found.trainer) == ("mine", 0, 10, {})
    assert (found.model.target, found.data.target) == (zoo.DCGAN, Digits)
    assert (found.callbacks, found.loggers) == ({}, {})


def test_a_file_may_be_given_as_a_path_or_end_in_yml(tmp_path: Path) -> None:
    assert load_recipe(written(tmp_path / "mine.yml", MINIMAL)).name == "mine"
    assert find_recipe(str(tmp_path / "mine.yml")) == tmp_path / "mine.yml"


def test_a_recipe_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no recipe file .*/nowhere\.yaml"):
        load_recipe(str(tmp_path / "nowhere.yaml"))


def test_a_path_to_no_file_is_the_users_fault_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        load_recipe(tmp_path / "nowhere.yaml")


def test_umlauts_and_booleans_survive_being_written_out(tmp_path: Path) -> None:
    found = recipe("dcgan_digits", "data.class=Folder", "data.root=Bilder/Köpfe", "data.flip=true")
    again = load_recipe(written(tmp_path / "r.yaml", found.to_yaml()))
    assert (again.data.arguments["root"], again.data.arguments["flip"]) == ("Bilder/Köpfe", True)


@pytest.mark.parametrize("root", ["007", "true", "1e3", "null", "a: b", "2024-01-01"])
def test_texts_that_look_like_other_things_survive_being_written_out(root: str, tmp_path: Path) -> None:
    text = MINIMAL.replace("{class: Digits}", f"{{class: Folder, resolution: 16, root: {root!r}}}")
    found = load_recipe(written(tmp_path / "r.yaml", text))
    again = load_recipe(written(tmp_path / "r.yaml", found.to_yaml()))
    assert again == found


# --- faults ----------------------------------------------------------------------------------------------------------


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
