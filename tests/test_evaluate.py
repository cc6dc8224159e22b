"""Truths of `python -m zoo.evaluate`: what it measures, writes and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
import zoo.hub
from zoo.config.command_line import run_command
from zoo.data import Digits
from zoo.errors import UserError
from zoo.evaluate import evaluate as measure
from zoo.evaluate import main
from zoo.evaluation import METRICS
from zoo.rendering import pictures

Trained = dict[str, Path]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A conditional and an unconditional model, a ring of points, trained for a moment."""
    folder = tmp_path_factory.mktemp("runs")
    common: dict[str, Any] = {"images": 640, "trainer": {"accelerator": "cpu", "precision": "32-true"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        zoo.fit(
            "dcgan_digits",
            out=folder / "digits",
            model={"width": 4, "generator_lr": 0.02},
            **common,
            callbacks={"SampleGrid": None, "SampleMetrics": {"every": 320, "n": 100}},
        )
        without = {"SampleGrid": None, "SampleMetrics": None}
        zoo.fit("vanilla_digits", out=folder / "plain", model={"width": 16}, **common, callbacks=without)
        zoo.fit(
            "vanilla_ring", out=folder / "ring", model={"width": 4}, data={"samples": 2000}, **common, callbacks=without
        )
    return {name: folder / name for name in ("digits", "plain", "ring")}


def evaluate(*words: str) -> int:
    """Exit code of `python -m zoo.evaluate`, called in this process."""
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def numbers_of(path: Path, row: int = 0) -> dict[str, dict[str, Any]]:
    return {number["label"]: number for number in json.loads(path.read_text())["rows"][row]["numbers"]}


# --- a checkpoint ----------------------------------------------------------------------------------------------------


def test_a_run_is_measured_on_its_held_out_images(runs: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(f"checkpoint={runs['digits']}", "repeats=3") == 0
    path = runs["digits"] / "evaluation" / "000000000640-held_out-digits.json"
    found = numbers_of(path)
    text = capsys.readouterr().out
    for label in ("FD-digits", "KD-digits", "precision-digits", "coverage-digits", "class_distance-digits"):
        assert label in text
        assert f"{found[label]['value']:.5g}" in text
        assert found[label]["low"] <= found[label]["value"] <= found[label]["high"]
        assert found[label]["floor_n"] == [179, 179]
    assert found["FD-digits"]["low"] < found["FD-digits"]["value"]
    protocol = found["FD-digits"]["protocol"]
    wanted = {
        "images_seen": 640,
        "n_real": 179,
        "n_fake": 179,
        "split": "held_out",
        "seed": 0,
        "generator": "averaged",
        "extractor": "digits",
        "checkpoint": "000000000640.ckpt",
        "model": "DCGAN",
    }
    assert {key: protocol[key] for key in wanted} == wanted
    assert "real against real" in text
    assert "extractor=inception gives published FIDs" in text
    assert json.loads(path.read_text())["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_another_measurement_does_not_overwrite_the_first(
    runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(runs["digits"], tmp_path / "run")
    shutil.rmtree(run / "evaluation", ignore_errors=True)
    words = f"checkpoint={run}", "repeats=0", "n=60"
    for changes in (["metrics=fid"], ["metrics=kid"], ["metrics=fid", "seed=1"], ["metrics=fid"]):
        assert evaluate(*words, *changes) == 0
    first, second, third = ("000000000640-held_out-digits" + more for more in ("", "-2", "-3"))
    assert sorted(path.stem for path in (run / "evaluation").iterdir()) == [first, second, third]
    assert list(numbers_of(run / "evaluation" / f"{second}.json")) == ["KD-digits"]
    assert numbers_of(run / "evaluation" / f"{third}.json")["FD-digits"]["protocol"]["seed"] == 1
    assert f"numbers: {run / 'evaluation' / first}.json" in capsys.readouterr().out.replace("\n", " ")
    (run / "evaluation" / f"{first}.json").write_text("mine")
    assert evaluate(*words, "metrics=fid") == 0
    assert (run / "evaluation" / f"{first}.json").read_text() == "mine"
    assert (run / "evaluation" / f"{first}-4.json").exists()


def test_the_same_command_gives_the_same_numbers_without_looking_at_real_images_again(
    runs: Trained, tmp_path: Path, extracted: list[int]
) -> None:
    words = f"checkpoint={runs['digits']}", "metrics=fid", "n=120", "repeats=0"
    assert evaluate(*words, f"out={tmp_path / 'a.json'}") == 0
    first = sum(extracted)
    assert evaluate(*words, f"out={tmp_path / 'b.json'}") == 0
    assert first > sum(extracted) - first == 120
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert evaluate(*words, "seed=1", f"out={tmp_path / 'c.json'}") == 0
    assert numbers_of(tmp_path / "a.json") != numbers_of(tmp_path / "c.json")


def test_the_best_checkpoint_and_the_training_images_can_be_asked_for(
    runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (kept,) = (runs["digits"] / "best").iterdir()
    out = tmp_path / "best.json"
    assert evaluate(f"checkpoint={runs['digits']}", "best=true", "metrics=fid", "n=100", f"out={out}") == 0
    assert numbers_of(out)["FD-digits"]["protocol"]["checkpoint"] == kept.name
    assert "chosen by training images" in capsys.readouterr().out
    assert evaluate(f"checkpoint={runs['digits']}", "split=train", "metrics=fid", "n=900", f"out={out}") == 0
    protocol = numbers_of(out)["FD-digits"]["protocol"]
    assert (protocol["split"], protocol["n_real"], protocol["n_fake"]) == ("train", 900, 900)
    assert "a memoriser would do well" in capsys.readouterr().out


def test_the_classes_of_the_samples_are_those_of_the_real_images(
    runs: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.Tensor] = []
    inner = zoo.DCGAN.generate

    def watching(self: Any, network: Any, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        asked.append(labels)
        return inner(self, network, z, labels)

    monkeypatch.setattr(zoo.DCGAN, "generate", watching)
    out = f"out={tmp_path / 'a.json'}"
    assert evaluate(f"checkpoint={runs['digits']}", "metrics=fid", "n=179", "repeats=0", out) == 0
    data = Digits()
    data.setup()
    held_out = data.held_out.batch(torch.arange(179)).labels
    assert held_out is not None
    assert torch.equal(torch.bincount(torch.cat(asked)), torch.bincount(held_out))


def test_truncations_give_a_curve(runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "curve.json"
    assert (
        evaluate(
            f"checkpoint={runs['plain']}",
            "metrics=fid,prdc",
            "n=60",
            "repeats=0",
            "truncation=[0.2,0.5,1]",
            f"out={out}",
        )
        == 0
    )
    rows = json.loads(out.read_text())["rows"]
    assert [row["truncation"] for row in rows] == [0.2, 0.5, 1.0]
    assert len({row["numbers"][0]["value"] for row in rows}) == 3
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    assert "truncation 0.2" in capsys.readouterr().out


def test_each_generator_of_a_mixture_can_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = {"class": "VanillaGAN", "resolution": 1, "channels": 2, "latent_dim": 2, "layers": 1, "width": 8}
    model = zoo.MixGAN(base, 2)
    with torch.no_grad():  # the first draws all, and always the same
        model.average.weights.copy_(torch.tensor([1.0, 0.0]))
        for weight in model.average.members[0].parameters():
            weight.zero_()
    model.save_pretrained(tmp_path / "mixture")
    words = [
        f"checkpoint={tmp_path / 'mixture'}",
        "data.class=Ring",
        "data.samples=3000",
        "data.batch_size=8",
        "metrics=fid",
        "n=200",
        "repeats=0",
    ]
    out = tmp_path / "all.json"
    assert evaluate(*words, "component=all", f"out={out}") == 0
    assert [row.get("component") for row in json.loads(out.read_text())["rows"]] == [None, 0, 1]
    values = [numbers_of(out, row)["FD-points"]["value"] for row in range(3)]
    assert values[0] == pytest.approx(values[1])
    assert values[2] != pytest.approx(values[1], rel=0.01)
    assert numbers_of(out, 2)["FD-points"]["protocol"]["component"] == 1
    assert "generator 1 alone" in capsys.readouterr().out
    assert evaluate(*words, "component=2") == 2
    assert "component: 0 to 1, the generators of this mixture, or all; got 2" in capsys.readouterr().err


def test_points_are_measured_by_their_modes(runs: Trained, tmp_path: Path) -> None:
    assert evaluate(f"checkpoint={runs['ring']}", "n=150", f"out={tmp_path / 'ring.json'}") == 0
    found = numbers_of(tmp_path / "ring.json")
    assert found["modes-points"]["floor"] == 8
    assert 0 <= found["modes-points"]["value"] <= 8
    assert found["high_quality-points"]["value"] < 1


def test_a_checkpoint_outside_a_run_needs_its_data_named(
    runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone.ckpt"
    alone.write_bytes((runs["digits"] / "checkpoints" / "000000000640.ckpt").read_bytes())
    assert evaluate(f"checkpoint={alone}") == 2
    assert "outside a run folder, so its data are not known" in capsys.readouterr().err
    assert evaluate(f"checkpoint={alone}", "data.class=Digits", "metrics=fid", "repeats=0") == 0
    assert (tmp_path / "evaluation" / "alone-held_out-digits.json").exists()


def test_a_release_is_measured_on_the_data_of_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert evaluate("checkpoint=dcgan_digits", "metrics=fid", "repeats=0") == 0
    released = json.loads((zoo.releases.references.releases_folder() / "dcgan_digits" / "metrics.json").read_text())
    expected = {number["label"]: number["value"] for number in released["evaluations"][0]["rows"][0]["numbers"]}
    found = numbers_of(tmp_path / "evaluation-dcgan_digits-held_out-digits.json")["FD-digits"]
    assert found["value"] == pytest.approx(expected["FD-digits"], rel=1e-3)
    assert found["protocol"]["checkpoint"] == "dcgan_digits"


def test_other_data_than_those_of_the_training_are_noted(
    runs: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"checkpoint={runs['digits']}", "metrics=fid", "n=50", "repeats=0", f"out={tmp_path / 'a.json'}"
    assert evaluate(*words, "data.split_seed=3") == 0
    assert "not the data, or not the split, that the model was trained on" in capsys.readouterr().out
    assert evaluate(*words) == 0
    assert "not the data" not in capsys.readouterr().out


def test_from_python_the_numbers_are_returned_and_the_same_faults_are_errors(runs: Trained, tmp_path: Path) -> None:
    out = str(tmp_path / "a.json")
    evaluation = measure(str(runs["digits"]), metrics="fid", n=50, repeats=0, out=out)
    assert json.loads(json.dumps(evaluation.as_dict())) == json.loads(Path(out).read_text())
    assert [number.label for number in evaluation.rows[0]["numbers"]] == ["FD-digits"]
    with pytest.raises(UserError, match=r"^n: at least 10 images; got 3$"):
        measure(str(runs["digits"]), n=3)
    with pytest.raises(UserError, match="give either checkpoint=RUN, or two folders"):
        measure()


# --- two folders -----------------------------------------------------------------------------------------------------


def digits_in(folder: Path, first: int, last: int) -> Path:
    data = Digits()
    data.setup()
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    for i, image in enumerate(data.train.tensor()[order[first:last]]):
        pictures.save(pictures.single(image), folder / f"{i:04d}.png")
    return folder


def test_two_folders_are_held_against_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    real, fake = digits_in(tmp_path / "real", 0, 150), digits_in(tmp_path / "fake", 150, 250)
    words = f"real={real}", "extractor=pixels", "metrics=fid,prdc", "repeats=0"
    assert evaluate(*words, f"fake={fake}") == 0
    found = numbers_of(tmp_path / "evaluation.json")["FD-pixels"]
    assert (found["protocol"]["n_real"], found["protocol"]["n_fake"]) == (100, 100)
    assert "16 px" in found["protocol"]["data"]
    assert "n=100 is not more than the 768 dimensions of pixels" in capsys.readouterr().out
    assert evaluate(*words, f"fake={real}", "out=same.json") == 0
    assert numbers_of(tmp_path / "same.json")["FD-pixels"]["value"] == pytest.approx(0, abs=1e-6)


# --- faults ----------------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[str, list[str]]] = {
    "nothing": ("", ["give either checkpoint=RUN, or two folders of images: real=FOLDER fake=FOLDER"]),
    "one folder": ("real=x", ["real=FOLDER fake=FOLDER"]),
    "run and folder": ("checkpoint=RUN fake=x", ["give either", "data.class=Folder data.root=FOLDER"]),
    "no such run": ("checkpoint=nowhere", ["there is no run folder or checkpoint nowhere"]),
    "no such folder": ("real=nowhere fake=nowhere", ["there is no folder nowhere"]),
    "unknown metric": ("checkpoint=RUN metrics=fidd", ["there is no metric 'fidd'. Did you mean fid?"]),
    "unknown extractor": ("checkpoint=RUN extractor=incepton", ["Did you mean inception?"]),
    "unknown option": ("checkpoint=RUN options.sise=3", ["sise: digits has no setting of that name"]),
    "no classes": ("checkpoint=RUN extractor=pixels metrics=is", ["is needs classes, which extractor pixels"]),
    "too few": ("checkpoint=RUN n=3", ["n: at least 10 images; got 3"]),
    "too few real": (
        "checkpoint=RUN n_real=3",
        ["n_real: at least 10 images, or 0 for as many as generated ones; got 3"],
    ),
    "few held out": (
        "checkpoint=RUN data.held_out=5",
        ["split=held_out: 1,792 training and 5 held-out images; a measurement needs at least 10. Use split=train"],
    ),
    "one half": ("checkpoint=RUN repeats=1", ["repeats: 0 for no intervals, or at least 2; got 1"]),
    "truncation": (
        "checkpoint=RUN truncation=[0.5,0]",
        ["a positive number, or a list of them; got [0.5, 0.0]"],
    ),
    "ending": ("checkpoint=RUN out=numbers.txt", ["out: a file ending in .json; got 'numbers.txt'"]),
    "split": ("checkpoint=RUN split=test", ["split: 'test' is not one of 'held_out', 'train'"]),
    "typing error": ("checkpoint=RUN metrisc=fid", ["Did you mean metrics?"]),
    "device": ("checkpoint=RUN device=gpu", ["device: auto, cpu or cuda; got 'gpu'"]),
    "other size": ("checkpoint=RUN data.resolution=8", ["the model draws 16 px", "Set data.resolution=16"]),
    "no best": ("checkpoint=PLAIN best=true", ["keeps no best checkpoint", "Leave out best=true"]),
    "cas of an unconditional model": ("checkpoint=PLAIN metrics=cas", ["cas", "needs a conditional model"]),
    "component of no mixture": ("checkpoint=RUN component=0", ["for a MixGAN; this is a DCGAN. Leave it out"]),
    "cas of folders": ("real=x fake=y metrics=cas", ["need a model: give checkpoint=RUN"]),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_ends_with_code_2_and_the_remedy(
    case: str, runs: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words, fragments = FAULTS[case]
    words = words.replace("RUN", str(runs["digits"])).replace("PLAIN", str(runs["plain"]))
    assert evaluate(*words.split()) == 2
    text = capsys.readouterr()
    assert text.err.startswith("zoo.evaluate: ")
    for fragment in fragments:
        assert fragment in text.err
    assert "Traceback" not in text.err


def test_the_help_lists_every_metric(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--help") == 0
    text = capsys.readouterr().out
    for name, kind in METRICS.items():
        assert f"      - {name}: {kind.description}\n" in text
