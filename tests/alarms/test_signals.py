"""Signals that alarms read: what they measure, of which models, and the file that keeps them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.monitored_models import small, tiny_progan
from tests.helpers.training import tiny_mlp, train
from zoo.alarms.diversity import diversity
from zoo.alarms.observe import Observer, updates, weights_of
from zoo.alarms.records import ROWS, Records
from zoo.alarms.spectrum import Spectra
from zoo.audit.zoo_model import ZooModelAdapter
from zoo.callbacks import Alarms
from zoo.errors import UserError
from zoo.io.files import read_jsonl
from zoo.io.run_folder import RunFolder
from zoo.training.objectives import Terms


def test_singular_values_are_followed_while_weights_move() -> None:
    torch.manual_seed(0)
    weight, spectra = torch.randn(24, 10, 3, 3), Spectra()
    for _ in range(30):
        weight = weight + 0.02 * torch.randn_like(weight)
        found = spectra.of({"w": weight, "small": weight[:2]})
    exact = torch.linalg.svdvals(weight.flatten(1))
    assert torch.allclose(found["w"], exact[:3], rtol=0.03)
    assert (found["w"] <= exact[:3] * 1.0001).all()  # from below
    assert torch.allclose(found["small"][:2], torch.linalg.svdvals(weight[:2].flatten(1)), rtol=1e-4)
    assert found["small"][2] == 0
    assert spectra.of({"w": weight * math.nan})["w"].isinf().all()


def test_diversity_of_known_sets() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(16, 200), torch.randn(16, 200)
    same = {key: float(value) for key, value in diversity(real, fake).items()}
    assert same["diversity"] == pytest.approx(1, abs=0.05)
    assert same["duplicates"] == 0
    few = {key: float(value) for key, value in diversity(real, fake[torch.arange(16) % 3]).items()}
    assert few["duplicates"] == 1
    assert few["diversity"] == pytest.approx(85 / 120, abs=0.1)  # pairs of different images among all pairs
    assert float(diversity(real, 0.3 * fake)["diversity"]) == pytest.approx(0.3, abs=0.02)


def test_updates_are_those_that_adam_made() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 4)
    adam = torch.optim.Adam(layer.parameters(), 0.01, (0.5, 0.9))
    for _ in range(3):
        before = layer.weight.detach().clone()
        layer(torch.randn(7, 5)).square().mean().backward()
        adam.step()
        adam.zero_grad()
    expected = (layer.weight.detach() - before).norm() / layer.weight.detach().norm()
    assert float(updates(torch.nn.ModuleDict({"a": layer}), adam)["a"]) == pytest.approx(float(expected), rel=1e-4)


def test_signals_are_what_their_names_say(tmp_path: Path) -> None:
    model = tiny_progan()
    trainer = train(model, 3, tmp_path)
    observer = Observer(model, None)
    observer.fixed.first_batch(zoo.Batch(torch.rand(64, 1, 8, 8) * 2 - 1))
    seen = {**observer.quick(trainer, model), **observer.full(trainer, model)}
    for name, weight in weights_of(model.generator).items():
        assert seen[f"weight/g/{name}"] == pytest.approx(float(weight.detach().square().mean().sqrt()), rel=1e-4)
    assert seen["activation/g/normalise#0.after"] == pytest.approx(1, abs=1e-3)
    assert seen["activation/g/normalise#1.before"] != pytest.approx(1, abs=1e-2)
    exact = torch.linalg.svdvals(model.discriminator.dense.weight.detach())
    assert seen["sigma1/d/dense"] == pytest.approx(float(exact[0]), rel=0.02)
    real = observer.fixed.real(model)
    assert real.images.shape == (16, 1, 4, 4)  # as the discriminator sees them at this stage
    with torch.no_grad():
        assert seen["score/real"] == pytest.approx(float(model.score(real).mean()), abs=1e-4)
    assert seen["slope/mean"] > 0
    assert "overfitting/r_v" not in seen  # nothing is held out here


def test_an_undecided_discriminator_is_read_as_such_whatever_its_objective(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_mlp(objective="least_squares")
    trainer = train(model, 1, tmp_path)
    with torch.no_grad():
        for parameter in model.discriminator.parameters():
            parameter.zero_()
        list(model.discriminator.parameters())[-1].fill_(0.5)  # midway between the targets 0 and 1
    observer = Observer(model, None)
    observer.fixed.first_batch(zoo.Batch(torch.rand(64, 1, 4, 4) * 2 - 1))
    monkeypatch.setattr(observer.fixed, "held_out", lambda model: observer.fixed.real(model, many=True))
    seen = {**observer.quick(trainer, model), **observer.full(trainer, model)}
    assert seen["overfitting/r_t"] == 0
    assert seen["loss/d"] == seen["loss/chance"] == 0.25


def test_a_critic_is_read_by_pairs_of_real_and_generated_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that scores every real image, held-out or not, above every generated one has r_t = 1 and r_v = 0."""
    model = zoo.WGANGP(resolution=16, channels=1, latent_dim=4, width=2)
    trainer = train(model, 1, tmp_path)
    observer = Observer(model, None)
    observer.fixed.first_batch(zoo.Batch(torch.rand(64, 1, 16, 16) * 2 - 1))
    held_out = zoo.Batch(observer.fixed.real(model, many=True).images.flip(0))
    monkeypatch.setattr(observer.fixed, "held_out", lambda model: held_out)
    assert model.undecided is None
    fake = observer.fixed.fake(model, observer.fixed.real(model, many=True)).images

    def scores(*batches: zoo.Batch) -> list[torch.Tensor]:
        """Scores with a large offset, which no critic's loss sees, that are lower for generated images."""
        made = [bool(torch.equal(each.images[:4], fake[:4])) for each in batches]
        return [each.images.flatten(1).mean(1) + (100 if isfake else 110) for each, isfake in zip(batches, made)]

    monkeypatch.setattr(model, "scores", scores)
    seen = observer._held_out(trainer, model)
    assert float(seen["overfitting/r_t"]) == 1
    assert float(seen["overfitting/r_v"]) == pytest.approx(0, abs=1e-5)


class OwnLosses(zoo.VanillaGAN):
    """A variant that has no objective, since it overrides both losses (Wasserstein without a penalty)."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.objective = None

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        real_scores, fake_scores = self.scores(real, fake)
        return {"own": fake_scores.mean() - real_scores.mean()}

    def generator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        return {"own": -self.score(fake).mean()}


class HalfOwn(OwnLosses):
    generator_loss = zoo.GAN.generator_loss


def test_a_model_with_losses_of_its_own_is_monitored_without_an_objective(tmp_path: Path) -> None:
    """Row A7: the signals that need an objective are left out, all others are read; so in a mixture and an audit."""
    settings = {"resolution": 4, "width": 4, "discriminator_width": 4, "layers": 1}
    model = OwnLosses(**settings)
    assert ZooModelAdapter(model).zero is None
    observer = Observer(model, None)
    observer.fixed.first_batch(zoo.Batch(torch.rand(64, 1, 4, 4) * 2 - 1))
    trainer = train(model, 40, tmp_path, callbacks=[Alarms(rounds=2)])
    rows = read_jsonl(tmp_path / "alarms/signals.jsonl")
    assert rows[-1]["round"] == 40
    seen = observer.quick(trainer, model) | observer.full(trainer, model)
    with_objective = Observer(zoo.VanillaGAN(**settings), None)
    with_objective.fixed.first_batch(zoo.Batch(torch.rand(64, 1, 4, 4) * 2 - 1))
    usual = with_objective.quick(trainer, zoo.VanillaGAN(**settings))
    assert {"loss/d", "loss/chance"} == usual.keys() - seen.keys()
    path = f"{OwnLosses.__module__}.{OwnLosses.__qualname__}"
    train(zoo.MixGAN({"class": path, **settings}, components=2), 4, tmp_path / "mix", callbacks=[Alarms(rounds=2)])


def test_an_objective_that_a_loss_needs_is_missed_by_name(tmp_path: Path) -> None:
    """Row A7: only one of the losses is overridden."""
    with pytest.raises(UserError, match=r"HalfOwn has objective=None, so it must override both.*or give GAN"):
        train(HalfOwn(resolution=4, width=4, discriminator_width=4), 2, tmp_path)


def test_the_file_of_signals_stays_small_and_keeps_alarms(tmp_path: Path) -> None:
    records = Records(RunFolder(tmp_path), 0)
    for i in range(1, 8 * ROWS):
        kind = "alarm" if i == 1001 else "full" if i % 25 == 0 else "quick"
        records.signals(i * 64, i * 10, i, {"weight/a": 1.0, "b": math.inf}, kind)
    records.flush()
    rows = read_jsonl(tmp_path / "alarms" / "signals.jsonl")
    assert ROWS / 3 < len(rows) <= ROWS + 1
    assert [row["round"] for row in rows if row["kind"] == "alarm"] == [10010]
    assert any(row["kind"] == "full" for row in rows)
    assert rows[0]["values"] == {"weight/a": 1.0, "b": "inf"}
    again = Records(RunFolder(tmp_path), 64 * 2000)
    assert all(row["images_seen"] <= 64 * 2000 for row in read_jsonl(tmp_path / "alarms" / "signals.jsonl"))
    assert again.events == []


def test_class_shares_are_a_signal_where_a_classifier_is_at_hand(tmp_path: Path) -> None:
    run = zoo.fit("dcgan_digits", out=tmp_path, **small(classifier="digits", every=64))
    rows = [row["values"] for row in read_jsonl(tmp_path / "alarms" / "signals.jsonl")]
    shares = [row["classes/evenness"] for row in rows if "classes/evenness" in row]
    assert shares
    assert all(0 <= share <= 1 for share in shares)
    assert "signals/diversity" in (run.folder / "metrics.csv").read_text().splitlines()[0]
