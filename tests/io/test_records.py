"""Tests of damaged files of torch.save: row R2, a changed bit is never read as another number."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import zoo
from tests.helpers.training import identical
from zoo.errors import CheckpointError, FeatureError, ReleaseError
from zoo.features.weights import load_verified
from zoo.hub.converting.tensors import read_file
from zoo.io.checkpoints import read_checkpoint
from zoo.io.records import check_records
from zoo.io.run_folder import RunFolder, checkpoints_in
from zoo.runs.packing import pack

SMALL: dict[str, Any] = {
    "images": 256,
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu"},
    "callbacks": {"SampleGrid": None, "SampleMetrics": None, "Alarms": None, "SaveEvery": {"every": 64}},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.fit("dcgan_digits", out=tmp_path_factory.mktemp("trained"), **SMALL).folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs" / "dcgan_digits" / "2026-01-01_00-00-00"))


def flip(path: Path, position: int, bit: int = 4) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= bit
    path.write_bytes(content)


def in_a_weight(path: Path) -> int:
    """Return the position of a byte of the largest weight of a checkpoint."""
    state = torch.load(path, weights_only=True)["state_dict"]
    weight = max(state.values(), key=torch.Tensor.numel)
    position = path.read_bytes().index(weight.as_strided((16,), (1,)).numpy().tobytes())
    assert position > 0
    return position + 2


def test_no_damage_to_a_checkpoint_is_read_as_other_content(run: Path, tmp_path: Path) -> None:
    """Row R2: flipped bits, zeroed ranges and cuts at seeded places are refused, or have changed nothing."""
    path = checkpoints_in(run)[0]
    content, expected = path.read_bytes(), read_checkpoint(path)
    draw, damaged, refused = random.Random(21), tmp_path / "damaged.ckpt", 0
    for _ in range(150):
        changed = bytearray(content)
        place, length = draw.randrange(len(content)), draw.randint(1, 4095)
        kind = draw.choice(["flip", "flip near the ends", "zero", "cut"])
        if kind == "flip":
            changed[place] ^= 1 << draw.randrange(8)
        elif kind == "flip near the ends":
            changed[draw.choice([place % 4000, -1 - place % 12000])] ^= 1 << draw.randrange(8)
        elif kind == "zero":
            changed[place : place + length] = bytes(len(changed[place : place + length]))
        else:
            del changed[place:]
        damaged.write_bytes(changed)
        try:
            content_read = read_checkpoint(damaged)
        except CheckpointError:
            refused += 1
        else:
            assert identical(content_read, expected), kind
    assert refused > 120


def test_a_flipped_bit_is_refused_by_every_reader_and_the_one_before_is_named(run: Path, tmp_path: Path) -> None:
    """Row R2: opening, sampling, packing, fine-tuning and resuming name the damaged file and the one before it."""
    newest, before, *_ = checkpoints_in(run)
    flip(newest, in_a_weight(newest))
    message = (
        rf"{newest.name} is damaged or incomplete \([\d,]+ bytes; its record \S+/data/\d+ is not as it was written\)\. "
        rf"The one before it: {before}"
    )
    readers: list[Any] = [
        lambda: zoo.load_run(run),
        lambda: pack(str(run), str(tmp_path / "release")),
        lambda: zoo.fit(resume=run, images=512),
        lambda: zoo.fit("dcgan_digits", pretrained=str(run), out=tmp_path / "tuned", **SMALL),
    ]
    for read in readers:
        with pytest.raises(CheckpointError, match=message):
            read()
    assert not (tmp_path / "release").exists()


def test_auto_passes_a_damaged_checkpoint_over(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row R2: `resume=auto` says what it skips, and goes on from the checkpoint before."""
    newest, before, *_ = checkpoints_in(run)
    flip(newest, in_a_weight(newest))
    monkeypatch.chdir(run.parents[2])
    zoo.fit("dcgan_digits", resume="auto", images=320)
    assert f"skipped: {newest.relative_to(Path.cwd())} is damaged" in capsys.readouterr().err
    assert RunFolder(run).starts()[-1]["resumed_from"] == before.name
    assert checkpoints_in(run)[0].name == f"{320:012d}.ckpt"


def test_the_only_checkpoint_of_a_run_has_none_before_it(run: Path) -> None:
    newest, *others = checkpoints_in(run)
    for other in others:
        other.unlink()
    flip(newest, in_a_weight(newest))
    with pytest.raises(CheckpointError, match="There is no earlier one beside it"):
        zoo.load_run(run)


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    path = tmp_path / "unchecked.pt"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"weight": torch.ones(3)}, path)
    finally:
        torch.serialization.set_crc32_options(True)
    check_records(path)


def test_damaged_weights_of_extractors_and_other_libraries_are_refused(tmp_path: Path) -> None:
    """Row R2, siblings: weights without a known digest, and files that are converted."""
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.arange(1000.0)}, path)
    assert load_verified(path, None)["weight"][999] == 999
    assert read_file(path)["weight"][999] == 999
    flip(path, path.read_bytes().index(torch.arange(500.0, 510.0).numpy().tobytes()))
    with pytest.raises(FeatureError, match=r"record weights/data/0 is not as it was written"):
        load_verified(path, None)
    with pytest.raises(ReleaseError, match=r"record weights/data/0 is not as it was written"):
        read_file(path)


def test_the_weights_of_a_release_named_as_a_file_are_compared_with_its_digest(run: Path, tmp_path: Path) -> None:
    """Row R2, sibling: `RELEASE/model.safetensors` is checked as the folder is."""
    file = pack(str(run), str(tmp_path / "release")) / "model.safetensors"
    assert zoo.from_pretrained(file).images_seen == 256
    weight = max(load_file(file).values(), key=torch.Tensor.numel)
    flip(file, file.read_bytes().index(weight.as_strided((16,), (1,)).numpy().tobytes()) + 2)
    with pytest.raises(ReleaseError, match=r"model.safetensors is damaged or was changed"):
        zoo.from_pretrained(file)
