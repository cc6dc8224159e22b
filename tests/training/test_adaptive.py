"""Adaptive augmentation: p follows r_t exactly, in every variant, across resumes and processes: issue 23, point 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from tests.helpers.training import Noise, RollsBack, bits, equal, identical, tiny_biggan, tiny_dcgan, tiny_mlp, train
from zoo.errors import CheckpointError, UserError
from zoo.io.checkpoints import read_checkpoint
from zoo.io.files import read_table
from zoo.io.run_folder import STEP, checkpoints_in
from zoo.runs.history import read_run
from zoo.runs.watching.page import write_page
from zoo.training.adaptive import AdaptiveStrength, Reading
from zoo.training.objectives import LeastSquares, Objective, Terms, Wasserstein, objective

BATCH = 8
ADAPTIVE: dict[str, Any] = {"augment": "adaptive", "ada_speed": 400}


def alone(tensor: Tensor, reduce_op: str = "mean") -> Tensor:
    """The reduction over a single process."""
    return tensor


class Scripted(zoo.VanillaGAN):
    """A model whose discriminator calls a given number of the 8 real images of each round real, and all others fake."""

    def __init__(self, script: list[int], **settings: Any) -> None:
        plain = {"resolution": 4, "latent_dim": 3, "layers": 1, "width": 8, "discriminator_width": 6, "pieces": 2}
        super().__init__(**{**plain, **settings})
        self.script = script
        self.seen: list[float] = []

    def score(self, batch: zoo.Batch) -> Tensor:
        signs = -torch.ones(len(batch))
        signs[: self.script[self.rounds - 1]] = 1.0  # the real images come first
        return 0.1 * signs + 0 * super().score(batch)

    def on_clock(self, before: int, now: int) -> None:
        self.seen.append(self.augment_strength)


def expected(script: list[int], target: float, step: float) -> list[float]:
    """What p is after each round by the paper's rule, written out."""
    p, found = 0.0, []
    for number in range(1, len(script) + 1):
        if number % 4 == 0:
            signs = [2 * right / BATCH - 1 for right in script[number - 4 : number]]
            r_t = sum(signs) / 4
            p += step if r_t > target else -step if r_t < target else 0.0
            p = min(max(p, 0.0), 1.0)
        found.append(p)
    return found


SCRIPT = [8] * 12 + [6, 7, 6, 7] + [8, 8, 8, 0] + [8] * 8 + [0] * 16 + [7, 6, 7, 8]


def test_p_follows_a_scripted_r_t_exactly(tmp_path: Path) -> None:
    """Up by 4 batches of 8 in 400 images above the target, down below it, not at it, and never below 0."""
    model = Scripted(SCRIPT, ada_target=0.625, **ADAPTIVE)
    train(model, len(SCRIPT), tmp_path)
    found = expected(SCRIPT, 0.625, 32 / 400)
    assert model.seen == pytest.approx(found, abs=1e-12)
    assert found[11] == pytest.approx(0.24)  # three steps up
    assert found[15] == found[11]  # (4 * 2 - 8 + ...) / 8 is the target itself
    assert found[19] < found[15]
    assert found[-5] == 0.0
    assert found[-1] == pytest.approx(0.08)


def test_p_ends_at_1(tmp_path: Path) -> None:
    model = Scripted([8] * 20, augment="adaptive", ada_speed=100)
    train(model, 20, tmp_path)
    assert model.seen[3::4] == pytest.approx([0.32, 0.64, 0.96, 1.0, 1.0])


def heard(values: Objective, real: list[float], fake: list[float]) -> float:
    """r_t of one round with these scores."""
    adaptive = AdaptiveStrength()
    with adaptive.listening(values):
        values.discriminator_value(torch.tensor(real), torch.tensor(fake))
    values.discriminator_value(torch.tensor(real) - 9, torch.tensor(fake))  # outside of the block
    r_t = adaptive.end_round(8, alone)
    assert r_t is not None
    assert "discriminator_value" not in vars(values)
    return float(r_t)


def test_r_t_is_the_mean_sign_of_real_scores_around_the_undecided_one() -> None:
    real, fake = [0.1, 0.4, 0.6, 2.0], [-1.0, -1.0, 3.0, 0.2]
    assert heard(objective("non_saturating"), real, fake) == 1.0
    assert heard(LeastSquares(), real, fake) == 0.0  # two of four above 0.5
    assert heard(objective("hinge"), [-1.0, 0.0, 2.0, 3.0], fake) == 0.25  # undecided counts as 0


def test_r_t_of_scores_without_a_zero_compares_pairs_and_ignores_constants() -> None:
    real, fake = [1.0, 2.0, 3.0], [0.0, 1.5, 9.0]
    pairs = [(x > y) - (x < y) for x in real for y in fake]
    for constant in (0.0, 100.0):
        found = heard(Wasserstein(), [x + constant for x in real], [y + constant for y in fake])
        assert found == pytest.approx(sum(pairs) / 9)


VARIANTS: dict[str, Any] = {
    "vanilla": lambda: tiny_mlp(**ADAPTIVE),
    "dcgan": lambda: tiny_dcgan(num_classes=3, **ADAPTIVE),
    "relativistic with both penalties": lambda: tiny_mlp(objective="relativistic", r1=1.0, r2=1.0, **ADAPTIVE),
    "least squares, five critic steps": lambda: tiny_mlp(objective="least_squares", critic_steps=5, **ADAPTIVE),
    "micro-batches": lambda: tiny_mlp(micro_batches=2, **ADAPTIVE),
    "wgan_gp": lambda: zoo.WGANGP(16, 1, 5, width=4, architecture="convolutional", **ADAPTIVE),
    "wgan_gp with classes": lambda: zoo.WGANGP(
        16, 3, 5, width=4, architecture="convolutional", num_classes=3, **ADAPTIVE
    ),
    "progan": lambda: zoo.ProGAN(8, 1, 4, width=4, width_base=16, hold_images=16, fade_images=16, **ADAPTIVE),
    "biggan": lambda: tiny_biggan(**ADAPTIVE),
    "mixture": lambda: zoo.MixGAN({"class": "DCGAN", "resolution": 16, "channels": 1, "width": 4, **ADAPTIVE}, 2),
    "full mixture": lambda: zoo.MixGAN(
        {"class": "DCGAN", "resolution": 16, "channels": 1, "width": 4, **ADAPTIVE}, 2, payoff="full"
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_adapts_one_p_and_logs_it(name: str, tmp_path: Path) -> None:
    model = VARIANTS[name]()
    model.augmentation.adaptive.target = -0.999  # which every r_t but -1 is above
    train(model, 9, tmp_path, log_every_n_steps=3)
    assert model.augment_strength == pytest.approx(2 * 4 * BATCH / 400)
    assert model.last_terms["augment/p"] == pytest.approx((2 * 0.08 + 0.16) / 3)  # rounds 7 to 9
    assert -0.999 < model.last_terms["augment/r_t"] <= 1
    if isinstance(model, zoo.MixGAN):
        assert {id(pair.augmentation) for row in model.pairs for pair in row} == {id(model.augmentation)}


def test_the_mean_over_micro_batches_is_that_of_the_batch(tmp_path: Path) -> None:
    terms = []
    for parts in (1, 2):
        model = tiny_mlp(micro_batches=parts, **ADAPTIVE)
        train(model, 2, tmp_path, log_every_n_steps=1)
        terms.append(model.last_terms["augment/r_t"])
    assert terms[0] == pytest.approx(terms[1], abs=0.26)  # one sign of eight may differ by rounding
    assert all(term * 4 == round(term * 4) for term in terms)


@pytest.mark.parametrize("name", ["vanilla", "dcgan", "wgan_gp"])
def test_bf16_trains_with_every_transformation(name: str, tmp_path: Path) -> None:
    model = VARIANTS[name]()
    model.augmentation.adaptive.strength = 0.9
    train(model, 3, tmp_path, precision="bf16-mixed")
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


class WithoutScores(zoo.VanillaGAN):
    """A variant whose losses are its own."""

    def discriminator_loss(self, real: zoo.Batch, fake: zoo.Batch) -> Terms:
        real_scores, fake_scores = self.scores(real, fake)
        return {"adversarial": fake_scores.mean() - real_scores.tanh().mean()}


def test_losses_that_tell_no_scores_are_refused_with_the_remedy(tmp_path: Path) -> None:
    model = WithoutScores(resolution=4, latent_dim=3, layers=1, width=8, **ADAPTIVE)
    with pytest.raises(UserError, match=r"augment=adaptive follows the scores .* gave none\. Give .* augment=pipeline"):
        train(model, 1, tmp_path)
    model.objective = None
    with pytest.raises(UserError, match=r"augment=adaptive follows the scores"):
        train(model, 1, tmp_path)


@pytest.mark.parametrize(("name", "value"), [("ada_target", 1.0), ("ada_target", -1.0), ("ada_speed", 0)])
def test_impossible_settings_of_the_control_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}.*got {value}"):
        tiny_dcgan(augment="adaptive", **{name: value})


# --- a scheduled strength --------------------------------------------------------------------------------------------


def test_the_augmentations_of_a_model_may_be_changed(tmp_path: Path) -> None:
    model = tiny_mlp()
    model.augment = "adaptive"
    assert model.augment == ("adaptive",)
    train(model, 4, tmp_path, log_every_n_steps=1)
    assert "augment/r_t" in model.last_terms
    model.augment = ("color",)
    assert model.augmentation.adaptive is None
    with pytest.raises(ValueError, match="augment takes color"):
        model.augment = ("colour",)


class Fading(zoo.VanillaGAN):
    """A strength that is a function of the images seen."""

    def before_round(self, progress: int) -> None:
        self.augment_strength = max(0.0, 0.5 - progress / 64)


def test_a_subclass_may_set_the_strength_which_an_adaptive_one_ignores(tmp_path: Path) -> None:
    small: dict[str, Any] = {"resolution": 4, "latent_dim": 3, "layers": 1, "width": 8}
    model = Fading(augment="pipeline", **small)
    train(model, 3, tmp_path, log_every_n_steps=1)
    assert model.augment_strength == model.last_terms["augment/p"] == 0.25  # since 16 images were seen before
    assert "augment/r_t" not in model.last_terms
    adaptive = Fading(**small, **ADAPTIVE)
    train(adaptive, 2, tmp_path)
    assert adaptive.augment_strength == 0.0
    mixture = zoo.MixGAN({"class": f"{__name__}.Fading", "augment": "pipeline", **small}, 2)
    train(mixture, 3, tmp_path)
    assert mixture.augment_strength == mixture.pairs[1][1].augment_strength == 0.25


# --- checkpoints -----------------------------------------------------------------------------------------------------


def settings(images: int, **model: Any) -> dict[str, Any]:
    return {
        "images": images,
        "model": {"width": 4, "num_classes": 0, "augment": "adaptive", "ada_speed": 1000, "ada_target": -0.99, **model},
        "data": {"batch_size": 64},
        "trainer": {"accelerator": "cpu", "log_every_n_steps": 2},
        "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None},
    }


@pytest.mark.parametrize("recipe", ["dcgan_digits", "wgan_gp_digits", "mix_dcgan_digits"])
def test_a_run_that_resumes_within_an_interval_ends_with_the_same_bits(recipe: str, tmp_path: Path) -> None:
    def given(images: int) -> dict[str, Any]:
        if not recipe.startswith("mix"):
            return settings(images, lr_schedule="constant")
        whole = settings(images)
        return {**whole, "model": {"components": 2, "base": whole["model"]}}

    zoo.fit(recipe, out=tmp_path / "whole", **given(64 * 12))
    zoo.fit(recipe, out=tmp_path / "part", **given(64 * 6))  # two rounds into the second interval
    half = read_checkpoint(checkpoints_in(tmp_path / "part")[0])["zoo"]["adaptive"]
    assert half["p"] == pytest.approx(256 / 1000)
    assert (half["rounds"], half["images"]) == (2, 128)
    assert half["sums"][1] > 0
    resumed = zoo.fit(resume=tmp_path / "part", images=64 * 12)
    assert resumed.model.augment_strength == pytest.approx(768 / 1000)
    first, second = (bits(checkpoints_in(tmp_path / name)[0]) for name in ("whole", "part"))
    assert identical(first, second)
    logged = [
        [(row[STEP], row["augment/p"], row["augment/r_t"]) for row in rows if row["augment/p"]]
        for rows in (read_table(tmp_path / name / "metrics.csv", STEP)[1] for name in ("whole", "part"))
    ]
    assert logged[0] == logged[1]
    assert len(logged[0]) == 6


def test_old_checkpoints_begin_with_0_and_augmentation_may_change_on_resume(tmp_path: Path) -> None:
    zoo.fit("dcgan_digits", out=tmp_path / "run", **settings(64 * 4, augment=[]))
    record = read_checkpoint(checkpoints_in(tmp_path / "run")[0])["zoo"]
    assert "adaptive" not in record
    resumed = zoo.fit(resume=tmp_path / "run", images=64 * 8, model={"augment": "adaptive"})
    assert resumed.model.augment_strength == pytest.approx(0.256)
    zoo.fit(resume=tmp_path / "run", images=64 * 12, model={"augment": ["color"]})
    again = zoo.fit(resume=tmp_path / "run", images=64 * 16, model={"augment": "adaptive"})
    assert again.model.augment_strength == pytest.approx(0.256)  # forgotten in between


def test_a_rollback_restores_p_and_the_interval(tmp_path: Path) -> None:
    zoo.fit("dcgan_digits", out=tmp_path / "run", **settings(64 * 6))
    path = checkpoints_in(tmp_path / "run")[0]
    model = zoo.DCGAN(16, 1, width=4, latent_dim=64, augment="adaptive", ada_speed=1000, ada_target=-0.99)
    train(model, 11, tmp_path, Noise((1, 16, 16), 64), callbacks=[RollsBack(11, str(path))])
    assert model.augmentation.adaptive is not None
    saved = read_checkpoint(path)["zoo"]["adaptive"]
    assert model.augmentation.adaptive.state(alone) == saved
    assert saved["p"] == pytest.approx(0.256)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"p": "high"}, "p of its augmentation is 'high', not 1 finite number"),
        ({"p": float("nan")}, "p of its augmentation is nan, not 1 finite number"),
        ({"sums": [1.0]}, r"sums of its augmentation is \[1.0\], not 2 finite numbers"),
        (7, "the state of its augmentation is a int, no mapping"),
    ],
)
def test_a_changed_record_is_refused(change: Any, fault: str, tmp_path: Path) -> None:
    trainer = train(tiny_mlp(**ADAPTIVE), 1, tmp_path)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    content = read_checkpoint(tmp_path / "a.ckpt")
    content["zoo"]["adaptive"] = {**content["zoo"]["adaptive"], **change} if isinstance(change, dict) else change
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=fault):
        read_checkpoint(tmp_path / "a.ckpt")


def test_sums_that_are_still_on_their_way_from_a_gpu_are_saved_and_count_later() -> None:
    """On a GPU an interval moves p when the next one ends; a checkpoint in between holds it."""
    adaptive = AdaptiveStrength(speed=1000)
    adaptive.strength = 0.5
    adaptive._unread = Reading(torch.tensor([30.0, 32.0]), images=64)
    state = adaptive.state(alone)
    assert state["unread"] == [30.0, 32.0, 64]
    loaded = AdaptiveStrength(speed=1000)
    loaded.load(state)
    for _ in range(4):
        loaded.end_round(16, alone)
    assert loaded.strength == pytest.approx(0.5 + 0.064)  # the new interval had no scores


def test_the_page_of_a_run_shows_p_and_r_t(tmp_path: Path) -> None:
    run = zoo.fit("dcgan_digits", out=tmp_path / "run", **settings(64 * 8))
    write_page(read_run(run.folder), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "augment/p" in text
    assert "augment/r_t" in text
    assert "mean sign of the scores of real images" in text


def test_nothing_changes_for_models_that_do_not_adapt(tmp_path: Path) -> None:
    states = []
    for chosen in ({}, {"ada_target": 0.1, "ada_speed": 7, "augment_strength": 0.9, "augment_factors": {"hue": 0}}):
        model = tiny_dcgan(**chosen)
        trainer = train(model, 3, tmp_path)
        trainer.save_checkpoint(tmp_path / "a.ckpt")
        states.append(model.state_dict())
        assert "adaptive" not in read_checkpoint(tmp_path / "a.ckpt")["zoo"]
        assert set(model.last_terms) == {"d/adversarial", "g/adversarial"}
    assert equal(*states)
