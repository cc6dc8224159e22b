"""`python -m zoo.hub` and what else takes a release by its name."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from tests.helpers import peer_networks as peer
from tests.helpers.training import tiny_dcgan
from zoo.audit.command import main as audit
from zoo.config.command_line import run_command
from zoo.evaluate import main as evaluate
from zoo.hub.__main__ import ACTIONS, main
from zoo.releases import references
from zoo.sample import main as sample

ROOT = Path(__file__).parents[2]
NAME = "dcgan_digits"


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        run_command("hub", main, words, ACTIONS)
    return int(end.value.code or 0)


def test_the_list_names_every_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert command() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == zoo.pretrained()
    assert NAME in zoo.pretrained()


def test_a_card_is_shown_and_a_release_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(f"show={NAME}") == 0
    assert f"# {NAME}" in capsys.readouterr().out
    assert command(f"verify={NAME}") == 0
    assert "the card agrees with the other files" in capsys.readouterr().out


def test_the_page_of_an_audit_is_written_and_a_card_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(f"page={NAME}") == 0
    assert capsys.readouterr().out == f"report: audit-{NAME}.html\n"
    assert Path(f"audit-{NAME}.html").read_text().startswith("<!DOCTYPE html>")
    shutil.copytree(references.releases_folder() / NAME, "mine")
    card = Path("mine/README.md").read_text()
    Path("mine/README.md").write_text("other words")
    assert command("card=mine") == 0
    assert Path("mine/README.md").read_text() == card
    assert command("page=nowhere") == 2
    assert "cannot read nowhere/config.json" in capsys.readouterr().err


def test_a_checkpoint_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    zoo.fit(
        "dcgan_digits",
        out="run",
        images=128,
        model={"width": 4},
        trainer={"accelerator": "cpu"},
        callbacks={"SampleMetrics": None, "SampleGrid": None},
    )
    words = ["dtype=bfloat16", "weaknesses=[a,b]", "machine=a box", "source=a school", "data=Numerals", "licence=CC0"]
    assert command("run=run", "out=release", *words) == 0
    assert command("verify=release") == 0
    text = Path("release/README.md").read_text()
    for fact in ("machine: a box", "source: a school", "- Numerals\n", "licence: CC0"):
        assert fact in text
    assert "- a\n- b\n" in text
    assert "samples of seed 0, without selection" in text
    capsys.readouterr()
    assert command("run=run", "out=run") == 2
    assert "holds something that is no release" in capsys.readouterr().err


def test_weights_from_elsewhere_become_a_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    g, d = peer.randomised(peer.tutorial_generator(7, 4, 1)), peer.randomised(peer.tutorial_discriminator(4, 1))
    torch.save(g.state_dict(), tmp_path / "netG.pth")
    torch.save(d.state_dict(), tmp_path / "netD.pth")
    files = [f"generator={tmp_path / 'netG.pth'}", f"discriminator={tmp_path / 'netD.pth'}"]
    out = tmp_path / "release"
    assert command("source=pytorch-tutorial-DCGAN", f"out={out}", "facts.latent=uniform", "licence=mit", *files) == 0
    model = zoo.from_pretrained(out)
    assert model.origin == {"source": "pytorch-tutorial-DCGAN"}
    z = torch.randn(2, 7)
    with torch.no_grad():
        torch.testing.assert_close(
            model.generate(model.average, z, None), g.main(z[:, :, None, None]), rtol=0, atol=1e-5
        )
    text = (out / "README.md").read_text()
    assert "license: mit" in text
    assert "Converted from weights trained elsewhere: source: pytorch-tutorial-DCGAN" in text
    assert (
        command(f"convert={tmp_path / 'netG.pth'}", "source=pytorch-tutorial-DCGAN", f"out={tmp_path / 'alone'}") == 0
    )
    assert "it was converted without a discriminator" in (tmp_path / "alone/README.md").read_text()
    capsys.readouterr()
    assert command("source=pytorch-tutorial-DCGAN", f"out={tmp_path / 'no'}") == 2
    assert "give one file, convert=FILE, or generator=FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("show=dcgan_digit", "there is no release 'dcgan_digit' with a card here. Did you mean dcgan_digits?"),
        ("verify=nowhere", "cannot read nowhere/config.json"),
        (
            "nothing=1",
            "one of show=, run=, audit=, page=, card=, verify=, push=, convert= says what to do; got nothing=",
        ),
        ("show=a verify=b", "says what to do; got show= verify="),
        ("run=a", "out: missing; zoo.hub run= needs it (a text)"),
        ("run=nowhere out=x", "there is no run folder or checkpoint nowhere"),
        ("run=a out=x metric=b", "metric: zoo.hub run= has no setting of that name. Did you mean metrics?"),
        ("push=nowhere repo=a/b", "cannot read nowhere/config.json"),
        ("push=nowhere", "repo: missing"),
        ("convert=a source=b out=c", "there is no file a"),
    ],
)
def test_mistakes_are_told(
    words: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*words.split()) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_lists_the_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--help") == 0
    shown = capsys.readouterr().out
    assert "python -m zoo.hub key=value" in shown
    assert "pytorch-pretrained-biggan" in shown
    for action in ACTIONS:
        assert f"\n{action}=...: " in shown


def test_a_grid_is_drawn_from_a_release_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run_command("sample", sample, [f"checkpoint={NAME}", "n=80", "seed=0", f"out={tmp_path / 'grid.png'}"])
    assert not end.value.code
    again = Image.open(tmp_path / "grid.png").convert("RGB")
    card = Image.open(ROOT / "checkpoints" / NAME / "grid.png").convert("RGB")
    assert np.abs(np.asarray(again).astype(int) - np.asarray(card).astype(int)).max() <= 2
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    with pytest.raises(SystemExit) as end:
        run_command("sample", sample, [f"checkpoint={folder}", "n=2", f"out={tmp_path / 'two.png'}"])
    assert not end.value.code


def test_a_name_that_nothing_has_is_told_without_asking_the_hub(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for name, hint in (("dcgan_digit", " Did you mean dcgan_digits?"), ("runs/dcgan", "")):
        with pytest.raises(SystemExit) as end:
            run_command("sample", sample, [f"checkpoint={name}"])
        assert end.value.code == 2
        says = f"there is no run folder or checkpoint {name}, nor a release of that name.{hint}"
        assert says in capsys.readouterr().err


def hubconf() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hubconf", ROOT / "hubconf.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_torch_hub_loads_from_the_checkout(tmp_path: Path) -> None:
    model = torch.hub.load(str(ROOT), NAME, source="local")
    assert torch.equal(model.sample(2, seed=0), zoo.from_pretrained(NAME).sample(2, seed=0))
    entries = {name for name, value in vars(hubconf()).items() if callable(value) and not name.startswith("_")}
    assert entries == {*zoo.pretrained(), "from_pretrained"}  # as torch.hub.list counts them
    folder = tiny_dcgan().save_pretrained(tmp_path / "it")
    assert type(torch.hub.load(str(ROOT), "from_pretrained", str(folder), source="local")) is zoo.DCGAN


def test_a_release_of_ones_own_class_is_used_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_release_ideas.py").write_text(
        "import zoo\n\n\nclass Mine(zoo.DCGAN):\n    def __init__(self, shift: float = 0.25, **dcgan):\n"
        "        super().__init__(**dcgan)\n        self.shift = shift\n"
        "        self.save_hyperparameters(logger=False)\n"
    )
    model = {"class": "my_release_ideas.Mine", "shift": 0.5, "width": 4}
    zoo.fit(
        "dcgan_digits",
        out="run",
        images=128,
        model=model,
        trainer={"accelerator": "cpu"},
        callbacks={"SampleMetrics": None, "SampleGrid": None},
    )
    assert command("run=run", "out=release") == 0
    card = Path("release/README.md").read_text()
    assert "from my_release_ideas import Mine\n" in card
    assert ", cls=Mine)\n" in card
    assert f"verify={Path('release').resolve()} cls=my_release_ideas.Mine\n" in capsys.readouterr().out
    assert command("verify=release") == 2
    assert "or cls=my_release_ideas.Mine after a command" in capsys.readouterr().err
    own = "cls=my_release_ideas.Mine"
    assert command("verify=release", own) == 0
    for name, function, words in (
        ("sample", sample, ["checkpoint=release", "n=4"]),
        ("evaluate", evaluate, ["checkpoint=release", "extractor=pixels", "metrics=fid", "n=20", "repeats=0"]),
        ("audit", audit, ["checkpoint=release", "extractor=pixels", "only=weights", "budget=quick"]),
    ):
        with pytest.raises(SystemExit) as end:
            run_command(name, function, [*words, own])
        assert not end.value.code, name
    assert command("verify=release", "cls=my_release_ideas.Other") == 2
    assert "my_release_ideas has no Other." in capsys.readouterr().err


def test_an_installed_wheel_brings_its_releases(tmp_path: Path) -> None:
    """As the wheel lies: `checkpoints` inside the package, no checkout around it."""
    site = tmp_path / "site"
    site.mkdir()
    shutil.copytree(ROOT / "zoo", site / "zoo", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "checkpoints", site / "zoo" / "checkpoints")
    code = (
        "import zoo, json; "
        f"print(json.dumps([zoo.__file__, zoo.pretrained(), zoo.from_pretrained({NAME!r}).images_seen]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    file, names, seen = json.loads(done.stdout.splitlines()[-1])
    assert Path(file).is_relative_to(site)
    assert names == zoo.pretrained()
    assert seen > 0
