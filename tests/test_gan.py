"""Properties of the training loop of two players."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import zoo
from tests.helpers.training import Noise, equal, tiny_dcgan, tiny_mlp, train, weights
from zoo.training.objectives import Terms


class Watch(Callback):
    """Callback that records both networks' weights after every round."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    def on_train_batch_end(self, trainer: Any, model: Any, *args: Any) -> None:
        self.seen.append((weights(model.discriminator), weights(model.generator)))


def test_critic_steps_move_the_discriminator_five_times_for_one_move_of_the_generator(tmp_path: Path) -> None:
    model, watch = tiny_mlp(critic_steps=5), Watch()
    start = (weights(model.discriminator), weights(model.generator))
    train(model, 10, tmp_path, callbacks=[watch])
    states = [start, *watch.seen]
    moved = [(not equal(a[0], b[0]), not equal(a[1], b[1])) for a, b in pairwise(states)]
    assert [d for d, _ in moved] == [True] * 10
    assert [g for _, g in moved] == [False] * 4 + [True] + [False] * 4 + [True]


def test_the_average_moves_only_when_the_generator_does(tmp_path: Path) -> None:
    model = tiny_mlp(critic_steps=3, average_halflife=1000)
    before = weights(model.average)
    train(model, 2, tmp_path)
    assert equal(before, weights(model.average))
    train(model, 1, tmp_path)
    assert not equal(before, weights(model.average))


class Gradients(Callback):
    """Callback that records the gradient that each optimizer is about to use."""

    def __init__(self) -> None:
        self.seen: list[list[Tensor]] = []

    def on_before_optimizer_step(self, trainer: Any, model: Any, optimizer: Any) -> None:
        self.seen.append([p.grad.clone() for group in optimizer.param_groups for p in group["params"]])


def test_four_micro_batches_give_the_gradient_of_one(tmp_path: Path) -> None:
    found = []
    for parts in (1, 4):
        gradients = Gradients()
        train(tiny_mlp(micro_batches=parts), 2, tmp_path, callbacks=[gradients], loader=Noise((1, 4, 4), 10))
        found.append(gradients.seen)
    assert len(found[0]) == len(found[1]) == 4
    for one, four in zip(*found):
        for a, b in zip(one, four):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_micro_batches_log_the_mean_of_the_whole_batch(tmp_path: Path) -> None:
    logged = []
    for parts in (1, 3):
        model = tiny_mlp(micro_batches=parts)
        train(model, 5, tmp_path, log_every_n_steps=5, loader=Noise((1, 4, 4), 10))
        logged.append(model.last_terms)
    assert logged[0] == pytest.approx(logged[1], rel=1e-4)


class Idle(Callback):
    """Callback that records the player whose turn it is not during each step, and the discriminator at the end."""

    def __init__(self) -> None:
        self.snapshots: list[tuple[Any, ...]] = []

    def take(self, model: Any, name: str) -> None:
        network = getattr(model, name)
        optimizer = model.trainer.optimizers[["discriminator", "generator"].index(name)]
        state = [v.clone() for s in optimizer.state.values() for v in s.values() if isinstance(v, Tensor)]
        grads = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
        parameters = [p.detach().clone() for p in network.parameters()]
        self.snapshots.append((parameters, grads, state))

    def on_before_optimizer_step(self, trainer: Any, model: Any, optimizer: Any) -> None:
        playing = trainer.optimizers.index(getattr(optimizer, "_optimizer", optimizer))
        # the idle one: the generator during the discriminator's step, and the other way round
        self.take(model, ["generator", "discriminator"][playing])

    def on_train_batch_end(self, trainer: Any, model: Any, *args: Any) -> None:
        self.take(model, "discriminator")


def same(a: Any, b: Any) -> bool:
    return len(a) == len(b) and all((x is None and y is None) or torch.equal(x, y) for x, y in zip(a, b))


def test_the_idle_players_weights_gradients_and_optimizer_never_change(tmp_path: Path) -> None:
    model, idle = tiny_dcgan(), Idle()
    start = [p.detach().clone() for p in model.generator.parameters()]
    train(model, 1, tmp_path, callbacks=[idle])
    generator_in_d_step, discriminator_in_g_step, discriminator_at_end = idle.snapshots
    assert same(generator_in_d_step[0], start)
    assert all(grad is None for grad in generator_in_d_step[1])
    assert generator_in_d_step[2] == []
    for in_g_step, at_end in zip(discriminator_in_g_step, discriminator_at_end):
        assert same(in_g_step, at_end)
    assert all(p.requires_grad for p in (*model.generator.parameters(), *model.discriminator.parameters()))


def test_what_a_user_froze_stays_frozen(tmp_path: Path) -> None:
    model = tiny_mlp()
    layer = next(model.generator.parameters()).requires_grad_(False)
    before = layer.clone()
    train(model, 3, tmp_path)
    assert not layer.requires_grad
    assert torch.equal(layer, before)


class Counted(zoo.VanillaGAN):
    """Model that records how its networks are called."""

    def score(self, batch: zoo.Batch) -> Tensor:
        self.calls.append((len(batch), batch.images.requires_grad))
        return super().score(batch)


class CountedConvolutional(zoo.DCGAN):
    def score(self, batch: zoo.Batch) -> Tensor:
        self.calls.append((len(batch), batch.images.requires_grad))
        return super().score(batch)


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (Counted, [(16, False), (8, True)]),  # one joined pass, then the generator's
        (CountedConvolutional, [(8, False), (8, False), (8, True)]),  # batch norm: real and generated apart
    ],
)
def test_the_discriminator_is_called_as_rarely_as_its_layers_allow(
    cls: Any, expected: list[tuple[int, bool]], tmp_path: Path
) -> None:
    """In its own step the discriminator gets images without a graph: none was built through the generator."""
    resolution = 4 if cls is Counted else 16
    model = cls(resolution=resolution, channels=1, latent_dim=3, width=4)
    model.calls = []
    train(model, 1, tmp_path)
    assert model.calls == expected


class WithEncoder(zoo.VanillaGAN):
    """Model with a third player that learns to infer the latent from the image."""

    def __init__(self, **vanilla: Any) -> None:
        super().__init__(**vanilla)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
        self.save_hyperparameters(logger=False)

    def players(self) -> list[zoo.Player]:
        return [*super().players(), zoo.Player("e", self.encoder, self.encoder_loss, lr=1e-2, every=2)]

    def encoder_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        z = self.sample_latent(64)
        return {"latent": (self.encoder(self.generate(self.generator, z, None)) - z).square().mean()}


def test_a_third_player_moves_at_its_own_pace_and_is_logged(tmp_path: Path) -> None:
    model = WithEncoder(resolution=4, channels=1, latent_dim=3, width=8)
    before = weights(model.encoder)
    trainer = train(model, 1, tmp_path, log_every_n_steps=1)
    assert equal(before, weights(model.encoder))
    train(model, 1, tmp_path, log_every_n_steps=1)
    assert not equal(before, weights(model.encoder))
    assert set(model.last_terms) == {"d/adversarial", "g/adversarial", "e/latent"}
    assert len(trainer.optimizers) == 3


class WantsBrightness(zoo.VanillaGAN):
    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        return {**super().generator_loss(real, fake), "brightness": 50.0 * (1 - fake.images).mean()}


def test_an_extra_term_is_optimised_and_logged(tmp_path: Path) -> None:
    plain, bright = (
        cls(resolution=4, channels=1, latent_dim=3, width=8, generator_lr=1e-2)
        for cls in (zoo.VanillaGAN, WantsBrightness)
    )
    for model in (plain, bright):
        train(model, 60, tmp_path, log_every_n_steps=30)
    assert set(bright.last_terms) == {"d/adversarial", "g/adversarial", "g/brightness"}
    assert bright.sample(64, seed=0).mean() > 0.9 > plain.sample(64, seed=0).mean()


class Disturbance(Callback):
    """Callback that does everything that a metric may do between two rounds."""

    def on_train_batch_end(self, trainer: Any, model: zoo.GAN, *args: Any) -> None:
        torch.rand(7)
        model.sample(5)
        model.sample(5, seed=3)


def test_what_runs_between_rounds_leaves_the_training_bit_identical(tmp_path: Path) -> None:
    results = []
    for callbacks in ([], [Disturbance()]):
        model = tiny_dcgan(num_classes=3)
        train(model, 6, tmp_path, callbacks=callbacks)
        results.append(weights(model))
    assert equal(*results)


class HostReads(TorchDispatchMode):
    """Dispatch mode that counts every read of a tensor's value by the host."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        HostReads.count += "_local_scalar_dense" in str(func) or "is_nonzero" in str(func)
        return func(*args, **(kwargs or {}))


class ReadsPerRound(Callback):
    def __init__(self) -> None:
        self.counts: list[int] = []

    def on_train_batch_start(self, *args: Any) -> None:
        HostReads.count = 0
        self.mode = HostReads()
        self.mode.__enter__()

    def on_train_batch_end(self, *args: Any) -> None:
        self.mode.__exit__(None, None, None)
        self.counts.append(HostReads.count)


@pytest.mark.parametrize("augment", [(), "adaptive"])
def test_no_round_waits_for_the_device_but_the_one_that_logs(
    augment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, tolist = ReadsPerRound(), Tensor.tolist

    def counted(tensor: Tensor) -> Any:  # on the CPU it reads memory without any operation to dispatch
        HostReads.count += 1
        return tolist(tensor)

    monkeypatch.setattr(Tensor, "tolist", counted)
    model = tiny_dcgan(num_classes=3, augment=augment, ada_speed=50)
    train(model, 10, tmp_path, callbacks=[reads], log_every_n_steps=5)
    assert reads.counts[1:4] == [0, 0, 0]  # the first round checks the data
    assert reads.counts[5:9] == [0, 0, 0, 0]
    assert reads.counts[4] > 0


def test_rates_follow_the_clock(tmp_path: Path) -> None:
    model = tiny_mlp(lr_schedule="linear", lr_horizon=80, generator_lr=1e-3, discriminator_lr=4e-3)
    trainer = train(model, 6, tmp_path)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
    assert rates == pytest.approx([4e-3 * 0.5, 1e-3 * 0.5])  # the sixth round began at 40 of 80 images


def test_gradients_are_clipped_for_each_player(tmp_path: Path) -> None:
    norms = []
    for clip_norm in (0.0, 1e-3):
        model = tiny_mlp(clip_norm=clip_norm)
        train(model, 1, tmp_path)
        for network in (model.discriminator, model.generator):
            norms.append(torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]).norm())
    assert min(norms[:2]) > 0.01
    assert norms[2:] == pytest.approx([1e-3, 1e-3], rel=1e-2)


def test_lightnings_own_loader_reads_a_checkpoint(tmp_path: Path) -> None:
    """`DCGAN.load_from_checkpoint` is what Lightning's users try first."""
    model = tiny_dcgan(num_classes=3, average_halflife=7)
    trainer = train(model, 2, tmp_path)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    loaded = zoo.DCGAN.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert equal(weights(loaded), weights(model))
    assert (loaded.images_seen, loaded.rounds, loaded.moving_average.halflife) == (16, 2, 7)
