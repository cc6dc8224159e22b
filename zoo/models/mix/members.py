"""The members of a mixture: models of one base, and pairs of their networks that play as models of the base."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from zoo.config.class_names import find_class
from zoo.gan import GAN

NETWORKS = ("generator", "discriminator", "average")
HANDED_ON = ("on_clock",)
"""Hooks that a mixture calls on its base."""
OF_THE_LOOP = ("training_step", "configure_optimizers", "choose_networks", "setup", "log_terms")
"""Methods beside hooks that a mixture has instead of those of its base."""


def build_members(base: Mapping[str, Any] | str, count: int, seed: int, excluded: type[GAN]) -> list[GAN]:
    """Build models of the base with independent initial weights; the first has those that the base alone would have.

    Args:
        base: arguments of the base and, as `class`, its name; or the name alone.
        count: number of models.
        seed: seed of the mixture, which is the seed of every member.
        excluded: class of models that cannot be mixed, the mixtures themselves.

    Raises:
        ValueError: for a base that cannot be mixed.
    """
    settings: dict[str, Any] = {"class": base} if isinstance(base, str) else dict(base)
    name = settings.pop("class", None)
    if name is None:
        raise ValueError("base needs `class`, the variant to mix, such as {'class': 'DCGAN', 'resolution': 32}")
    target = find_class(str(name), GAN)
    if not (isinstance(target, type) and issubclass(target, GAN)) or target is GAN or issubclass(target, excluded):
        raise ValueError(f"base: {name} is not a GAN that can be mixed; name a variant, such as DCGAN")
    if target.fakes is not GAN.fakes:
        raise ValueError(
            f"base: {name} overrides `fakes`, which a MixGAN would leave out: it makes generated images itself, of all "
            "its generators. Override `generate` instead, or train the base alone"
        )
    if ignored := loop_methods_of(target):
        raise ValueError(
            f"base: {name} overrides {', '.join(ignored)}, which a MixGAN would leave out: the loop, its hooks and its "
            "checkpoints are the mixture's. Use before_round, prepare, the losses or on_clock, and buffers for what is "
            "to be saved, or a callback; or train the base alone"
        )
    if settings.setdefault("seed", seed) != seed:
        raise ValueError(f"base: seed is the mixture's, {seed}; got {settings['seed']}. Leave it out")
    models = [target(**settings) for _ in range(count)]
    keys = (key for key, _ in models[0].named_parameters())
    others = sorted(key for key in keys if key.partition(".")[0] not in NETWORKS)
    if others:
        raise ValueError(
            f"base: {name} has parameters outside its generator and discriminator ({others[0]}), which a MixGAN could "
            "not mix"
        )
    return models


def loop_methods_of(base: type[GAN]) -> list[str]:
    """Return the names of methods that a base has of its own, in place of the loop's, and a mixture would not call."""
    hooks = [name for name in dir(GAN) if name.startswith("on_") and name not in HANDED_ON]
    return [name for name in (*OF_THE_LOOP, *hooks) if getattr(base, name) is not getattr(GAN, name)]


def with_networks(model: GAN, generator: nn.Module, discriminator: nn.Module, average: nn.Module) -> GAN:
    """Return a model that differs from `model` in its networks only.

    It shares the networks given and, with `model`, the clock, the buffers and all other submodules: nothing is copied,
    so either model trains or moves the weights of both.
    """
    view = type(model).__new__(type(model))
    view.__dict__.update(model.__dict__)
    networks = {"generator": generator, "discriminator": discriminator, "average": average}
    view._modules = {**model._modules, **networks}
    return view


@contextmanager
def passed_on(model: GAN, views: Iterable[GAN]) -> Iterator[None]:
    """Give views of a model, see `with_networks`, the attributes that it sets in a block, such as those of a schedule.

    Args:
        model: the model, whose methods are called in the block.
        views: its views; the model may be among them.
    """
    before = dict(vars(model))
    yield
    changed = {name: value for name, value in vars(model).items() if name not in before or before[name] is not value}
    for view in views:
        vars(view).update(changed)


def shared_state(model: GAN) -> nn.Module:
    """Return a module with a model's buffers and its submodules other than the networks, shared with the model.

    A mixture registers it, so that they are saved and moved with the mixture; most variants have none.
    """
    state = nn.Module()
    state._buffers, state._non_persistent_buffers_set = model._buffers, model._non_persistent_buffers_set
    for name, module in model._modules.items():
        if name not in NETWORKS:
            state.add_module(name, module)
    return state
