"""MixGAN: equality with the base, members, pairs, permutations, weights, sampling, resuming."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.training import Noise, bits, equal, identical, train, weights
from zoo.errors import DataError, UserError
from zoo.io.run_folder import checkpoints_in
from zoo.models.mix.mixgan import MixGAN
from zoo.training.batch import Batch

MLP: dict[str, Any] = {
    "class": "VanillaGAN",
    "resolution": 4,
    "channels": 1,
    "latent_dim": 3,
    "layers": 1,
    "width": 8,
    "discriminator_layers": 1,
    "discriminator_width": 6,
    "pieces": 2,
    "dropout": 0.0,
}
DCGAN: dict[str, Any] = {"class": "DCGAN", "resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}
WGAN: dict[str, Any] = {
    "class": "WGANGP",
    "resolution": 16,
    "channels": 1,
    "latent_dim": 5,
    "width": 4,
    "critic_steps": 2,
}
PROGAN: dict[str, Any] = {
    "class": "ProGAN",
    "resolution": 16,
    "channels": 1,
    "latent_dim": 6,
    "width": 6,
    "width_base": 32,
    "hold_images": 24,
    "fade_images": 24,
}
BIGGAN: dict[str, Any] = {
    "class": "BigGAN",
    "resolution": 16,
    "channels": 1,
    "latent_dim": 9,
    "width": 4,
    "num_classes": 3,
    "shared_dim": 5,
    "attention": 8,
}
DEEP: dict[str, Any] = {**BIGGAN, "class": "BigGANDeep"}


class Seeking(zoo.DCGAN):
    """User-defined model whose generator loss draws latents and generates with them."""

    def generator_loss(self, real: Batch, fake: Batch) -> Any:
        pair = [self.generate(self.generator, self.sample_latent(len(real)), fake.labels) for _ in range(2)]
        return {**super().generator_loss(real, fake), "seeking": -0.1 * (pair[0] - pair[1]).abs().mean()}


def alone(base: dict[str, Any], **loop: Any) -> zoo.GAN:
    from zoo.config.class_names import find_class

    torch.manual_seed(0)
    settings = {**base, **loop}
    model: zoo.GAN = find_class(settings.pop("class"))(**settings)
    return model


def mix(base: dict[str, Any], components: int = 3, *, loop: dict[str, Any] | None = None, **mixture: Any) -> MixGAN:
    torch.manual_seed(0)
    return MixGAN({**base, **(loop or {})}, components, **mixture)


def unequal(model: MixGAN) -> None:
    """Give both sides non-uniform weights."""
    for side in (model.generator, model.discriminator, model.average):
        with torch.no_grad():
            side.log_weights.copy_(torch.arange(len(side)).mul(0.7).sub(1.0).log_softmax(0))
        side.step(0.0)


# --- one member is the base ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "loop", "rounds"),
    [
        (MLP, {"clip_norm": 0.5, "dropout": 0.3, "r1": 0.1}, 6),
        (MLP, {"objective": "relativistic", "r1": 0.1, "r2": 0.2, "penalty_every": 2, "generator_steps": 2}, 6),
        (DCGAN, {"num_classes": 3, "lr_schedule": "linear", "lr_horizon": 200, "critic_steps": 2}, 6),
        (DCGAN, {"augment": ("color", "translation"), "betas": (0.2, 0.9), "lr_warmup": 40, "clip_norm": 1.0}, 4),
        (WGAN, {}, 5),
        (WGAN, {"num_classes": 3, "micro_batches": 2}, 5),
        (PROGAN, {}, 18),
        (BIGGAN, {"micro_batches": 2, "average_start": 16}, 4),
        (DEEP, {}, 4),
        ({**DCGAN, "class": "tests.models.mix.test_mixgan.Seeking"}, {}, 4),
    ],
    ids=[
        "vanilla",
        "relativistic",
        "dcgan",
        "dcgan augmented",
        "wgan-gp",
        "wgan-gp with classes",
        "progan",
        "biggan",
        "biggan-deep",
        "own",
    ],
)
@pytest.mark.parametrize("payoff", ["shared", "full"])
def test_one_member_is_the_base_to_the_last_bit(
    base: dict[str, Any], loop: dict[str, Any], rounds: int, payoff: Any, tmp_path: Path
) -> None:
    one, model = alone(base, seed=3, **loop), mix(base, 1, loop=loop, payoff=payoff, seed=3)
    train(one, rounds, tmp_path, log_every_n_steps=1)
    train(model, rounds, tmp_path, log_every_n_steps=1)
    assert one.images_seen == model.images_seen
    if "hold_images" in base:
        assert isinstance(one, zoo.ProGAN)
        assert one.stage.resolution == 16  # it has grown twice
    for theirs, ours in (
        ("generator", model.generator),
        ("discriminator", model.discriminator),
        ("average", model.average),
    ):
        assert equal(weights(getattr(one, theirs)), weights(ours.members[0])), theirs
    assert one.last_terms == {name: value for name, value in model.last_terms.items() if not name.startswith("mixture")}
    assert torch.equal(one.sample(5, seed=1), model.sample(5, seed=1))


def test_one_member_under_the_optimizer_is_the_base_too(tmp_path: Path) -> None:
    one, model = alone(MLP, clip_norm=0.1), mix(MLP, 1, loop={"clip_norm": 0.1}, weight_update="optimizer")
    train(one, 4, tmp_path)
    train(model, 4, tmp_path)
    assert equal(weights(one.generator), weights(model.generator.members[0]))


def test_the_first_member_starts_as_the_base_and_the_others_do_not() -> None:
    one, model = alone(DCGAN), mix(DCGAN)
    first, second, third = (weights(member) for member in model.generator.members)
    assert equal(first, weights(one.generator))
    assert not equal(first, second)
    assert not equal(second, third)
    again = mix(DCGAN)
    assert equal(weights(model), weights(again))


# --- every setting of the base ---------------------------------------------------------------------------------------

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


# --- members ---------------------------------------------------------------------------------------------------------


def test_a_member_draws_what_the_mixture_draws_with_it() -> None:
    model = mix(BIGGAN)
    for i in range(3):
        member = model.member(i)
        assert type(member) is zoo.BigGAN
        assert torch.equal(member.sample(7, seed=i, batch_size=4), model.sample(7, seed=i, component=i, batch_size=4))
    with pytest.raises(ValueError, match=r"component must lie in 0..2; got 3"):
        model.member(3)


def test_a_member_shares_weights_clock_mode_and_trainer(tmp_path: Path) -> None:
    model = mix(MLP, generators=3, discriminators=2)
    member, before = model.member(2), weights(model.member(2))
    assert member.discriminator is model.discriminator.members[0]  # counted through again
    trainer = train(model, 3, tmp_path)
    assert not equal(before, weights(member))
    assert equal(weights(member.average), weights(model.average.members[2]))
    assert member.clock_state() == model.clock_state() == {"images_seen": 24, "rounds": 3, "images_undone": 0}
    assert member.trainer is trainer
    assert not model.eval().member(1).training
    assert model.train().member(1).training
    assert not member.average.training
    assert model.double().member(0).sample_latent(2).device == model.device


def test_a_member_is_saved_and_loaded_as_a_model_of_the_base(tmp_path: Path) -> None:
    model = mix(DCGAN, 2, seed=5)
    model.set_clock(640, rounds=10)
    folder = model.member(1).save_pretrained(tmp_path / "member")
    again = zoo.from_pretrained(folder)
    assert type(again) is zoo.DCGAN
    assert again.hparams["seed"] == 5
    assert again.images_seen == 640
    assert torch.equal(again.sample(4, seed=0), model.sample(4, seed=0, component=1))


def test_a_member_can_be_trained_on_as_a_copy(tmp_path: Path) -> None:
    model = mix(MLP)
    before = weights(model)
    alone_again = copy.deepcopy(model.member(1))
    train(alone_again, 2, tmp_path)
    assert equal(weights(model), before)
    assert alone_again.images_seen == 16
    assert model.images_seen == 0


def test_a_copied_mixture_has_pairs_of_its_own() -> None:
    model = mix(MLP)
    twin = copy.deepcopy(model)
    assert twin.pairs[1][2].generator is twin.generator.members[1]
    assert twin.pairs[1][2].discriminator is twin.discriminator.members[2]
    assert twin.member(0).average is twin.average.members[0]
    assert twin.member(0).clock is twin.clock is not model.clock


def test_only_networks_are_in_the_state() -> None:
    names = {key.split(".")[0] for key in mix(MLP).state_dict()}
    assert names == {"generator", "discriminator", "average"}
    model = mix(PROGAN, 2)
    assert len(list(model.modules())) == len({id(module) for module in model.modules()})
    assert not any(module is pair for module in model.modules() for row in model.pairs for pair in row)


class Counting(zoo.VanillaGAN):
    """User-defined model whose loss keeps a mean in a buffer."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("mean", torch.zeros(()))

    def generator_loss(self, real: Batch, fake: Batch) -> Any:
        self.mean = torch.lerp(self.mean, fake.images.detach().mean(), 0.5)
        return super().generator_loss(real, fake)


def test_buffers_of_a_base_are_shared_by_its_pairs_and_saved(tmp_path: Path) -> None:
    base = {**MLP, "class": "tests.models.mix.test_mixgan.Counting"}
    model = mix(base, 2)
    train(model, 2, tmp_path)
    state = model.state_dict()
    assert {key for key in state if key.startswith("base.")} == {"base.mean"}
    assert state["base.mean"] != 0
    assert all(pair.mean is model.base.mean for row in model.pairs for pair in row)
    again = mix(base, 2)
    again.load_state_dict(state)
    assert torch.equal(again.member(1).get_buffer("mean"), state["base.mean"])


# --- pairs -----------------------------------------------------------------------------------------------------------


def plain_double_loop(model: MixGAN, side: str, reals: list[Batch], fakes: list[Batch]) -> Any:
    """Compute the payoff over all pairs as in the paper, a graph for every pair, and one side's gradients of it."""
    total: Any = 0.0
    pair = alone(model.hparams["base"]).train()
    pair.images_seen = model.images_seen
    for i, generator in enumerate(model.generator.members):
        for j, discriminator in enumerate(model.discriminator.members):
            pair.generator, pair.discriminator = generator, discriminator
            loss = pair.discriminator_loss if side == "d" else pair.generator_loss
            weight = model.generator.probabilities()[i] * model.discriminator.probabilities()[j]
            total = total + weight * sum(loss(reals[i], fakes[i]).values())
    return total, gradients(model, side, total)


def gradients(model: MixGAN, side: str, total: Any) -> list[torch.Tensor]:
    """Compute the gradients by one side's networks and weights."""
    own = list((model.discriminator if side == "d" else model.generator).parameters())
    return [torch.zeros(()) if g is None else g for g in torch.autograd.grad(total, own, allow_unused=True)]


@pytest.mark.parametrize("side", ["d", "g"])
@pytest.mark.parametrize(
    "base", [MLP, {**MLP, "r1": 0.3}, DCGAN, WGAN, PROGAN], ids=["vanilla", "r1", "dcgan", "wgan-gp", "progan"]
)
def test_full_payoffs_equal_the_double_loop_over_pairs(
    side: str, base: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mix(base, generators=3, discriminators=2, payoff="full", entropy=0.0)
    unequal(model)
    model.double().train()
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)  # penalties go to float32 otherwise
    size = model.data_resolution(0)
    torch.manual_seed(1)
    real = Batch(torch.rand(8, 1, size, size, dtype=torch.float64) * 2 - 1)
    z = torch.randn(8, model.latent_dim, dtype=torch.float64)
    fake = model.fakes(z, None)
    assert len(fake) == 24
    fakes = [Batch(model.generate(member, z, None)) for member in model.generator.members]
    points = torch.rand(8, 1, 1, 1)  # of the penalties: one draw for all pairs, since their order is free
    monkeypatch.setattr("zoo.training.objectives.torch.rand", lambda *shape, **where: points.double())
    expected, theirs = plain_double_loop(model, side, [real] * 3, fakes)
    terms = (model.discriminator_loss if side == "d" else model.generator_loss)(real, fake)
    total = torch.stack(list(terms.values())).sum()
    torch.testing.assert_close(total, expected, atol=1e-10, rtol=1e-9)
    for a, b in zip(gradients(model, side, total), theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("side", ["d", "g"])
def test_shared_payoffs_equal_the_double_loop_over_the_split_batch(side: str) -> None:
    model = mix(MLP, generators=4, discriminators=3, entropy=0.0)
    if side == "g":  # for the discriminators rows are drawn by weight: equal as they stand only with equal weights
        unequal(model)
    torch.manual_seed(1)
    real, z = Batch(torch.rand(16, 1, 4, 4) * 2 - 1), torch.randn(16, 3)
    fake = model.fakes(z, None)
    assert len(fake) == 16
    fakes = [Batch(model.generate(m, rows, None)) for m, rows in zip(model.generator.members, z.chunk(4))]
    expected, theirs = plain_double_loop(model, side, real.chunk(4), fakes)
    terms = (model.discriminator_loss if side == "d" else model.generator_loss)(real, fake)
    total = torch.stack(list(terms.values())).sum()
    torch.testing.assert_close(total, expected, atol=1e-6, rtol=1e-6)
    for a, b in zip(gradients(model, side, total), theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_discriminators_pass_no_more_often_than_they_must() -> None:
    calls: list[int] = []
    for base, payoff, side, expected in [
        (MLP, "shared", "d", [16] * 2),  # real and generated images in one pass of each
        (MLP, "shared", "g", [8] * 2),
        (MLP, "full", "d", [8 + 32] * 2),
        (MLP, "full", "g", [32] * 2),
        (DCGAN, "shared", "d", [8, 8] * 2),
        (DCGAN, "shared", "g", [8] * 2),
        (DCGAN, "full", "d", [8, 8, 8, 8, 8] * 2),
    ]:
        model = mix(base, generators=4, discriminators=2, payoff=payoff)
        for member in model.discriminator.members:
            member.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
        calls.clear()
        real = Batch(torch.rand(8, 1, model.resolution, model.resolution))
        fake = model.fakes(model.sample_latent(8), None)
        (model.discriminator_loss if side == "d" else model.generator_loss)(real, fake)
        assert calls == expected, (base["class"], payoff, side)


def test_a_batch_scored_twice_in_one_loss_is_passed_twice() -> None:
    """Two draws of dropout must differ, though the images are the same."""
    from zoo.models.mix.passes import JoinedBatches, JoinedPasses

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5))
    parts = [Batch(torch.ones(4, 1, 8, 8)), Batch(torch.ones(4, 1, 8, 8))]
    passes = JoinedPasses(network, [JoinedBatches(parts)])
    once, twice = passes(parts[0].images), passes(parts[0].images)
    assert not torch.equal(once, twice)
    passes.begin()
    other = passes(parts[1].images)
    assert other.shape == (4, 64)
    stranger = passes(torch.zeros(3, 1, 8, 8))
    assert torch.equal(stranger, torch.zeros(3, 64))


# --- members have no names -------------------------------------------------------------------------------------------


def test_renaming_members_renames_everything_and_changes_nothing_else(tmp_path: Path) -> None:
    plain, renamed = mix(MLP, payoff="full", weight_lr=0.1), mix(MLP, payoff="full", weight_lr=0.1)
    unequal(plain), unequal(renamed)
    order = {"generator": [2, 0, 1], "discriminator": [1, 2, 0]}
    for side, permutation in {**order, "average": order["generator"]}.items():
        theirs, mine = getattr(plain, side), getattr(renamed, side)
        for new, old in enumerate(permutation):
            mine.members[new].load_state_dict(theirs.members[old].state_dict())
        with torch.no_grad():
            mine.log_weights.copy_(theirs.log_weights[permutation])
        mine.step(0.0)
    train(plain, 10, tmp_path)
    train(renamed, 10, tmp_path)
    assert (plain.generator_weights - mix(MLP).generator_weights).abs().max() > 0.01  # something was learnt
    for side, permutation in order.items():
        theirs, mine = getattr(plain, side), getattr(renamed, side)
        torch.testing.assert_close(mine.weights, theirs.weights[permutation], atol=1e-6, rtol=0)
        for new, old in enumerate(permutation):
            for a, b in zip(mine.members[new].parameters(), theirs.members[old].parameters()):
                torch.testing.assert_close(a, b, atol=2e-5, rtol=0)  # sums in another order, through ten Adam steps


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "payoff", "update"),
    [
        ("DCGAN", "shared", "exponentiated_gradient"),
        ("DCGAN", "full", "optimizer"),
        ("ProGAN", "shared", "exponentiated_gradient"),
    ],
)
def test_a_killed_run_resumes_to_the_last_bit(
    base: str, payoff: str, update: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growth = {"hold_images": 96, "fade_images": 96, "width_base": 32} if base == "ProGAN" else {}
    settings: dict[str, Any] = {
        "images": 16 * 24,
        "model": {
            "base": {"class": base, "width": 4, **growth},
            "components": 2,
            "payoff": payoff,
            "weight_update": update,
            "weight_lr": 0.05,
        },
        "data": {"batch_size": 24},
        "trainer": {"accelerator": "cpu", "log_every_n_steps": 4},
        "callbacks": {"SampleGrid": None, "SaveEvery": {"every": 96, "keep": 100}, "MixtureReport": None},
    }
    whole = zoo.fit("mix_dcgan_digits", out=tmp_path / "whole", **settings)
    expected = bits(checkpoints_in(whole.folder)[0])
    dying = {
        **settings,
        "callbacks": {**settings["callbacks"], "end": {"class": "tests.helpers.training.Dies", "after": 10}},
    }
    with pytest.raises(RuntimeError, match="killed"):
        zoo.fit("mix_dcgan_digits", out=tmp_path / "killed", **dying)
    run = zoo.fit(resume=tmp_path / "killed", callbacks={"end": None})
    assert identical(bits(checkpoints_in(run.folder)[0]), expected)
    model = run.model
    assert isinstance(model, MixGAN)
    assert float((model.generator_weights - 0.5).abs().max()) > 0  # the weights had moved
    again = zoo.load_run(run.folder)
    assert torch.equal(again.sample(4, seed=0), model.sample(4, seed=0))


@pytest.mark.parametrize("payoff", ["shared", "full"])
def test_weights_learn_which_generator_is_better(payoff: Any, tmp_path: Path) -> None:
    """One generator draws only black; on noise the discriminators recognise it, and it loses its weight."""
    model = mix({**MLP, "generator_lr": 0.0, "discriminator_lr": 0.01}, 2, payoff=payoff, weight_lr=0.05, entropy=0.01)
    with torch.no_grad():
        list(model.generator.members[1].parameters())[-1].fill_(-20.0)
    train(model, 60, tmp_path, Noise((1, 4, 4), batch_size=32))
    assert model.generator_weights[1] < 0.1
    torch.testing.assert_close(model.generator_weights.sum(), torch.tensor(1.0))
    assert model.average.weights[1] < 0.3  # the average follows


def test_weights_and_entropies_are_logged(tmp_path: Path) -> None:
    model = mix(MLP, generators=2, discriminators=3)
    train(model, 2, tmp_path, log_every_n_steps=1)
    logged = {name.removeprefix("mixture/") for name in model.last_terms if name.startswith("mixture/")}
    assert logged == {
        "generator_0",
        "generator_1",
        "generator_entropy",
        "discriminator_0",
        "discriminator_1",
        "discriminator_2",
        "discriminator_entropy",
    }
    assert model.last_terms["mixture/generator_entropy"] == pytest.approx(0.6931, abs=1e-3)
    assert model.last_terms["d/mixture"] == pytest.approx(0.1 * 1.0986, abs=1e-3)


# --- sampling --------------------------------------------------------------------------------------------------------


def constant(model: MixGAN) -> MixGAN:
    """Make member i draw constant images of value (i - 1) / 2."""
    for network in (model.generator, model.average):
        for i, member in enumerate(network.members):
            with torch.no_grad():
                for parameter in member.parameters():
                    parameter.zero_()
                list(member.parameters())[-1].fill_(float(torch.tensor((i - 1) / 2.0).atanh()))
    return model


def test_members_are_sampled_by_weight_and_by_name() -> None:
    model = constant(mix(MLP))
    unequal(model)
    shades = model.sample(20_000, seed=0).flatten(1)[:, 0].mul(2).add(1).round().long()
    shares = shades.bincount(minlength=3) / 20_000
    torch.testing.assert_close(shares, model.average.weights.detach(), atol=0.015, rtol=0)
    for i in range(3):
        torch.testing.assert_close(model.sample(4, component=i, seed=0), torch.full((4, 1, 4, 4), (i - 1) / 2))
    assert torch.equal(model.sample(50, seed=0), model.sample(50, seed=0, batch_size=7))
    with pytest.raises(ValueError, match=r"component must lie in 0..2; got 3"):
        model.sample(1, component=3)
    assert model.sample(0, seed=0).shape == (0, 1, 4, 4)


def test_a_walk_stays_with_one_member() -> None:
    from zoo.sampling.images import interpolate

    walk = interpolate(constant(mix(MLP)), 20, 5, seed=0).flatten(1)[:, 0].view(20, 5)
    assert (walk == walk[:, :1]).all()
    assert len(walk.unique()) == 3


def test_scores_are_the_weighted_mean_of_the_discriminators() -> None:
    model = mix(MLP)
    unequal(model)
    batch = Batch(torch.rand(6, 1, 4, 4))
    each = torch.stack([member(batch.images) for member in model.discriminator.members])
    torch.testing.assert_close(model.score(batch), (each * model.discriminator_weights[:, None]).sum(0))


def test_standing_statistics_are_gathered_for_every_member() -> None:
    from zoo.sampling.standing_statistics import standing_statistics

    model = mix({**BIGGAN, "num_classes": 0, "shared_dim": 0, "skip_latents": False}, 2).eval()
    before = weights(model.average)
    with standing_statistics(model, passes=2, batch_size=8):
        inside = weights(model.average)
        changed = {name.split(".")[1] for name in inside if not torch.equal(inside[name], before[name])}
        assert changed == {"0", "1"}
    assert equal(weights(model.average), before)


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"base": {"resolution": 16}}, "base needs `class`"),
        ({"base": {"class": "DCGA"}}, "the zoo has no class DCGA. Did you mean DCGAN?"),
        ({"base": {"class": "Digits"}}, "Digits is not a GAN that can be mixed"),
        ({"base": {"class": "MixGAN"}}, "MixGAN is not a GAN that can be mixed"),
        ({"base": {**MLP, "seed": 4}}, "seed is the mixture's, 0; got 4. Leave it out"),
        ({"base": MLP, "components": 0}, "components must be at least 1; got 0"),
        ({"base": MLP, "payoff": "half"}, "payoff is 'shared' or 'full'; got 'half'"),
        ({"base": MLP, "regulariser": "none"}, "regulariser is 'cross_entropy' or 'shannon'; got 'none'"),
        ({"base": MLP, "weight_update": "sgd"}, "weight_update is one of"),
    ],
)
def test_faults_say_what_to_do(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises((ValueError, UserError)) as caught:
        MixGAN(**settings)
    assert fault in str(caught.value)


def test_a_base_with_a_third_player_is_refused() -> None:
    with pytest.raises(ValueError, match=r"parameters outside its generator and discriminator \(encoder"):
        mix({**MLP, "class": "tests.models.mix.test_mixgan.Third"})


class Third(zoo.VanillaGAN):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.encoder = torch.nn.Linear(2, 2)


def test_a_batch_too_small_to_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"9 images in a pass leave fewer than 2 for each of 5 generators. Raise data.batch_size"
    ):
        train(mix(MLP, 5), 1, tmp_path, Noise((1, 4, 4), batch_size=9))
    train(mix(MLP, 5, payoff="full"), 1, tmp_path, Noise((1, 4, 4), batch_size=4))


def test_a_base_may_be_a_bare_name() -> None:
    model = MixGAN("VanillaGAN", 2)  # type: ignore[arg-type]
    assert model.resolution == 16
    assert len(model.generator) == 2


def test_payoffs_of_every_pair_by_hand() -> None:
    model = constant(mix(MLP, generators=3, discriminators=2))
    with torch.no_grad():
        for j, member in enumerate(model.discriminator.members):
            for parameter in member.parameters():
                parameter.zero_()
            list(member.parameters())[-1].fill_(float(j))  # discriminator j says j to everything
    before = weights(model)
    payoffs = model.payoffs(Batch(torch.rand(6, 1, 4, 4)))
    softplus = torch.nn.functional.softplus
    each = torch.tensor([-softplus(torch.tensor(-float(j))) - softplus(torch.tensor(float(j))) for j in range(2)])
    torch.testing.assert_close(payoffs, each.expand(3, 2))
    assert equal(weights(model), before)


def test_faults_of_a_nested_base_are_reported_with_the_others() -> None:
    from zoo.errors import RecipeError
    from zoo.runs.recipes import load_recipe

    with pytest.raises(RecipeError) as caught:
        load_recipe("mix_dcgan_digits", {"model": {"components": "many", "base": {"widht": 3, "width": "wide"}}})
    assert sorted(caught.value.faults) == [
        "model.base.widht: DCGAN has no setting of that name. Did you mean width?",
        "model.base.width: 'wide' is not an integer",
        "model.components: 'many' is not an integer",
    ]
    with pytest.raises(RecipeError, match=r"model.base.class: the zoo has no class WGNGP. Did you mean WGANGP\?"):
        load_recipe("mix_dcgan_digits", {"model": {"base": {"class": "WGNGP"}}})
    with pytest.raises(RecipeError, match=r"model.base: missing; it is a mapping with `class`, a GAN"):
        load_recipe("mix_dcgan_digits", {"model": {"base": None}})


def test_a_base_of_another_class_and_other_data() -> None:
    from zoo.runs.recipes import load_recipe

    changed = load_recipe(
        "mix_dcgan_digits", {"seed": 5, "model": {"base": {"class": "ProGAN"}}, "data": {"class": "Ring"}}
    )
    assert changed.model.arguments["base"]["class"] == "ProGAN"
    assert changed.model.arguments["base"]["seed"] == changed.model.arguments["seed"] == 5
    assert changed.model.arguments["base"]["num_classes"] == 0
    assert "model.base.class was changed; the recipe's kernel_size are left out" in changed.notes
    assert any(note.startswith("model.base.num_classes is 0 because data.class was changed") for note in changed.notes)


@pytest.mark.parametrize("name", ["digits", "cifar10", "celeba", "stacked_digits"])
def test_recipes_mix_what_their_name_says(name: str) -> None:
    from zoo.runs.recipes import load_recipe

    recipe = load_recipe(f"mix_dcgan_{name}")
    assert recipe.model.target is MixGAN
    assert recipe.model.arguments["base"]["class"] == "DCGAN"
    assert recipe.data.arguments["batch_size"] / recipe.model.arguments["components"] >= 32


def test_the_command_draws_from_one_member(tmp_path: Path) -> None:
    from zoo.sample import sample

    settings: dict[str, Any] = {
        "images": 24,
        "model": {"base": {"width": 4}, "components": 2},
        "data": {"batch_size": 24},
        "trainer": {"accelerator": "cpu"},
        "callbacks": {"SampleGrid": None, "MixtureReport": None},
    }
    run = zoo.fit("mix_dcgan_digits", out=tmp_path / "run", **settings)
    assert sample(str(run.folder), n=4, out=str(tmp_path / "one.png"), component=1).is_file()
    assert sample(str(run.folder), n=2, out=str(tmp_path / "walk.png"), interpolate=3).is_file()
    with pytest.raises(UserError, match=r"component must lie in 0..1; got 2"):
        sample(str(run.folder), component=2)
    with pytest.raises(UserError, match="component: for samples of a MixGAN, without interpolate"):
        sample(str(run.folder), component=1, interpolate=3)
