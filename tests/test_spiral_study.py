"""The study of escalating signals: where a signal has escalated, what is switched off, and what is recorded."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import escalation
import progan_spiral
import pytest
import spiral_film
import torch
from PIL import Image

import zoo

SMALL: dict[str, Any] = {"channels": 1, "latent_dim": 8, "width": 8, "width_base": 16}


def test_a_jump_is_an_escalation_and_a_drift_is_not() -> None:
    calm = [1.0 + 0.1 * math.sin(i) for i in range(300)]
    assert escalation.jump(calm) is None
    assert escalation.jump([*calm, *[4.0] * 10]) == 300
    assert escalation.jump([*calm, *[9.0] * 4, *calm]) is None  # four rounds are a spike
    early = [*calm[:60], *[4.0] * 40]
    assert escalation.jump(early) is None
    assert escalation.jump(early, least=12) == 60
    assert escalation.jump([*calm[:3], float("nan"), *calm]) == 3
    assert escalation.jump([1.002**i for i in range(2_000)]) is None  # 54-fold, in 2,000 rounds
    assert escalation.jump([1.02**i for i in range(400)]) is not None


def test_a_spiral_needs_both_networks() -> None:
    def record(g_from: int, d_from: int) -> list[dict[str, float]]:
        return [
            {"round": i + 1, "g/first": 5.0 if i >= g_from else 1.0, "d/last": 5.0 if i >= d_from else 1.0}
            | {"g/to_rgb.0": 10.0 * i, "score": 1.0}  # heads do not count
            for i in range(500)
        ]

    assert escalation.escalation(record(300, 250)) == {
        **{"g": 301, "d": 251, "score": None},
        **{"kind": "both", "onset": 251},
    }
    assert escalation.escalation(record(300, 900))["kind"] == "g"
    assert escalation.escalation(record(450, 200))["kind"] == "g and d"
    nothing = {"g": None, "d": None, "score": None, "onset": None}
    assert escalation.escalation(record(900, 900)) == {**nothing, "kind": "none"}


def test_without_the_deviation_networks_start_equal_and_see_no_batch() -> None:
    def model(deviation: bool) -> zoo.ProGAN:
        torch.manual_seed(0)
        return progan_spiral.SpiralProGAN(deviation=deviation, resolution=8, **SMALL)

    on, off = model(True), model(False)
    assert all(torch.equal(a, b) for a, b in zip(on.parameters(), off.parameters(), strict=True))
    images = torch.rand(8, 1, 8, 8)
    alike = torch.cat([images[:1].expand(4, -1, -1, -1), images[4:]])
    on.images_seen = off.images_seen = 10**9
    scores = [m.score(zoo.Batch(x))[0].item() for m in (off, on) for x in (alike, torch.cat([images[:1], images[1:]]))]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert scores[2] != pytest.approx(scores[3], abs=1e-6)


def test_noise_begins_where_generated_images_score_a_half() -> None:
    model = progan_spiral.SpiralProGAN(noise=True, objective="least_squares", resolution=8, **SMALL)
    images = zoo.Batch(torch.rand(4, 1, 4, 4))
    model.average_score.fill_(0.5)
    assert float(model.noise_strength()) == 0
    assert torch.equal(model.score(images), model.score(images))
    model.average_score.fill_(1.0)
    assert float(model.noise_strength()) == pytest.approx(0.2 * 0.25)
    assert not torch.equal(model.score(images), model.score(images))
    with torch.no_grad():
        model.discriminator.readout.weight.zero_()
        model.discriminator.readout.bias.fill_(7.0)  # clipped to 1
        model.average_score.zero_()
    model.discriminator_loss(zoo.Batch(torch.rand(4, 1, 4, 4)), zoo.Batch(torch.rand(4, 1, 4, 4)))
    assert float(model.average_score) == pytest.approx(0.1)


def test_a_small_run_is_recorded_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded scores are those of the loss, and the film shows the rounds that it was asked for."""
    monkeypatch.setattr(progan_spiral, "quality", lambda model, root, grid: {"fd": None, "coverage": None})
    monkeypatch.setattr(progan_spiral, "MODEL", {"resolution": 16, "width": 8, "width_base": 32, "latent_dim": 8})
    seen: list[Any] = []
    original = progan_spiral.train
    monkeypatch.setattr(progan_spiral, "train", lambda *a, **k: seen.append(original(*a, **k)) or seen[-1])
    study = {"seeds": [0], "mechanisms": ["none"], "rates": [0.01], "images": 50 * 8, "hold": 192, "out": str(tmp_path)}
    study["records"] = str(tmp_path / "records")
    progan_spiral.study(**study)
    progan_spiral.study(**study)
    ((watch, ended),) = seen  # the second time the row was there
    assert not ended
    assert [line["round"] for line in watch.record] == list(range(1, 51))
    gap = sum(line["fake"] - line["real"] for line in watch.record) / 50
    assert watch.model.last_terms["d/adversarial"] == pytest.approx(gap, rel=1e-4)
    assert {"g/blocks.1.0", "d/blocks.1.0"} <= set(watch.record[-1]) - set(watch.record[0])  # it has grown
    assert watch.record[0]["weight_g"] != watch.record[-1]["weight_g"]
    (row,) = rows = progan_spiral.Rows(tmp_path / "progan_spiral.json", None)
    assert len(row["course"]["g"]) == 50
    (path,) = (tmp_path / "records").iterdir()
    again = escalation.measures(progan_spiral.kept(path), row["alarms"])
    assert again["course"] == row["course"]
    assert again["peak"]["score"] == max(row["course"]["score"])
    row["escalation"]["onset"] = 20
    rows.leave([])
    film = spiral_film.shoot(rate=0.01, before=4, after=4, results=str(tmp_path), out=str(tmp_path / "film.gif"))
    with Image.open(film) as opened:
        assert opened.n_frames == 5
