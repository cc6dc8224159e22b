"""What an earlier version wrote still works: its runs load, resume and are measured, its releases load.

`artefacts/COMMIT` holds small runs and releases as that commit left them, and in `expected.json` what it read from
them; `artefacts/README.md` says how they were made. Everything is asked of `zoo` and of its commands, so that the
tests hold whatever becomes of the modules behind them.
"""

from __future__ import annotations

import csv
import json
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from same_bits import digest_of_tensors

import zoo

FOLDER = Path(__file__).parent / "artefacts" / "fd4f52d"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())
RUNS = ("run_dcgan", "run_mix")
RELEASES = ("release_vanilla", "release_mix")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of all artefacts, so that the ones in the repository stay as they were written."""
    return Path(shutil.copytree(FOLDER, tmp_path / "artefacts"))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `python -m MODULE WORDS` in this process."""

    def run(module: str, *words: str) -> None:
        for name in (module, f"{module}.__main__"):  # as in a process of its own; runpy warns otherwise
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(sys, "argv", [module, *words])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__")
        assert not ended.value.code

    return run


def facts_of(model: zoo.GAN) -> dict[str, Any]:
    """What `expected.json` holds of a model; the sums tell which tensor it is when the digest differs."""
    state = model.state_dict()
    return {
        "class": type(model).__name__,
        "images_seen": model.images_seen,
        "rounds": model.rounds,
        "state": digest_of_tensors(state.items()),
        "sums": {name: float(tensor.double().sum()) for name, tensor in state.items()},
        "sample_mean": float(model.sample(4, seed=0).double().mean()),
    }


def assert_as_expected(model: zoo.GAN, name: str) -> None:
    """Every bit of the state, and samples up to how another processor rounds."""
    found, expected = facts_of(model), EXPECTED[name]
    assert found["sums"] == pytest.approx(expected["sums"], rel=1e-9, abs=1e-9)
    assert found.pop("sample_mean") == pytest.approx(expected["sample_mean"], abs=1e-5)
    for key in ("class", "images_seen", "rounds", "state"):
        assert found[key] == expected[key]
    assert not model.training


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_a_run_loads_with_every_bit(name: str) -> None:
    assert_as_expected(zoo.load_run(FOLDER / name), name)


@pytest.mark.parametrize("name", RUNS)
def test_a_checkpoint_alone_loads_with_every_bit(name: str, tmp_path: Path) -> None:
    (checkpoint,) = (FOLDER / name / "checkpoints").glob("*.ckpt")
    assert_as_expected(zoo.load_run(shutil.copy(checkpoint, tmp_path / "alone.ckpt")), name)


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_ends_as_one_that_never_stopped(name: str, copy: Path, tmp_path: Path) -> None:
    images = EXPECTED[name]["images_seen"] + 128
    resumed = zoo.fit(resume=copy / name, images=images)
    assert (resumed.model.images_seen, resumed.model.rounds) == (images, EXPECTED[name]["rounds"] + 4)
    whole = zoo.fit(copy / name / "recipe.yaml", out=tmp_path / "whole", images=images)
    # The first rounds were those of the processor that wrote the artefact, which may have rounded in another way.
    torch.testing.assert_close(resumed.model.state_dict(), whole.model.state_dict(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_writes_on_where_the_old_one_ended(name: str, copy: Path) -> None:
    run, old = copy / name, FOLDER / name
    before = EXPECTED[name]["images_seen"]
    zoo.fit(resume=run, images=before + 128)
    with open(run / "metrics.csv") as new_file, open(old / "metrics.csv") as old_file:
        rows, earlier = list(csv.DictReader(new_file)), list(csv.DictReader(old_file))
    assert [{key: row[key] for key in earlier[0]} for row in rows[: len(earlier)]] == earlier
    assert [int(row["images_seen"]) for row in rows[len(earlier) :]][-1] == before + 128
    written = (run / "alarms" / "signals.jsonl").read_text()
    assert written.startswith((old / "alarms" / "signals.jsonl").read_text())
    assert [json.loads(line)["images_seen"] for line in written.splitlines()][-2:] == [before + 64, before + 128]
    starts = [json.loads(line) for line in (run / "environment.jsonl").read_text().splitlines()]
    assert [start["resumed_from"] for start in starts] == [None, f"{before:012d}.ckpt"]


def test_alarms_and_metrics_remember_what_the_old_run_had_seen(copy: Path) -> None:
    run = copy / "run_dcgan"
    zoo.fit(resume=run, images=480)
    (newest,) = (run / "checkpoints").glob("*.ckpt")
    baselines = [
        torch.load(path, weights_only=True)["callbacks"]["Alarms"]["habits"]
        for path in (FOLDER / "run_dcgan" / "checkpoints" / "000000000320.ckpt", newest)
    ]
    counts = [[baseline["tracks"][name]["count"] for name in ("score/real", "diversity")] for baseline in baselines]
    assert counts == [[5, 5], [7, 7]]
    rows = [json.loads(line) for line in (run / "evaluation" / "training-pixels.jsonl").read_text().splitlines()]
    assert [row["images_seen"] for row in rows] == [160, 320, 480]
    assert sorted(path.name for path in (run / "samples").glob("[0-9]*.png"))[-2:] == [
        "000000000320.png",
        "000000000480.png",
    ]


@pytest.mark.parametrize("best", ["false", "true"])
def test_a_run_is_measured(best: str, copy: Path, command: Any) -> None:
    out = copy / "numbers.json"
    words = ("metrics=fid", "extractor=pixels", "n=100", "repeats=0", "device=cpu")
    command("zoo.evaluate", f"checkpoint={copy / 'run_dcgan'}", f"best={best}", f"out={out}", *words)
    (number,) = json.loads(out.read_text())["rows"][0]["numbers"]
    assert number["protocol"]["images_seen"] == 320
    assert number["value"] == pytest.approx(EXPECTED["run_dcgan"]["fd_pixels"], rel=1e-3)


def test_members_of_a_mixture_are_measured(copy: Path, command: Any) -> None:
    out = copy / "numbers.json"
    words = ("metrics=fid", "extractor=pixels", "n=50", "repeats=0", "device=cpu")
    command("zoo.evaluate", f"checkpoint={copy / 'run_mix'}", "component=all", f"out={out}", *words)
    assert [row.get("component") for row in json.loads(out.read_text())["rows"]] == [None, 0, 1]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_watched(name: str, copy: Path, command: Any) -> None:
    pytest.importorskip("matplotlib")
    command("zoo.watch", f"run={copy / name}", f"out={copy / 'page.html'}")
    seen = EXPECTED[name]["images_seen"]
    assert f"{seen} of {seen} images (100%)" in (copy / "page.html").read_text()
    assert len(list((copy / "watch").glob("*.png"))) > 5


def test_a_run_becomes_a_release(copy: Path, command: Any) -> None:
    command("zoo.hub", f"run={copy / 'run_dcgan'}", f"out={copy / 'release'}")
    model, run = zoo.from_pretrained(copy / "release"), zoo.load_run(copy / "run_dcgan")
    assert torch.equal(model.sample(4, seed=0), run.sample(4, seed=0))


# --- releases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_loads_with_every_bit(name: str) -> None:
    assert_as_expected(zoo.from_pretrained(FOLDER / name), name)


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_holds_what_it_claims(name: str, command: Any) -> None:
    command("zoo.hub", f"verify={FOLDER / name}")


@pytest.mark.parametrize("name", ["run_dcgan", "release_mix"])
def test_training_starts_from_the_weights_of_either(name: str, tmp_path: Path) -> None:
    recipe = FOLDER / ("run_mix" if name == "release_mix" else name) / "recipe.yaml"
    run = zoo.fit(recipe, out=tmp_path / "run", images=32, pretrained=str(FOLDER / name))
    record = json.loads((tmp_path / "run" / "environment.jsonl").read_text())
    assert record["pretrained"]["anew"] == []
    assert run.model.images_seen == 32
