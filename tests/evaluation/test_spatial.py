"""The spatial FID of `zoo.evaluate`, against the statistics of maps in ADM's files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.helpers import random_weights
from zoo.config.command_line import run_command
from zoo.evaluation.against_statistics import statistics_of
from zoo.features import Features, extractor, inception
from zoo.io.files import sha256_of
from zoo.metrics.frechet import frechet_distance
from zoo.runs.measuring import main

pytest.importorskip("torch_fidelity")


def code_of(*words: str) -> object:
    """Return the exit code of `python -m zoo.evaluate`."""
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, list(words))
    return ended.value.code


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.uint8]:
    """Images of noise in the file `fake.npz`, and random weights in `w.pth`, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    weights = random_weights.random_inception(Path("w.pth"))
    monkeypatch.setattr(inception, "SHA256", sha256_of(weights))  # as if they were the published ones
    made = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    np.savez("fake.npz", arr_0=made)
    return made


def test_adms_statistics_of_maps_are_taken(images: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]) -> None:
    network = extractor("inception-spatial", weights="w.pth")
    values = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(20, 2048))
    maps = (values.numpy() + rng.normal(size=values.shape)).astype(np.float64)
    np.savez(
        "adm.npz",
        arr_0=images,
        mu=wide.mean(0),
        sigma=np.cov(wide, rowvar=False),
        mu_s=maps.mean(0),
        sigma_s=np.cov(maps, rowvar=False),
    )
    words = ["extractor=inception-spatial", "options.weights=w.pth", "metrics=sfid", "out=numbers.json", "repeats=0"]
    assert code_of("real=adm.npz", "fake=fake.npz", *words) == 0
    (number,) = json.loads(Path("numbers.json").read_text())["rows"][0]["numbers"]
    mine = statistics_of(network, Features(values), {})
    wanted = frechet_distance(
        torch.from_numpy(maps.mean(0)), torch.from_numpy(np.cov(maps, rowvar=False)), mine.mean, mine.covariance
    )
    assert number["value"] == pytest.approx(float(wanted), rel=1e-6)
    assert number["label"] == "sFID"


def test_another_extractor_is_refused(images: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("real=fake.npz", "fake=fake.npz", "metrics=sfid", "extractor=pixels") == 2
    text = " ".join(capsys.readouterr().err.split())
    assert "sfid is computed from maps of an inner layer" in text
    assert "Use extractor=inception-spatial" in text
