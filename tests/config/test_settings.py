"""Truths of constructors as schemas."""

from __future__ import annotations

from typing import Any, Literal, Optional

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.config.settings import REQUIRED, check_settings, settings_of
from zoo.config.type_descriptions import describe_type
from zoo.sample import sample


class Parent:
    def __init__(self, depth: int, width: int = 8, network: nn.Module | None = None) -> None: ...


class Child(Parent):
    def __init__(self, width: int = 3, note: str = "", **rest: Any) -> None: ...


class Grandchild(Child):
    """No constructor of its own."""


class Closed(Child):
    def __init__(self, width: int = 5) -> None: ...


class Choosy:
    def __init__(
        self,
        flag: bool = False,
        maybe: int | None = None,
        also: Optional[float] = None,  # noqa: UP045
        sizes: tuple[int, ...] = (1, 2),
        weights: dict[str, float] = {},  # noqa: B006
        one_or_many: int | list[int] | None = None,
    ) -> None: ...


class Mistyped:
    def __init__(self, anything: NoSuchName = 1) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def draws(count: int, latents: Tensor, colour: str = "grey") -> None: ...


# --- settings_of -----------------------------------------------------------------------------------------------------


def test_further_keywords_take_the_parents_settings_and_own_defaults_win() -> None:
    assert settings_of(Child) == {"depth": (int, REQUIRED), "width": (int, 3), "note": (str, "")}


def test_a_class_without_a_constructor_has_its_parents_settings() -> None:
    assert settings_of(Grandchild) == settings_of(Child)


def test_without_further_keywords_the_walk_up_the_parents_ends() -> None:
    assert settings_of(Closed) == {"width": (int, 5)}


def test_a_dcgan_takes_its_own_settings_and_those_of_the_loop() -> None:
    known = settings_of(zoo.DCGAN)
    assert known["resolution"] == (int, 64)  # required in GAN, given a default in DCGAN
    assert known["kernel_size"] == (int, 4)  # DCGAN's alone
    assert known["critic_steps"] == (int, 1)  # the loop's alone
    assert known["betas"] == (tuple[float, float], (0.5, 0.999))


def test_modules_and_objectives_are_no_settings() -> None:
    assert {"generator", "discriminator", "objective"}.isdisjoint(settings_of(zoo.GAN))
    assert settings_of(zoo.DCGAN)["objective"] == (str, "non_saturating")  # by name it is one
    assert "network" not in settings_of(Child)


def test_functions_have_settings_too_without_their_tensors() -> None:
    assert settings_of(draws) == {"count": (int, REQUIRED), "colour": (str, "grey")}


def test_optional_values_are_settings_however_they_are_annotated() -> None:
    assert set(settings_of(Choosy)) == {"flag", "maybe", "also", "sizes", "weights", "one_or_many"}


def test_sampling_can_be_told_labels_and_truncation() -> None:
    assert {"labels", "truncation"} <= set(settings_of(sample))


def test_an_annotation_that_cannot_be_read_leaves_the_value_unchecked() -> None:
    assert check_settings(Mistyped, {"anything": [1, "two"]}, "") == ({"anything": [1, "two"]}, [])


# --- check_settings --------------------------------------------------------------------------------------------------


def test_defaults_are_filled_in_and_the_order_is_the_signatures() -> None:
    values, faults = check_settings(Child, {"note": "hi", "depth": 2}, "model.")
    assert (values, faults) == ({"depth": 2, "width": 3, "note": "hi"}, [])
    assert list(values) == list(settings_of(Child))


def test_incomplete_settings_gain_no_defaults_and_miss_nothing() -> None:
    assert check_settings(Child, {"note": "hi"}, "", complete=False) == ({"note": "hi"}, [])


def test_every_fault_has_a_line_that_names_the_setting() -> None:
    _, faults = check_settings(Child, {"widht": 3, "note": [1]}, "model.")
    assert faults == [
        "model.widht: Child has no setting of that name. Did you mean width?",
        "model.note: [1] is not a text",
        "model.depth: missing; Child needs it (an integer)",
    ]


def seeded(seed: int = 0) -> None:
    """A function with a seed."""


@pytest.mark.parametrize(
    ("seed", "where", "fits"),
    [
        (2**32 - 1, "", True),
        (2**32, "", False),
        (-1, "", False),
        (-1, "model.", True),  # of the user's own class: a number of its own meaning
        (2**32, "model.", False),
    ],
)
def test_a_seed_is_one_that_torch_and_numpy_take(seed: int, where: str, fits: bool) -> None:
    line = f"{where}seed: a seed is a whole number from 0 to 2^32 - 1; got {seed}"
    assert check_settings(seeded, {"seed": seed}, where)[1] == ([] if fits else [line])
    if fits and not where:
        torch.Generator().manual_seed(seed)
        np.random.default_rng(seed)


def test_a_name_that_resembles_none_is_answered_with_all_names() -> None:
    _, faults = check_settings(Closed, {"zzz": 1}, "")
    assert faults == ["zzz: Closed has no setting of that name. Known: width."]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"width": "12"}, {"width": 12}),
        ({"generator_lr": 1}, {"generator_lr": 1.0}),
        ({"generator_lr": "2e-4"}, {"generator_lr": 2e-4}),
        ({"betas": [0.0, 0.9]}, {"betas": (0.0, 0.9)}),
        ({"betas": (0.0, 0.9)}, {"betas": (0.0, 0.9)}),
        ({"betas": [0, 1]}, {"betas": (0.0, 1.0)}),
        ({"latent": "uniform"}, {"latent": "uniform"}),
    ],
)
def test_values_become_what_the_signature_says(given: dict[str, Any], kept: dict[str, Any]) -> None:
    values, faults = check_settings(zoo.DCGAN, given, "", complete=False)
    assert (values, faults) == (kept, [])
    assert [type(value) for value in values.values()] == [type(value) for value in kept.values()]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"width": "abc"}, "model.width: 'abc' is not an integer"),
        ({"width": 4.5}, "model.width: 4.5 is not an integer"),
        ({"width": True}, "model.width: True is not an integer"),
        ({"width": None}, "model.width: null is not an integer"),
        ({"generator_lr": "fast"}, "model.generator_lr: 'fast' is not a number"),
        ({"betas": [0.5]}, "model.betas: [0.5] is not a list of 2: a number, a number"),
        ({"betas": [0.1, 0.2, 0.3]}, "model.betas: [0.1, 0.2, 0.3] is not a list of 2: a number, a number"),
        ({"betas": 0.5}, "model.betas: 0.5 is not a list of 2: a number, a number"),
        ({"betas": ["a", "b"]}, "model.betas: ['a', 'b'] is not a list of 2: a number, a number"),
        ({"lr_schedule": "step"}, "model.lr_schedule: 'step' is not one of 'constant', 'linear', 'cosine'"),
        ({"latent": "gauss"}, "model.latent: 'gauss' is not one of 'auto', 'normal', 'uniform'"),
        ({"r1": float("nan")}, "model.r1: nan is not a number"),
        ({"betas": [0.5, float("nan")]}, "model.betas: [0.5, nan] is not a list of 2: a number, a number"),
        ({"latent": None}, "model.latent: null is not one of 'auto', 'normal', 'uniform'"),
    ],
)
def test_wrong_values_are_refused_with_the_rule(given: dict[str, Any], line: str) -> None:
    assert check_settings(zoo.DCGAN, given, "model.", complete=False) == ({}, [line])


@pytest.mark.parametrize(
    "given",
    [
        {"flag": True},
        {"maybe": None},
        {"maybe": 3},
        {"also": 0.5},
        {"sizes": (3, 4, 5)},
        {"weights": {"a": 0.5}},
        {"one_or_many": 3},
        {"one_or_many": [0, 1]},
        {"one_or_many": None},
    ],
)
def test_each_alternative_of_an_annotation_is_accepted(given: dict[str, Any]) -> None:
    assert check_settings(Choosy, given, "", complete=False) == (given, [])


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"flag": "perhaps"}, "flag: 'perhaps' is not true or false"),
        ({"maybe": "x"}, "maybe: 'x' is not an integer or null"),
        ({"also": "x"}, "also: 'x' is not a number or null"),
        ({"sizes": [1, "x"]}, "sizes: [1, 'x'] is not a list, each an integer"),
        ({"weights": {"a": "x"}}, "weights: {'a': 'x'} is not a mapping from a text to a number"),
        ({"one_or_many": "x"}, "one_or_many: 'x' is not an integer or a list, each an integer or null"),
    ],
)
def test_no_alternative_of_an_annotation_fits_a_wrong_value(given: dict[str, Any], line: str) -> None:
    assert check_settings(Choosy, given, "", complete=False) == ({}, [line])


# --- in words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "an integer"),
        (float, "a number"),
        (bool, "true or false"),
        (str, "a text"),
        (type(None), "null"),
        (Optional[int], "an integer or null"),  # noqa: UP045
        (int | None, "an integer or null"),
        (Literal["a", "b"], "one of 'a', 'b'"),
        (tuple[float, float], "a list of 2: a number, a number"),
        (tuple[int, ...], "a list, each an integer"),
        (list[str], "a list, each a text"),
        (dict[str, int], "a mapping from a text to an integer"),
        (Parent, "a Parent"),
    ],
)
def test_types_are_described_in_words(hint: Any, words: str) -> None:
    assert describe_type(hint) == words


def test_no_value_stands_for_an_empty_default_only() -> None:
    """Row A9: `data.group=` unsets; what has no empty default is refused, so that no value is chosen unseen."""
    values, faults = check_settings(zoo.data.Folder, {"group": None, "classes": None}, "", complete=False)
    assert (values, faults) == ({"classes": (), "group": ""}, [])
    _, faults = check_settings(zoo.data.Folder, {"root": None, "resolution": None}, "data.", complete=False)
    assert faults == ["data.root: null is not a text", "data.resolution: null is not an integer"]
