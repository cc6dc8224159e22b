"""What `python -m zoo.sample` draws by seeds of single images, and from latents of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from tests.helpers.commands import draw
from zoo.rendering import pictures
from zoo.sample import sample

pytestmark = pytest.mark.xdist_group("sample")  # one worker trains the models


def test_each_image_of_seeds_is_the_same_whatever_else_is_drawn(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    """Files are named by their seeds, and the image is that of `model.sample(1, seed=...)`."""
    model = zoo.load_run(sampled_runs["plain"])
    assert draw(f"checkpoint={sampled_runs['plain']}", "seeds=3-5,12", f"out={tmp_path / 'many'}/") == 0
    assert draw(f"checkpoint={sampled_runs['plain']}", "seeds=4", f"out={tmp_path / 'one'}/") == 0
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == ["03.png", "04.png", "05.png", "12.png"]
    for name in ("many/04.png", "one/4.png"):
        found = np.asarray(Image.open(tmp_path / name)).astype(int)
        expected = pictures.to_uint8(model.sample(1, seed=4))[0, 0].numpy().astype(int)
        assert np.abs(found - expected).max() <= 1


def test_seeds_of_a_conditional_model_have_the_classes_asked_for(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    model = zoo.load_run(sampled_runs["digits"])
    sample(str(sampled_runs["digits"]), seeds="7,8", labels=[3, 5], out=str(tmp_path / "a.npz"))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["arr_1"].tolist() == [3, 5]
        assert arrays["arr_0"].shape == (2, 16, 16, 1)
        assert arrays["arr_0"].dtype == np.uint8
        expected = pictures.to_uint8(model.sample(1, seed=8, labels=5)).permute(0, 2, 3, 1).numpy()
        assert np.abs(arrays["arr_0"][1:].astype(int) - expected.astype(int)).max() <= 1


def test_seeds_choose_the_generators_of_a_mixture() -> None:
    from zoo.sampling.by_seed import sample_by_seeds

    torch.manual_seed(0)
    model = zoo.MixGAN({"class": "DCGAN", "resolution": 16, "channels": 1, "width": 4}, components=3).eval()
    alone = torch.cat([model.sample(1, seed=seed) for seed in range(8)])
    assert torch.allclose(sample_by_seeds(model, range(8)), alone, atol=1e-5)


def test_latents_of_a_file_are_drawn(sampled_runs: dict[str, Path], tmp_path: Path) -> None:
    model = zoo.load_run(sampled_runs["plain"])
    latents = torch.randn(3, model.latent_dim, generator=torch.Generator().manual_seed(5))
    np.save(tmp_path / "z.npy", latents.numpy())
    np.savez(tmp_path / "z.npz", z=latents.numpy())
    expected = pictures.to_uint8(model(latents)).permute(0, 2, 3, 1).numpy()
    for name in ("z.npy", "z.npz"):
        sample(str(sampled_runs["plain"]), latents=str(tmp_path / name), out=str(tmp_path / "drawn.npz"))
        with np.load(tmp_path / "drawn.npz") as arrays:
            assert arrays.files == ["arr_0"]
            assert np.abs(arrays["arr_0"].astype(int) - expected.astype(int)).max() <= 1
