"""The studies behind the pages of questions: small versions, and statistics whose values are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import blended_fakes
import figures
import generalisation
import generalisation_table
import mix_fashion
import neural_distance
import numpy as np
import photographs
import pytest
import spiral_table
import torch
from tables import mean_and_range

import zoo
from tests.helpers.training import SMALL_RUN
from zoo.data.pool import Pool


def test_the_statistics_of_scores_are_those_of_their_definitions() -> None:
    values = ([1.0, 2.0, 3.0], [-1.0, 1.0, 1.5], [-3.0, -2.0])
    found = generalisation.score_statistics(*(torch.tensor(each, dtype=torch.float64) for each in values))
    assert found["accuracy"] == {"train": 1.0, "held_out": 0.6667, "generated": 1.0}
    assert found["r_t"] == 1.0
    assert found["r_v"] == pytest.approx((2 - 0.5) / (2 + 2.5), abs=1e-4)
    assert found["auc"][0] == pytest.approx(7.5 / 9, abs=1e-4)  # of 9 pairs, one a tie
    assert sum(found["histograms"]["train"]) == pytest.approx(1, abs=1e-3)


def test_few_images_are_chosen_and_all_test_images_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    pool = Pool(images, np.zeros(40, np.int64), "digest", held_out=np.arange(30, 40))
    monkeypatch.setattr(zoo.data.FashionMNIST, "read", lambda self: pool)
    settings: dict[str, Any] = {"root": "r", "resolution": 1, "channels": 1, "batch_size": 2}
    few = generalisation.FewFashionImages(few=5, split_seed=1, **settings)
    few.setup()
    assert len(few.train) == 5
    assert len(few.held_out) == 10
    assert few.num_classes == 0
    kept = set(few.read().images.ravel().tolist())
    assert {*range(30, 40)} <= kept
    other = set(generalisation.FewFashionImages(few=5, split_seed=2, **settings).read().images.ravel().tolist())
    assert kept != other


def test_a_discriminator_knows_few_images_and_not_many() -> None:
    """Of normal points it can keep two apart from all others, and cannot tell a thousand from them."""
    train, test = torch.randn(27_000, 256), torch.randn(2_000, 256)
    few, many = (neural_distance.row(train, test, 4, m, 0, steps=600) for m in (2, 2_000))
    assert few["parameters"] == 256 * 4 + 4 + 4 * 4 + 4 + 4 + 1
    assert few["distance"] > 0.8
    assert many["distance"] < 0.2


def test_the_half_is_interpolated_in_log_m() -> None:
    course = ((10, 1.0), (100, 0.75), (1000, 0.25), (10_000, 0.0))
    rows = [{"parameters": 7, "seed": 0, "m": m, "distance": d} for m, d in course]
    assert neural_distance.halves(rows) == {7: [pytest.approx(10**2.5)]}


def test_negative_examples_are_what_they_are_called() -> None:
    real = torch.rand(6, 1, 16, 16) * 2 - 1
    fake = torch.full_like(real, 0.5)

    def negatives(kind: str, progress: int) -> torch.Tensor:
        model = blended_fakes.BlendedDCGAN(
            kind=kind, horizon=100, resolution=16, channels=1, latent_dim=4, width=2, num_classes=0
        )
        model.images_seen = progress
        return model.negatives(real, fake)

    assert torch.equal(negatives("gan", 50), fake)
    assert torch.equal(negatives("rising", 100), real)
    assert torch.equal(negatives("falling", 0), real)
    noise = negatives("rising", 0)
    assert float((noise - real).abs().mean()) > 0.3
    both = negatives("both", 100)
    assert torch.equal(both, torch.cat([real[:3], fake[3:]]))
    shuffled = negatives("patches", 0)
    assert torch.equal(shuffled.flatten(1).sort(1).values, real.flatten(1).sort(1).values)
    assert not torch.equal(shuffled, real)
    assert torch.allclose(negatives("blurred", 100), real, atol=1e-5)
    assert float(negatives("blurred", 0).std()) < 0.3 * float(real.std())


def test_the_longer_run_has_the_time_of_the_mixture() -> None:
    rows = [
        {"variant": "one", "seed": 1, "images": 1000, "cpu_seconds": 20.0},
        {"variant": "three", "seed": 1, "images": 1000, "cpu_seconds": 50.0},
        {"variant": "three", "seed": 2, "images": 1000, "cpu_seconds": 500.0},
    ]
    assert mix_fashion.longer(rows, 1, 1000) == 2500
    with pytest.raises(ValueError, match="longer, seed 2: run the variants one and three before it"):
        mix_fashion.longer(rows, 2, 1000)


def test_the_wide_model_has_the_parameters_of_three() -> None:
    def parameters(width: int) -> int:
        model = zoo.DCGAN(resolution=32, channels=1, width=width, kernel_size=mix_fashion.BASE["kernel_size"])
        return sum(p.numel() for part in (model.generator, model.discriminator) for p in part.parameters())

    assert parameters(mix_fashion.WIDE) == pytest.approx(3 * parameters(mix_fashion.BASE["width"]), rel=0.02)


def test_a_table_has_means_and_ranges_over_seeds_in_the_order_of_the_numbers() -> None:
    def row(model: str, few: int, seed: int, value: float) -> dict[str, Any]:
        return {"model": model, "regulariser": "none", "few": few, "seed": seed, "fd": value}

    rows = [
        row("biggan", 250, 0, 7.0),
        row("dcgan", 4000, 0, 5.0),
        row("dcgan", 250, 0, 1.0),
        row("dcgan", 250, 1, 4.0),
    ]
    columns = {
        "seeds": lambda own: str(len(own)),
        "fd": lambda own: mean_and_range([r["fd"] for r in own], "{:.1f}"),
    }
    assert generalisation_table.table(rows, columns)[2:] == [
        "| DCGAN | none | 250 | 2 | 2.5 (1.0 to 4.0) |",
        "| DCGAN | none | 4,000 | 1 | 5.0 |",
        "| BigGAN | none | 250 | 1 | 7.0 |",
    ]


def test_every_checkpoint_of_a_run_is_measured_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features of training images are stored twice, so these have a distance of 0 and cover all."""
    monkeypatch.setattr(photographs, "SAMPLES", 8)
    monkeypatch.setattr(photographs, "images_of", lambda split, most: torch.linspace(-1, 1, most).view(-1, 1, 1, 1))
    monkeypatch.setattr(photographs, "features", lambda images: images.flatten(1)[:, :1].double().expand(-1, 2) ** 2)
    callbacks = {**SMALL_RUN["callbacks"], "SaveEvery": {"every": 64, "keep": 9}}
    zoo.fit("dcgan_digits", out=tmp_path / "run", **{**SMALL_RUN, "callbacks": callbacks})
    found = photographs.measured(tmp_path / "run", tmp_path / "grid.png")
    assert [each["images"] for each in found["course"]] == [64, 128]
    assert found["of_training_images"] == {"fd": pytest.approx(0, abs=1e-3), "coverage": 1.0}
    assert {key: found[key] for key in ("images", "fd", "coverage")} == found["course"][-1]
    assert found["samples"] == 8
    assert (tmp_path / "grid.png").is_file()


def test_the_table_of_spirals_counts_layers_and_says_when_alarms_came() -> None:
    def row(mechanisms: str, g: int | None, d: int | None, lead: int | None, peak: float) -> dict[str, Any]:
        peaks = {"g": peak, "d": peak, "score": 25e12}
        found = {
            "escalation": {"g": g, "d": d, "score": 7},
            "lead": lead,
            "peak": peaks,
            "fd": None,
            "coverage": 0,
        }
        return {
            "mechanisms": mechanisms,
            "rate": 0.5,
            "alarms": [[9]] if lead else [],
            "fd": None,
            "coverage": 0,
            **found,
        }

    rows = [
        row("pixel_norm+equalized+deviation", None, 5, None, 1.26),
        row("deviation", 20, 30, -12, 3e6),
        row("deviation", 50, 40, None, 1234.0),
    ]
    assert spiral_table.table(rows)[2:] == [
        "| 0.5 | minibatch deviation | 2 | 2 of 2 | 30 (20 to 40) | 25 trillion | 1.5 million (1,200 to 3 million) | "
        "1.5 million (1,200 to 3 million) | 1 of 2, after 12 batches |  |  |",
        "| 0.5 | all three | 1 | 0 of 1 |  | 25 trillion | 1.3 | 1.3 | none |  |  |",
    ]


def test_figures_are_drawn_from_results(tmp_path: Path) -> None:
    (tmp_path / "neural_distance.json").write_text(
        '{"rows": [{"parameters": 7, "seed": 0, "m": 10, "distance": 0.9}, '
        '{"parameters": 7, "seed": 0, "m": 100, "distance": 0.1}]}'
    )
    figures.draw(str(tmp_path), str(tmp_path / "images"))
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["question_distance.png"]
