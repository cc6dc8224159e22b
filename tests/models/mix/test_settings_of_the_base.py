"""A mixture honours every setting of its base."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.mixtures import BIGGAN, DCGAN, DEEP, MLP, PROGAN, WGAN, alone
from tests.helpers.training import equal, weights
from zoo.models.mix.mixgan import MixGAN

POINTS: dict[str, Any] = {**MLP, "lr_horizon": 500}
BASES = [POINTS, {**DCGAN, "lr_horizon": 500}, {**WGAN, "lr_horizon": 500}, PROGAN, BIGGAN, DEEP]
OTHER_VALUES: dict[str, Any] = {
    "resolution": 32,
    "architecture": "convolutional",
    "kernel_size": 5,
    "latent": "uniform",
    "objective": "least_squares",
    "initialisation": "normal",
    "variant": "pytorch_GAN_zoo",
    "betas": (0.3, 0.8),
    "dropout": 0.25,
    "epsilon": 1e-3,
    "initial_resolution": 8,
    "attention": 16,
    "lr_schedule": "linear",
    "augment": ("translation", "cutout"),
    "augment_factors": {"hue": 0.5},
    "ada_target": 0.3,
    "penalty": 3.0,
    "penalty_precision": "mixed",
    "target_norm": 2.0,
    "discriminator_channels": 6,
}
TOGETHER: dict[str, dict[str, Any]] = {  # settings that are valid, or matter, only with others
    "penalty_precision": {"penalty_precision": "float32"},  # the default of the penalty of WGAN-GP is `mixed`
    "r1": {"objective": "hinge"},
    "r1_every": {"objective": "hinge", "r1": 1.0},
    "penalty_every": {"r1": 1.0},
    "lr_final": {"lr_schedule": "linear", "lr_horizon": 500},
    "lr_schedule": {"lr_horizon": 500},
    "batch_norm": {"architecture": "convolutional"},
    "shared_dim": {"skip_latents": False},
    "skip_latents": {"num_classes": 0},
    "attention": {"width": 8},
    "classification": {"num_classes": 3},
    "generator_classification": {"num_classes": 3},
}
IMPOSSIBLE = {("VanillaGAN", "num_classes")}  # must be 0


def other_value(name: str, value: Any) -> Any:
    """Return a valid value of a setting that differs from `value`."""
    if name in OTHER_VALUES:
        return OTHER_VALUES[name]
    return not value if isinstance(value, bool) else value * 2 + 4 if isinstance(value, int) else value + 0.5


def every_setting() -> list[Any]:
    """Return each base with the name and default of each setting of its constructor."""
    from zoo.config.class_names import find_class
    from zoo.config.settings import settings_of

    return [
        pytest.param(base, name, default, id=f"{base['class']} {name}")
        for base in BASES
        for name, (_, default) in settings_of(find_class(base["class"])).items()
        if (base["class"], name) not in IMPOSSIBLE
    ]


def public(thing: Any) -> dict[str, Any]:
    """Return the public attributes of an object without the clock."""
    return {name: value for name, value in vars(thing).items() if not name.startswith("_") and name != "clock"}


def description(model: zoo.GAN) -> dict[str, Any]:
    """Describe all that settings determine: attributes of model, objective and networks, and the range of latents."""
    return {
        **public(model),
        "objective": (type(model.objective), vars(model.objective)),
        "networks": [(str(network), public(network)) for network in (model.generator, model.discriminator)],
        "bounded latents": bool(model.sample_latent(50).abs().max() <= 1),
    }


@functools.cache
def plain_description(settings: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return the description and the weights of a model with these settings, given as JSON."""
    model = alone(json.loads(settings))
    return description(model), weights(model)


@pytest.mark.parametrize(("base", "name", "default"), every_setting())
def test_every_setting_of_the_base_is_honoured(base: dict[str, Any], name: str, default: Any) -> None:
    from zoo.config.class_names import find_class
    from zoo.config.settings import settings_of

    known = settings_of(find_class(base["class"]))
    plain = {**base, **{key: value for key, value in TOGETHER.get(name, {}).items() if key in known}}
    changed = {**plain, name: other_value(name, plain.get(name, default))}
    expected = alone(changed)
    torch.manual_seed(0)
    model = MixGAN({key: value for key, value in changed.items() if key != "seed"}, 1, seed=changed.get("seed", 0))
    member = model.member(0)
    assert type(member) is type(expected)
    assert description(member) == description(expected)
    assert equal(weights(member), weights(expected))
    before, weights_before = plain_description(json.dumps(plain))
    assert description(expected) != before or not equal(weights(expected), weights_before), "the value has no effect"
    for attribute in public(model).keys() & public(expected).keys() - {"objective"}:  # what the mixture's loop reads
        assert getattr(model, attribute) == getattr(expected, attribute), attribute
    assert (type(model.objective), vars(model.objective)) == (type(expected.objective), vars(expected.objective))
    assert model.couples_batch == expected.couples_batch
