"""Damaged releases and runs are refused with a reason or read as intact: rows R2, R6 and M10."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from tests.fuzz.damaged import Intact, make_intact, try_damaged

pytestmark = pytest.mark.xdist_group("fuzz_damaged")


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Intact:
    return make_intact(tmp_path_factory.mktemp("intact"))


def flip_in_weight(draw: random.Random, folder: Path, other: Path) -> str:
    """Flip a bit of the first weight of the average in the newest checkpoint, where it lies in the file."""
    file = max((folder / "checkpoints").glob("*.ckpt"))
    state = torch.load(file, weights_only=True)["state_dict"]
    values = next(state[name] for name in state if name.startswith("average.") and state[name].is_floating_point())
    content = bytearray(file.read_bytes())
    content[content.index(values.numpy().tobytes())] ^= 1
    file.write_bytes(content)
    return "a weight"


def test_damaged_releases_and_runs_are_refused_or_read_as_intact(
    intact: Intact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults: list[str] = []
    assert try_damaged(intact, tmp_path, releases=20, runs=8, seed=1, say=faults.append) == 0, "\n".join(faults)


def test_a_wrong_acceptance_is_noticed(intact: Intact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison of checksums, bits that are flipped within weights are read as good: row R2."""
    monkeypatch.setattr("zoo.io.checkpoints.check_records", lambda path: None)
    monkeypatch.setattr("tests.fuzz.damaged.CHECKPOINT", [flip_in_weight])
    faults: list[str] = []
    assert try_damaged(intact, tmp_path, releases=0, runs=1, seed=0, say=faults.append) == 1
    assert "sample: accepted with other weights" in faults[0]
