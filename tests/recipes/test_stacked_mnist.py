"""The recipes of stacked MNIST: PacGAN's protocol in each of them, and a run that counts its modes."""

from __future__ import annotations

import json
from pathlib import Path

import packed_points
import pytest
import stacked_mnist
import torch

import zoo
from tests.data.test_torchvision_sets import write_mnist
from zoo.evaluate import evaluate
from zoo.io.run_folder import RunFolder
from zoo.runs.recipes import load_recipe


@pytest.mark.parametrize("row", stacked_mnist.ROWS)
def test_every_row_is_a_recipe_with_pacgans_protocol(row: str) -> None:
    """64 inputs of the discriminator in a batch, 50 epochs of 2,000 rounds, 26,000 samples of the live generator."""
    recipe = load_recipe(f"stacked_mnist_{row}")
    base = recipe.model.arguments.get("base", recipe.model.arguments)
    batch = recipe.data.arguments["batch_size"]
    assert batch == 64 * base.get("packing", 1) == stacked_mnist.batch_size(row)
    assert recipe.images == 50 * 2_000 * batch
    assert (base["resolution"], base["channels"], base["width"], base["average_halflife"]) == (28, 3, 64, 0)
    assert recipe.data.target is zoo.data.StackedMNIST
    assert recipe.data.arguments["triples"] == 128_000
    measured = recipe.callbacks["SampleMetrics"].arguments
    assert (measured["n"], list(measured["metrics"])) == (26_000, ["modes"])
    if row != "wgan_gp":
        assert (base["kernel_size"], base["generator_steps"]) == (5, 2)
        assert (base["generator_lr"], base["discriminator_lr"], list(base["betas"])) == (2e-4, 2e-4, [0.5, 0.999])


def test_the_rows_differ_in_what_their_name_says() -> None:
    models = {row: load_recipe(f"stacked_mnist_{row}").model.arguments for row in stacked_mnist.ROWS}
    assert models["pacdcgan2"]["packing"] == 2
    assert models["rpgan"]["objective"] == "relativistic"
    assert models["rpgan"]["r1"] == models["rpgan"]["r2"] == models["r1"]["r1"] > 0
    assert "r2" not in models["r1"] or not models["r1"]["r2"]
    assert models["mix"]["components"] == 3


@pytest.mark.parametrize("row", ["pacdcgan2", "rpgan", "mix"])
def test_a_row_is_trained_and_measured(row: str, tmp_path: Path) -> None:
    write_mnist(tmp_path, train=40, test=10)
    folder = tmp_path / "run"
    changes = stacked_mnist.settings(row, 2, str(tmp_path), gamma=0.0)
    changes["data"]["triples"] = 300
    changes["callbacks"] |= {"SampleMetrics": {"every": 256, "n": 50}, "SampleGrid": None}
    changes["callbacks"]["SaveEvery"] = {"every": 256, "keep": 2}
    model = stacked_mnist.trained(row, 0, folder, 256, changes)
    assert isinstance(model, zoo.GAN)
    assert [line["images"] for line in stacked_mnist.curve(folder)] == [256]
    longer = stacked_mnist.trained(row, 0, folder, 512, changes)  # goes on with the same run
    assert (longer.images_seen, longer.rounds) == (512, 512 // stacked_mnist.batch_size(row))
    with pytest.raises(zoo.errors.UserError, match=r"has seen 512 images, not 256. Ask for more epochs"):
        stacked_mnist.trained(row, 0, folder, 256, changes)
    if row == "pacdcgan2":
        numbers = evaluate(str(folder), metrics="modes", n=60).rows[0]["numbers"]
        assert [number.label for number in numbers[:1]] == ["modes-stacked-mnist"]
        assert 1 <= numbers[0].value <= 60
        assert RunFolder(folder).recipe.is_file()


def test_the_table_has_means_deviations_and_the_worst_seed_beside_the_published_rows() -> None:
    rows = [
        {"row": "rpgan", "seed": s, "width": 16, "epochs": 3, "modes": m, "kl": kl, "gamma": 0.5}
        for s, m, kl in ((0, 1000.0, 0.1), (1, 998.0, 0.2), (2, 999.0, 0.3))
    ]
    rows.append({"row": "dcgan", "seed": 0, "width": 64, "epochs": 50, "modes": 99.0, "kl": 3.4})
    lines = stacked_mnist.table(rows).splitlines()
    assert lines[2] == "| `dcgan` | width 64, 50 of 50 epochs | 1 | 99.0 | 3.400 | 99 / 3.400 |"
    assert (
        lines[3] == "| `rpgan` | width 16, 3 of 50 epochs, gamma 0.5 | 3 | 999.0 ± 1.0 | 0.200 ± 0.100 | 998 / 0.300 |"
    )
    assert "| DCGAN | published: PacGAN's own run |  | 78.9 ± 6.5 | 4.50 |  |" in lines


def test_rows_of_other_calls_are_collected_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"row": "mix", "seed": 0, "width": 16, "epochs": 3, "modes": 900.0, "kl": 0.9}
    other, out = tmp_path / "other.json", tmp_path / "all.json"
    other.write_text(json.dumps({"rows": [row]}))
    for _ in range(2):
        stacked_mnist.study(out=str(out), train=False, collect=[str(other)])
    assert json.loads(out.read_text())["rows"] == [row]
    assert "99.39% right on 10000 held-out ones" in json.loads(out.read_text())["classifier"]
    assert "| `mix` | width 16, 3 of 50 epochs | 1 | 900.0 | 0.900 | 900 / 0.900 |" in capsys.readouterr().out


def test_modes_and_divergence_are_those_of_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Planted(torch.nn.Module):
        def logits(self, images: torch.Tensor) -> torch.Tensor:
            return torch.eye(1_000)[images[:, 0, 0, 0].long()]

    images = torch.arange(2_000).remainder(500).float()[:, None, None, None].expand(-1, 3, 1, 1)
    found = stacked_mnist.counted(Planted(), images)  # half of the modes, equally often: KL is log 2
    assert found == {"modes": 500.0, "kl": pytest.approx(0.6931, abs=1e-4)}


def test_the_table_of_packed_points_has_ring_before_grid_and_shares_in_percent() -> None:
    rows = [
        {"data": "grid", "packing": 2, "seed": 0, "epochs": 25, "modes": 24.0, "kl": 0.25, "high_quality": 0.915},
        {"data": "ring", "packing": 1, "seed": 0, "epochs": 25, "modes": 7.0, "kl": 0.5, "high_quality": 0.5},
        {"data": "ring", "packing": 1, "seed": 1, "epochs": 25, "modes": 8.0, "kl": 0.5, "high_quality": 0.7},
    ]
    lines = packed_points.table(rows).splitlines()
    assert lines[2] == "| ring | 1 | 25 of 400 epochs | 2 | 7.5 ± 0.7 | 60.0 ± 14.1 | 0.50 ± 0.00 |"
    assert lines[3] == "| grid | 2 | 25 of 400 epochs | 1 | 24.0 | 91.5 | 0.25 |"
    assert "| grid | PacGAN4 | published | 10 | 24.8 | 93.6 | 0.04 |" in lines
