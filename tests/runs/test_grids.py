"""The grid of a command line: what a comma means follows from the type of the setting."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from zoo.config.arguments import parse_arguments
from zoo.config.command_line import checked_arguments
from zoo.errors import RecipeError, UserError
from zoo.io.group_folder import run_names
from zoo.runs.grids import diagonal, points_apart_from_seed, seeds_of, split_grid, with_point
from zoo.runs.recipes import load_recipe

LOAD = partial(load_recipe, "dcgan_digits")


def split(words: str, **options: Any) -> tuple[dict[str, Any], dict[str, list[str]]]:
    return split_grid(options.pop("load", LOAD), parse_arguments(words.split()), **options)


@pytest.mark.parametrize(
    ("words", "grid"),
    [
        ("model.width=32,64", {"model.width": ["32", "64"]}),
        ("model.generator_lr=1e-3,0.0005", {"model.generator_lr": ["1e-3", "0.0005"]}),
        ("images=1000,2000 model.lr_schedule=linear model.lr_horizon=${images}", {"images": ["1000", "2000"]}),
        ("data.batch_size=16,32", {"data.batch_size": ["16", "32"]}),  # a number, or a mapping
        ("data.batch_size.8=16,32", {"data.batch_size.8": ["16", "32"]}),
        ("callbacks.SampleGrid.every=100,200", {"callbacks.SampleGrid.every": ["100", "200"]}),
        ("model.lr_warmup=0,1", {"model.lr_warmup": ["0", "1"]}),
        ("trainer.log_every_n_steps=5,10", {"trainer.log_every_n_steps": ["5", "10"]}),
        ("model.class=MixGAN model.components=2,3", {"model.components": ["2", "3"]}),
        ("model.class=MixGAN model.width=4,8", {"model.width": ["4", "8"]}),  # a setting of the base
        ("seed=1,2 model.width=4,8", {"model.width": ["4", "8"], "seed": ["1", "2"]}),  # the seed changes fastest
    ],
)
def test_numbers_for_a_setting_that_takes_one_make_a_grid(words: str, grid: dict[str, list[str]]) -> None:
    shared, found = split(words)
    assert (found, list(found)) == (grid, list(grid))
    whole = parse_arguments(words.split())
    for point in run_names(found).values():
        again = with_point(shared, point)
        LOAD(again)  # without a fault
        for key, value in point.items():
            assert again != whole
            assert with_point(again, {key: value}) == again


@pytest.mark.parametrize(
    "words",
    [
        "model.betas=[0.5,0.9]",
        "model.augment=[color,translation]",
        "model.augment=color,translation",
        "data.batch_size={1:16,32:8}",
        "trainer.devices=0,1",  # a text to Lightning
        "data.class=Folder data.root=1,2",
        "callbacks.SampleMetrics.metrics=[fid,kid]",
        "pretrained=1,2",
        "model.width=8",
    ],
)
def test_what_is_valid_as_it_was_typed_keeps_its_meaning(words: str) -> None:
    given = parse_arguments(words.split())
    assert split(words) == (given, {})


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("model.width=4,x", "model.width: '4,x' is not an integer"),
        ("model.width=4,", "model.width: '4,' is not an integer"),
        ("model.betas=0.5,0.9", "model.betas: '0.5,0.9' is not a list of 2"),
        ("model.widht=4,8", "model.widht: DCGAN has no setting of that name. Did you mean width?"),
        ("trainer.max_steps=4,8", "trainer.max_steps: "),
        ("callbacks.Alarms.keep_healthy=0,1", "callbacks.Alarms.keep_healthy: '0,1' is not true or false"),
    ],
)
def test_other_commas_are_the_faults_that_they_were(words: str, fault: str) -> None:
    shared, grid = split(words)
    with pytest.raises(RecipeError) as caught:
        LOAD(shared)
    assert grid == {}
    assert any(line.startswith(fault) for line in caught.value.faults)


def test_every_value_of_a_grid_is_checked_and_named() -> None:
    shared, grid = split("model.width=4,8.5 data.batch_size=8,16,32")
    faults = []
    for point in diagonal(grid):
        try:
            LOAD(with_point(shared, point))
        except RecipeError as error:
            faults += error.faults
    assert len(list(diagonal(grid))) == 3
    assert set(faults) == {"model.width: 8.5 is not an integer"}


def test_a_grid_costs_one_check_for_each_candidate_and_none_without_commas() -> None:
    calls: list[Mapping[str, Any]] = []

    def load(overrides: Mapping[str, Any]) -> None:
        calls.append(overrides)
        LOAD(overrides)

    split("model.width=8 images=64", load=load)
    assert calls == []
    split("model.width=8,16 images=64 data.root=1,2 data.class=Folder", load=load)
    assert len(calls) == 4  # as typed; the width with one number, and as a truth value; the root with one number


@pytest.mark.parametrize(
    ("word", "seeds"),
    [("seeds=0,1,2", ["0", "1", "2"]), ("seeds=[0,1]", ["0", "1"]), ("seeds=3", ["3"]), ("seeds=7, 5", ["7", "5"])],
)
def test_seeds_are_whole_numbers(word: str, seeds: list[str]) -> None:
    """As the command line gives them to `zoo.fit`."""
    given = checked_arguments("zoo.runs.fitting.main", parse_arguments([word]))["seeds"]
    assert seeds_of(given) == seeds


@pytest.mark.parametrize("given", ["0,x", "1.5", "", "0,,1", [0.5], [True], [], "0:3"])
def test_other_seeds_are_refused_with_an_example(given: Any) -> None:
    with pytest.raises(UserError) as caught:
        seeds_of(given)
    assert str(caught.value) == f"seeds: whole numbers joined by commas, such as seeds=0,1,2; got {given!r}"


@pytest.mark.parametrize(
    ("words", "seeds", "text"),
    [
        ("", "0,1,0", "seeds: 0 is given twice in 0,1,0; each run needs a value of its own"),
        ("model.generator_lr=1e-3,0.001", None, "model.generator_lr: 0.001 is given twice in 1e-3,0.001; each run"),
        ("seed=4", "0,1", "seed=4 and seeds=0,1 exclude each other; leave one out"),
        (
            "model.width=" + ",".join(map(str, range(1, 12))),
            ",".join(map(str, range(10))),
            "110 runs in one group (11 of model.width x 10 of seed), which has at most 100. Give fewer values, or",
        ),
    ],
)
def test_a_grid_that_cannot_be_trained_is_refused(words: str, seeds: str | None, text: str) -> None:
    with pytest.raises(UserError) as caught:
        split(words, seeds=seeds)
    assert str(caught.value).startswith(text)


def test_a_hundred_runs_are_allowed() -> None:
    _, grid = split("model.width=" + ",".join(map(str, range(1, 11))), seeds=list(range(10)))
    assert len(run_names(grid)) == 100


def test_models_are_checked_once_for_all_seeds() -> None:
    grid = {"model.width": ["4", "8"], "seed": ["3", "4"]}
    assert points_apart_from_seed(grid) == ["model.width=4,seed=3", "model.width=8,seed=3"]
