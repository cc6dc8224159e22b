"""Alarms in training: no side effects, exact resume, planted faults, actions, texts."""

from __future__ import annotations

import math
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers import processes
from tests.helpers.training import bits, identical, tiny_biggan, tiny_dcgan, tiny_mlp, train
from zoo.alarms import ALARMS, Reading, alarm
from zoo.alarms.diversity import diversity
from zoo.alarms.observe import Observer, updates, weights_of
from zoo.alarms.reading import Baselines
from zoo.alarms.records import ROWS, Records
from zoo.alarms.spectrum import Spectra
from zoo.audit.zoo_model import ZooModelAdapter
from zoo.callbacks import Alarms
from zoo.config.arguments import parse_arguments
from zoo.errors import RecipeError, UserError
from zoo.io.files import read_jsonl
from zoo.io.run_folder import RunFolder, checkpoints_in
from zoo.runs.recipes import load_recipe
from zoo.training.objectives import Terms

SMALL: dict[str, Any] = {
    "images": 16 * 24,
    "model": {"width": 4},
    "data": {"batch_size": 16},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 6, "precision": "32-true"},
    "callbacks": {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": {"every": 48, "keep": 100}},
}


def small(**alarms: Any) -> dict[str, Any]:
    return {**SMALL, "callbacks": {**SMALL["callbacks"], "Alarms": {"rounds": 2, **alarms}}}


def tiny_progan() -> zoo.ProGAN:
    torch.manual_seed(0)
    return zoo.ProGAN(8, 1, latent_dim=6, width=8, width_base=16, hold_images=64, fade_images=48)


def tiny_wgan() -> zoo.WGANGP:
    torch.manual_seed(0)
    return zoo.WGANGP(
        16, 1, latent_dim=6, width=4, architecture="convolutional", critic_steps=2, dequantise=True, generator_batch=1
    )


def tiny_mix() -> zoo.MixGAN:
    torch.manual_seed(0)
    base = {"class": "DCGAN", "resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}
    return zoo.MixGAN(components=2, base=base)


# --- training is left alone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [tiny_dcgan, tiny_biggan, tiny_progan, tiny_wgan, tiny_mix, tiny_mlp])
def test_weights_buffers_and_moments_are_those_without_alarms(build: Any, tmp_path: Path) -> None:
    ends = []
    for callbacks in ([], [Alarms(rounds=1, every=8)]):
        model = build()
        trainer = train(model, 18 if build is tiny_progan else 8, tmp_path, callbacks=callbacks)  # until it has grown
        ends.append([model.state_dict(), trainer.optimizers[0].state_dict(), trainer.optimizers[1].state_dict()])
    assert identical(*ends)


def test_a_reading_leaves_modes_random_state_and_gradients_as_they_were(tmp_path: Path) -> None:
    model = tiny_biggan()
    trainer = train(model, 3, tmp_path)
    model.train()
    observer = Observer(model, None)
    observer.fixed.first_batch(zoo.Batch(torch.rand(64, 1, 16, 16) * 2 - 1, torch.arange(64) % 3))
    before = torch.get_rng_state(), {n: b.clone() for n, b in model.named_buffers()}
    modes = [module.training for module in model.modules()]
    gradients = [p.grad for p in model.parameters()]
    observer.quick(trainer, model)
    observer.full(trainer, model)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert identical(dict(model.named_buffers()), before[1])
    assert [module.training for module in model.modules()] == modes
    assert all(p.grad is g for p, g in zip(model.parameters(), gradients))
    assert not any(module._forward_hooks for module in model.modules())


def test_the_host_waits_only_in_rounds_with_a_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    model = tiny_dcgan()
    for name in ("item", "tolist", "__bool__", "__float__"):
        plain = getattr(torch.Tensor, name)

        def spy(self: torch.Tensor, plain: Any = plain) -> Any:
            waited.append(model.rounds)
            return plain(self)

        monkeypatch.setattr(torch.Tensor, name, spy)
    train(model, 12, tmp_path, callbacks=[Alarms(rounds=5)], log_every_n_steps=1000)
    in_rounds = {n for n in waited if 1 < n < 12}  # the first looks at the data, the last logs
    assert in_rounds <= {5, 10}
    assert {5, 10} <= set(waited)


# --- resume ----------------------------------------------------------------------------------------------------------


def test_a_killed_run_takes_the_same_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**small(every=64), "model": {"width": 4, "critic_steps": 3}}
    whole = zoo.fit("dcgan_digits", out=tmp_path / "whole", **settings).folder
    folder = tmp_path / "killed"
    end = {"class": "tests.helpers.training.Dies", "after": 13}
    with pytest.raises(RuntimeError, match="killed"):
        zoo.fit("dcgan_digits", out=folder, **{**settings, "callbacks": {**settings["callbacks"], "end": end}})
    zoo.fit(resume=folder, callbacks={"end": None})
    mine, theirs = (torch.load(checkpoints_in(f)[0], weights_only=True)["callbacks"] for f in (folder, whole))
    assert identical(mine["Alarms"], theirs["Alarms"])
    assert mine["Alarms"]["habits"]["tracks"]["weight/g/stem.1"]["count"] == 12
    assert (folder / "alarms/signals.jsonl").read_text() == (whole / "alarms/signals.jsonl").read_text()
    assert identical(bits(checkpoints_in(folder)[0]), bits(checkpoints_in(whole)[0]))


def test_sigkill_and_resume_keep_the_state(tmp_path: Path) -> None:
    arguments = [
        "recipe=dcgan_digits",
        "images=1280",
        "model.width=4",
        "callbacks.SampleGrid=null",
        "callbacks.SampleMetrics=null",
        "callbacks.SaveEvery.every=320",
        "callbacks.SaveEvery.keep=100",
        "trainer.accelerator=cpu",
        "callbacks.Alarms.rounds=2",
    ]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = processes.start(["-m", "zoo.fit", *arguments, f"out={killed}"], stdout=subprocess.DEVNULL)
    while not checkpoints_in(killed) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    given = parse_arguments(arguments)
    zoo.fit(given.pop("recipe"), out=whole, **given)
    if int(checkpoints_in(killed)[0].stem) < 1280:
        zoo.fit(resume=killed)
    states = [torch.load(checkpoints_in(f)[0], weights_only=True)["callbacks"]["Alarms"] for f in (killed, whole)]
    assert identical(*states)


# --- signals ---------------------------------------------------------------------------------------------------------


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


# --- alarms ----------------------------------------------------------------------------------------------------------

HEALTHY = {
    "activation/g/a": 1.0,
    "weight/g/a": 0.02,
    "weight/d/a": 0.02,
    "sigma1/d/a": 3.0,
    "gradient/g": 5.0,
    "score/scale": 1.5,
    "loss/d": 0.9,
    "loss/chance": 1.386,
    "diversity": 0.9,
    "duplicates": 0.0,
    "overfitting/r_v": 0.1,
    "overfitting/r_t": 0.3,
    "overfitting/certainty": 1.0,
}


def raised(now: dict[str, float], before: dict[str, float] | None = None) -> dict[str, str]:
    """Return the alarms of one reading after forty of a run with a little noise, with their reasons."""
    baselines, generator = Baselines(), torch.Generator().manual_seed(0)
    usual = {**HEALTHY, **(before or {})}
    for _ in range(40):
        noise = 1 + 0.0001 * torch.randn(len(usual), generator=generator)
        baselines.read(dict(zip(usual, (noise * torch.tensor(list(usual.values()))).tolist())), "8 px", {})
    reading = baselines.read({**usual, **now}, "8 px", {})
    return {name: reason for name, check in ALARMS.items() if (reason := check(reading))}


@pytest.mark.parametrize(
    ("now", "before", "name", "reason"),
    [
        ({"duplicates": 0.75}, {}, "loss of diversity", "75% of images of fixed latents have a near-duplicate"),
        ({"diversity": 0.3}, {}, "loss of diversity", "differ 0.30 times as much as real ones do, 0.9"),
        ({"score/scale": 9.0}, {}, "discriminator overshoot", "scores rose 6.0-fold"),
        ({"loss/d": 2.0}, {"loss/d": 0.01}, "discriminator overshoot", "had fallen to 0.01 and then jumped to 2"),
        ({"activation/g/a": 2.5}, {}, "signal escalation", "activation/g/a went from 1 to 2.5"),
        ({"weight/d/a": 0.024}, {}, "signal escalation", "weight/d/a went from 0.02 to 0.024"),
        ({"sigma1/d/a": 5.0}, {}, "spectral explosion", "largest singular value of sigma1/d/a went from 3 to 5"),
        ({"gradient/g": 0.1}, {}, "dead gradient", "generator's gradient fell from 5 to 0.1"),
        (
            {"overfitting/r_v": 0.9, "overfitting/certainty": 9.0},
            {"overfitting/r_v": 0.85},
            "discriminator overfitting",
            "held-out images score 90% of the way",
        ),
        ({"score/real": math.nan}, {"score/real": 1.0}, "not finite", "score/real is nan"),
        ({"activation/g/a": 1e8}, {}, "not finite", "activation/g/a is 1e+08"),
    ],
)
def test_each_alarm_is_raised_for_its_own_reason(
    now: dict[str, float], before: dict[str, float], name: str, reason: str
) -> None:
    found = raised(now, before)
    assert name in found
    assert reason in found[name]
    assert raised({}) == {}


def test_a_share_that_fell_to_nothing_and_stays_there_raises_no_alarm() -> None:
    baselines = Baselines()
    first = [0.875, 0.3125, 0.0, 0.1875, 0.125]  # as generators begin: all images alike, then less and less
    for share in [*first, *[0.0] * 100]:
        reading = baselines.read({"duplicates": share}, "8 px", {})
        assert ALARMS["loss of diversity"](reading) is None, "no image has a near-duplicate"
    reading = baselines.read({"duplicates": 0.875}, "8 px", {})
    assert "88% of images" in str(ALARMS["loss of diversity"](reading))


def test_similar_images_in_one_reading_raise_no_alarm() -> None:
    """A healthy run on satellite images had as many, since forests look alike."""
    assert raised({"duplicates": 6 / 16}) == {}
    assert "loss of diversity" in raised({"duplicates": 8 / 16})


def test_images_that_get_brighter_are_no_escalation_until_no_image_is_as_bright() -> None:
    """A grown layer drew dim images while it faded in, then images as bright as real ones."""
    before = {"activation/g/to_rgb.4": 0.2}
    assert raised({"activation/g/to_rgb.4": 0.45}, before) == {}
    found = raised({"activation/g/to_rgb.4": 1.1, "activation/g/a": 2.5}, before)
    assert "activation/g/to_rgb.4 went from 0.2 to 1.1" in found["signal escalation"]
    found = raised({"activation/g/to_rgb.4": 0.9, "activation/g/a": 2.5}, before)
    assert "activation/g/a went from 1 to 2.5" in found["signal escalation"], "another layer is not hidden by it"


def test_every_alarm_is_planted_above() -> None:
    marks = test_each_alarm_is_raised_for_its_own_reason.pytestmark  # type: ignore[attr-defined]
    assert {case[2] for case in marks[0].args[1]} == set(ALARMS)


def test_an_alarm_of_ones_own_is_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.alarms.named.ALARMS", dict(ALARMS))
    import zoo.alarms.named as named

    @alarm("too bright")
    def too_bright(now: Reading) -> str | None:
        """Scores of real images fall."""
        moved = now.fell("score/real", by=1.0)
        return f"{moved}" if moved else None

    assert named.ALARMS["too bright"] is too_bright


# --- records, texts --------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"action": "panic"}, "action"),
        ({"rounds": 0}, "rounds must be at least 1; got 0"),
        ({"lr_drop": 0}, "lr_drop must lie in (0, 1]; got 0"),
        ({"ignore": ["dead gradent"]}, "there is no alarm 'dead gradent'. Did you mean dead gradient?"),
        ({"classifier": "digitz"}, "digitz"),
    ],
)
def test_faults_teach(wrong: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises((UserError, RecipeError)) as caught:
        zoo.fit("dcgan_digits", out=tmp_path, **small(**wrong))
    assert text in str(caught.value)


def test_class_shares_are_a_signal_where_a_classifier_is_at_hand(tmp_path: Path) -> None:
    run = zoo.fit("dcgan_digits", out=tmp_path, **small(classifier="digits", every=64))
    rows = [row["values"] for row in read_jsonl(tmp_path / "alarms" / "signals.jsonl")]
    shares = [row["classes/evenness"] for row in rows if "classes/evenness" in row]
    assert shares
    assert all(0 <= share <= 1 for share in shares)
    assert "signals/diversity" in (run.folder / "metrics.csv").read_text().splitlines()[0]


def test_the_recipe_takes_alarms_by_name() -> None:
    recipe = load_recipe("dcgan_digits", {"callbacks": {"Alarms": {"action": "rollback", "rollbacks": 1}}})
    assert recipe.callbacks["Alarms"].arguments["action"] == "rollback"
