"""Choice of the number of threads of a run, on models whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.helpers.watch import WATCH
from zoo.config.recipe import Recipe
from zoo.errors import UserError
from zoo.io.run_folder import RunFolder
from zoo.runs import threads
from zoo.runs.recipes import load_recipe
from zoo.runs.threads import Choice, choose_by_trial, chosen_threads, decide
from zoo.training.threads import candidates


class Slow(zoo.VanillaGAN):
    """A model whose rounds take as long, by `WATCH`, as is said for each number of threads."""

    seconds: dict[int, float]

    def prepare(self, real: zoo.Batch) -> zoo.Batch:
        """Take the time of a round."""
        WATCH.now += self.seconds[torch.get_num_threads()]
        return real


@pytest.fixture(autouse=True)
def four_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own number is 4, and the clock is `WATCH`.

    The number is only remembered: four real threads on two cores would wait for each other in every layer.
    """
    number = [4]
    monkeypatch.setattr(threads, "time", WATCH)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: number.__setitem__(0, n))
    monkeypatch.setattr(torch, "get_num_threads", lambda: number[0])


def recipe_of(images: int = 10**7, **trainer: Any) -> Recipe:
    recipe = load_recipe("dcgan_digits", {"images": images, "trainer": {"accelerator": "cpu", **trainer}})
    recipe.trainer.setdefault("precision", "32-true")
    recipe.trainer["precision"] = "32-true"
    return recipe


def slow(seconds: dict[int, float]) -> Slow:
    model = Slow(resolution=16, channels=1, latent_dim=2, layers=1, width=2)
    model.seconds = seconds
    return model


def test_numbers_tried_are_torchs_own_and_the_powers_of_two_below() -> None:
    assert candidates(1) == [1]
    assert candidates(2) == [2, 1]
    assert candidates(6) == [6, 4, 2, 1]
    assert candidates(8) == [8, 4, 2, 1]


def test_another_number_has_to_be_clearly_faster_than_torchs_own() -> None:
    assert decide({4: 1.0, 2: 0.97, 1: 2.0}, 4, 60).threads == 4
    choice = decide({4: 1.0, 2: 2.0, 1: 0.5}, 4, 600)
    assert choice == Choice(
        1,
        "threads: 1, about 5 min; 2.0 times as long with 4, 4.0 times as long with 2. "
        "trainer.threads=N sets it without a trial",
    )
    assert decide({4: 1.0}, 4, 10) == Choice(4)


@pytest.mark.parametrize(
    ("seconds", "answer"),
    [({4: 0.15, 2: 0.1, 1: 0.025}, 1), ({4: 0.15, 2: 0.03, 1: 0.1}, 2), ({4: 0.03, 2: 0.06, 1: 0.1}, 4)],
    ids=str,
)
def test_the_fastest_number_is_found_and_nothing_else_is_touched(seconds: dict[int, float], answer: int) -> None:
    recipe, model = recipe_of(), slow(seconds)
    data = recipe.data.build()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    random, began = torch.get_rng_state(), WATCH.now
    with chosen_threads(recipe, model, data, None) as choice:
        assert (choice.threads, torch.get_num_threads()) == (answer, answer)
        assert choice.reason.startswith(f"threads: {answer}, about")
    assert torch.get_num_threads() == 4
    assert 2 < WATCH.now - began < 5
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert (model.images_seen, model.rounds) == (0, 0)


def test_a_short_run_ends_the_trial_with_its_first_turn() -> None:
    model = slow({4: 0.03, 2: 0.001, 1: 0.001})
    recipe = recipe_of(images=64 * 100)  # 100 rounds of 0.03 s
    assert choose_by_trial(recipe, model, recipe.data.build(), 4) == Choice(4)


def test_a_slow_first_round_does_not_make_a_short_run_long() -> None:
    """The first round prepares all kernels, which takes seconds on some processors."""
    model = slow({4: 0.03, 2: 0.001, 1: 0.001})
    inner, first = model.prepare, iter([5.0])

    def prepare(real: zoo.Batch) -> zoo.Batch:
        WATCH.now += next(first, 0.0)
        return inner(real)

    model.prepare = prepare  # type: ignore[method-assign]
    recipe = recipe_of(images=64 * 100)
    assert choose_by_trial(recipe, model, recipe.data.build(), 4) == Choice(4)


def test_a_growing_model_is_tried_as_it_ends() -> None:
    sizes: list[torch.Size] = []

    class Seen(zoo.ProGAN):
        def prepare(self, real: zoo.Batch) -> zoo.Batch:
            WATCH.now += 0.5
            sizes.append(real.images.shape)
            return super().prepare(real)

        def generate(self, network: torch.nn.Module, z: Tensor, labels: Tensor | None) -> Tensor:
            images = super().generate(network, z, labels)
            sizes.append(images.shape)
            return images

    recipe = load_recipe("progan_digits", {"trainer": {"accelerator": "cpu", "precision": "32-true"}})
    model = Seen(**{**recipe.model.arguments, "width": 4})
    choose_by_trial(recipe, model, recipe.data.build(), 4)
    assert {size[-1] for size in sizes} == {model.resolution}
    assert sizes[0][0] == recipe.data.build().batch_size_at(model.resolution)


def test_there_is_no_trial_where_the_number_is_given_or_nothing_could_be_gained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "choose_by_trial", lambda *_: pytest.fail("a trial"))
    model = slow({})

    def chosen(recipe: Recipe, data: Any = None, start: Path | None = None) -> int:
        with chosen_threads(recipe, model, data or recipe.data.build(), start) as choice:
            assert choice.reason == ""
            return torch.get_num_threads()

    assert chosen(recipe_of(threads=3)) == 3
    assert chosen(recipe_of(images=64 * 49)) == 4  # fewer than 50 rounds
    assert chosen(recipe_of(devices=2)) == 4
    assert chosen(recipe_of(), data=object()) == 4  # no batch size is known
    torch.set_num_threads(1)
    assert chosen(recipe_of()) == 1
    torch.set_num_threads(4)
    monkeypatch.setattr(threads, "has_accelerator", lambda: True)
    assert chosen(recipe_of(accelerator="auto")) == 4


def test_a_run_records_its_number_and_a_resumed_one_keeps_it(tmp_path: Path) -> None:
    small: dict[str, Any] = {"model": {"width": 4}, "callbacks": {"SampleMetrics": None, "Alarms": None}}
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", images=128, **small, trainer={"threads": 2})
    resumed = zoo.fit(resume=tmp_path / "run", images=256, trainer={"threads": "auto"})
    assert [start["threads"] for start in RunFolder(run.folder).starts()] == [2, 2]
    assert resumed.model.images_seen == 256
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("given", [0, -1, "two", 1.5, True])
def test_other_values_are_refused(given: Any) -> None:
    with pytest.raises(UserError, match=r"trainer\.threads: a number of threads from 1, or auto, which tries"):
        recipe_of(threads=given)
