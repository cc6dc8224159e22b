"""Batches joined over processes: two processes with `sync_batchnorm` train as one does on the joined batch."""

from __future__ import annotations

import inspect
import os
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.helpers import joined_batches as program
from tests.helpers.processes import PATH, run_ranks
from zoo.layers.conditional_norm import UnconditionalBatchNorm
from zoo.layers.synchronised import SynchronisedBatchNorm, desynchronise, is_joined, rows_of_all, synchronise
from zoo.runs.recipes import load_recipe

Left = dict[str, dict[str, Any]]

pytestmark = pytest.mark.xdist_group("synchronised")  # one worker makes the fixture, which starts processes


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What the program left with one process (`NAME-one`) and with two (`NAME-0`, `NAME-1`)."""
    found: Left = {}
    for processes in (1, 2):
        folder = tmp_path_factory.mktemp(f"joined{processes}")
        environment = {**os.environ, "PYTHONPATH": PATH}
        command = ["-m", program.__name__, str(folder), str(processes)]
        for ended in run_ranks(command, processes, folder, environment, timeout=900):
            assert ended.returncode == 0, ended.stderr
        for path in folder.glob("*.pt"):
            name = path.stem if processes == 2 else path.stem.removesuffix("0") + "one"
            found[name] = torch.load(path, weights_only=True)
    return found


def assert_close(a: dict[str, Tensor], b: dict[str, Tensor], bound: float) -> None:
    """Check that named tensors differ by at most a bound."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.allclose(value, b[name], rtol=0, atol=bound), name


def test_every_variant_is_compared() -> None:
    public = {each for each in map(zoo.__getattr__, zoo.__all__) if inspect.isclass(each) and issubclass(each, zoo.GAN)}
    assert {type(build()) for build in program.VARIANTS.values()} >= public - {zoo.GAN}


@pytest.mark.parametrize("name", program.VARIANTS)
def test_two_processes_train_as_one_on_the_joined_batch(left: Left, name: str) -> None:
    """Weights, averages, running statistics, gradients and terms after rounds of digits."""
    first, second, one = (left[f"{name} float64-{who}"] for who in ("0", "1", "one"))
    for kind in ("weights", "first", "latest"):
        assert_close(first[kind], second[kind], 0)
        assert_close(first[kind], one[kind], 1e-5)
    assert first["terms"] == pytest.approx(one["terms"], abs=1e-5)
    assert first["strength"] == second["strength"] == one["strength"]
    assert max(gradient.abs().max() for gradient in one["latest"].values()) > 1e-2  # of which 1e-5 is little
    if "ada" in name:
        assert one["strength"] > 0.2


@pytest.mark.parametrize("name", program.IN_SINGLE_PRECISION)
def test_gradients_are_those_of_the_joined_batch_in_single_precision(left: Left, name: str) -> None:
    first, one = (left[f"{name} float32-{who}"]["first"] for who in ("0", "one"))
    largest = max(gradient.abs().max().item() for gradient in one.values())
    assert_close(first, one, 1e-5 * largest)


@pytest.mark.parametrize("name", ["dcgan", "biggan"])
def test_standing_statistics_are_common_too(left: Left, name: str) -> None:
    first, second, one = (left[f"{name} float64-{who}"]["standing"] for who in ("0", "1", "one"))
    assert_close(first, second, 0)
    assert_close(first, one, 1e-5)
    trained = {key.removeprefix("average."): value for key, value in left[f"{name} float64-one"]["weights"].items()}
    assert any((value - trained[key]).abs().max() > 1e-3 for key, value in one.items())  # and not those of training


def test_batch_norms_of_unequal_shares_are_those_of_the_joined_batch(left: Left) -> None:
    """Outputs, first and second derivatives and statistics of every kind of batch norm, against torch's own."""
    first, second, one = (left[f"norms-{who}"] for who in ("0", "1", "one"))
    for name, expected in one.items():
        a, b = first[name], second[name]
        if a.shape != expected.shape:  # rows
            found = torch.cat([a, b])
        elif "second" in name:  # the gradients by gain and offset are summed where gradients are averaged
            found = a + b
        else:
            assert torch.equal(a, b), name
            found = a
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9), name


def test_means_are_over_processes_in_joined_batches_only(left: Left) -> None:
    assert [left[f"mean-{rank}"]["mean"].item() for rank in (0, 1)] == [0.5, 0.5]
    assert [left[f"mean-{rank}"]["alone"].item() for rank in (0, 1)] == [0.0, 1.0]
    assert not is_joined()
    rows = torch.ones(2, 3)
    assert rows_of_all(rows) is rows


def test_synchronised_norms_keep_their_names_and_can_be_undone() -> None:
    class Mine(nn.BatchNorm2d):
        """A class of a user's, with a forward pass of its own."""

        def forward(self, x: Tensor) -> Tensor:
            """Twice the norm."""
            return 2 * super().forward(x)

    network = nn.Sequential(
        nn.BatchNorm1d(2), UnconditionalBatchNorm(2), Mine(2), nn.InstanceNorm2d(2), nn.Linear(2, 2)
    )
    before, kinds = network.state_dict(), [type(part) for part in network]
    text = repr(network)
    synchronise(synchronise(network))
    assert [isinstance(part, SynchronisedBatchNorm) for part in network] == [True, True, True, False, False]
    assert [isinstance(part, kind) for part, kind in zip(network, kinds)] == [True] * 5
    assert repr(network) == text
    assert network.state_dict().keys() == before.keys()
    images = torch.randn(4, 2, 3, 3)
    expected = Mine(2)(images)
    assert torch.equal(network[2](images), expected)  # alone it is the plain norm, to the last bit
    desynchronise(network)
    assert [type(part) for part in network] == kinds


@pytest.mark.parametrize("name", ["cifar10", "imagenet128", "imagenet256", "deep_imagenet128"])
def test_recipes_of_the_biggan_papers_join_batches(name: str) -> None:
    assert load_recipe(f"biggan_{name}").trainer["sync_batchnorm"] is True


def test_other_recipes_do_not() -> None:
    for recipe in ("dcgan_digits", "progan_celeba", "biggan_digits"):
        assert not load_recipe(recipe).trainer.get("sync_batchnorm")
