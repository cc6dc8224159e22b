"""The comparison with other repositories' code compares equal networks only, and leaves no trace of them."""

from __future__ import annotations

import ast
import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import peers
import pytest
import torch
import turns
from peer_baseline import Baseline
from peer_equality import compare
from peer_importing import commit_of, importing
from peer_program import Peer, Row, in_order
from torch import Tensor, nn

from zoo.errors import RecipeError, UserError

CHECKOUT = Path(__file__).parents[1]

NETWORKS = """
import package_that_is_not_there
from package_that_is_not_there.part import something
from torch import nn
from utils import adam

print("a repository that talks while it is imported")


def generator(width=4):
    return nn.Sequential(
        nn.Unflatten(1, (5, 1, 1)),
        nn.ConvTranspose2d(5, 2 * width, 4, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )


def discriminator(slope=0.2, width=4):
    return nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(slope),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 4, bias=False),
    )
"""
UTILS = """
import torch


def adam(network):
    return torch.optim.Adam(network.parameters(), 1e-3)
"""


class Tiny(Peer):
    """A DCGAN for 16 px, as someone else may have written it."""

    folders = ("tiny",)
    address = "nobody/tiny"
    placeholders = ("package_that_is_not_there",)
    notes = ("a note",)
    changes: ClassVar[dict[str, Any]] = {}

    def build(self, settings: dict[str, Any]) -> None:
        module = import_module("networks")
        self.generator, self.discriminator = module.generator(), module.discriminator(**self.changes)
        self.optimizers = module.adam(self.generator), module.adam(self.discriminator)
        self.shapes: list[tuple[int, ...]] = []

    def cycle(self) -> None:
        """Not quite a GAN's, but two backward passes and two steps."""
        images, labels = self.next()
        self.shapes.append(tuple(images.shape))
        fake = self.draw(torch.randn(len(images), 5), labels)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        (self.score(images, labels).mean() - self.score(fake, labels).mean()).backward()
        for optimizer in self.optimizers:
            optimizer.step()

    def renamed(self, model: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return in_order(self.generator, model.generator), in_order(self.discriminator, model.discriminator)


ROW = Row("DCGAN", {"resolution": 16, "latent_dim": 5, "width": 4}, 4, {"tiny": Tiny}, resolution=16)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the repository, in place of the real ones, and with a place for results."""
    repository = tmp_path / "repositories" / "tiny"
    repository.mkdir(parents=True)
    (repository / "networks.py").write_text(NETWORKS)
    (repository / "utils.py").write_text(UTILS)
    (repository / ".commit").write_text("1234\n")
    monkeypatch.setattr(peers, "ROWS", {"tiny": ROW})
    monkeypatch.setattr(turns, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(Tiny, "changes", {})
    return repository.parent


def test_a_peer_is_timed_beside_the_zoo_in_three_columns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = peers.benchmark(str(folder), turns=2, precision="bf16-mixed", model={"seed": 3})
    assert result["repositories"] == {"tiny": "1234"}
    row = result["rows"]["tiny"]
    assert row["settings"] == {**ROW.settings, "seed": 3}
    peer = row["peers"]["tiny"]
    assert peer["notes"] == ["a note"]
    assert peer["equal"]["parameters"] == (
        5 * 8 * 16 + 16 + 8 * 4 * 16 + 8 + 4 * 3 * 16,
        3 * 4 * 16 + 4 * 8 * 16 + 16 + 128,
    )
    assert max(peer["equal"]["relative_difference"].values()) < 1e-5
    for column in ("as it is", "with autocast", "both float32"):
        low, high = peer[column]["range"]
        assert 0 < low <= peer[column]["ratio"] <= high
        assert peer[column]["milliseconds_per_cycle"].keys() == {"zoo", "opponent"}
    assert (turns.RESULTS / "peers_cpu.json").is_file()
    out = capsys.readouterr().out
    assert out.startswith("| one cycle, batch | peer | as it is | with autocast | both float32 | over baseline |\n")
    assert f"| tiny, 4 | tiny | {peer['as it is']['ratio']:.2f} | " in out
    assert "talks" not in out


def test_without_bf16_there_is_no_autocast_and_one_column_in_float32(folder: Path) -> None:
    peer = peers.benchmark(str(folder), turns=1, precision="32-true")["rows"]["tiny"]["peers"]["tiny"]
    assert "with autocast" not in peer
    assert peer["both float32"] == peer["as it is"]


def test_another_checkout_plays_in_a_process_of_its_own(folder: Path) -> None:
    result = peers.benchmark(turns=2, baseline=str(CHECKOUT), model={"augment": ("color",)})
    assert result["rows"]["tiny"]["peers"] == {}  # no folder was given
    over = result["rows"]["tiny"]["over_baseline"]["over baseline"]
    assert 0 < over["range"][0] <= over["ratio"] <= over["range"][1]
    assert over["milliseconds_per_cycle"]["opponent"] > 0
    with pytest.raises(UserError, match=r"there is no zoo/ in it; give a checkout"):
        peers.benchmark(str(folder), baseline=str(folder))


def test_an_older_version_has_the_modules_that_its_process_imports() -> None:
    """Commit fd4f52d, against which speed is stated, had `zoo` and `zoo.errors`, and none of today's other places."""
    for name in ("turns.py", "peer_baseline.py"):
        tree = ast.parse((CHECKOUT / "benchmarks" / name).read_text())
        plain = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        named = {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert {module for module in plain | named if module.split(".")[0] == "zoo"} <= {"zoo", "zoo.errors"}


def test_a_baseline_that_breaks_is_named_with_its_last_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "import sys; print('much', file=sys.stderr); raise ImportError('this checkout is broken')"
    monkeypatch.setattr(Baseline, "command", (sys.executable, "-c", broken))
    with pytest.raises(
        UserError, match=r"baseline=.*: the second process ended: .*ImportError: this checkout is broken"
    ):
        peers.benchmark(turns=1, baseline=str(CHECKOUT))
    elsewhere = """import json; input(); print(json.dumps({"package": "/elsewhere/zoo/__init__.py"}), flush=True)"""
    monkeypatch.setattr(Baseline, "command", (sys.executable, "-c", elsewhere))
    with pytest.raises(UserError, match="the second process imports another zoo than the one there"):
        peers.benchmark(turns=1, baseline=str(CHECKOUT))
    answer = json.dumps({"package": str(CHECKOUT / "zoo" / "__init__.py"), "has_model": False})
    monkeypatch.setattr(Baseline, "command", (sys.executable, "-c", f"input(); print({answer!r}, flush=True)"))
    assert "over_baseline" not in peers.benchmark(turns=1, baseline=str(CHECKOUT))["rows"]["tiny"]  # a newer model


def test_networks_that_are_not_the_zoos_are_not_timed(folder: Path) -> None:
    Tiny.changes = {"slope": 0.1}
    with pytest.raises(RuntimeError, match=r"Tiny and zoo.DCGAN are not the same networks.*scores"):
        peers.benchmark(str(folder), turns=1)
    more = Tiny(folder / "tiny", ROW, peers.contiguous_batches(ROW))
    more.generator.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    more.renamed = lambda model: (model.generator.state_dict(), in_order(more.discriminator, model.discriminator))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="parameters"):
        compare(more, ROW)
    Tiny.changes = {}
    with pytest.raises(UserError, match=r"cycle: 1 in Tiny, 2 in zoo.DCGAN, so their cycles do not compare; leave"):
        peers.benchmark(str(folder), turns=1, model={"critic_steps": 2})


def test_the_comparison_leaves_a_peers_fresh_weights_as_they_were(folder: Path) -> None:
    peer = Tiny(folder / "tiny", ROW, peers.contiguous_batches(ROW))
    before = {key: tensor.clone() for key, tensor in peer.discriminator.state_dict().items()}
    compare(peer, ROW)
    assert peer.discriminator.training
    for key, tensor in peer.discriminator.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=0)
    peer.cycle()
    assert peer.shapes == [(4, 3, 16, 16)]


def test_a_peer_that_cannot_be_built_has_the_reason_in_the_table(folder: Path) -> None:
    (folder / "tiny" / "utils.py").write_text("from torch import what_was_removed")
    result = peers.benchmark(str(folder), turns=1)
    assert "cannot import name 'what_was_removed'" in result["rows"]["tiny"]["peers"]["tiny"]["not_run"]
    assert "| tiny, 4 | tiny | not run: ImportError: cannot import name 'what_was_removed'" in peers.table(result)


def test_modules_of_a_repository_are_forgotten_and_others_of_that_name_put_back(folder: Path) -> None:
    own = sys.modules["utils"] = ModuleType("utils")
    path = list(sys.path)
    try:
        with importing(folder / "tiny", ("package_that_is_not_there",)):
            theirs = import_module("utils")
            assert hasattr(theirs, "adam")
            import_module("networks")
        assert sys.modules["utils"] is own
    finally:
        del sys.modules["utils"]
    assert "networks" not in sys.modules
    assert "package_that_is_not_there" not in sys.modules
    assert sys.path == path
    with pytest.raises(ImportError):
        import_module("package_that_is_not_there")


def test_a_placeholder_does_not_stay_in_the_package_it_was_put_in(folder: Path) -> None:
    import json.tool as real

    with importing(folder / "tiny", ("json.tool", "json.nothing")):
        assert import_module("json.tool").main is not real.main
        assert import_module("json.nothing").Anything.__name__ == "Anything"
    assert import_module("json.tool") is real
    assert vars(sys.modules["json"])["tool"] is real
    assert not hasattr(sys.modules["json"], "nothing")


def test_under_autocast_a_step_is_seen_by_the_next_pass(folder: Path) -> None:
    class Line(Tiny):
        def build(self, settings: dict[str, Any]) -> None:
            self.generator, self.discriminator = nn.Linear(2, 2), nn.Linear(2, 2)
            self.optimizers = (torch.optim.SGD(self.generator.parameters(), 1.0),)

    line, x = Line(folder / "tiny", ROW, []), torch.ones(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        before = line.generator(x)
        before.sum().backward()
        line.optimizers[0].step()
        torch.testing.assert_close(line.generator(x), before - 3)  # each of two weights and the bias falls by 1


def test_the_commit_of_a_clone_is_gits(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == "unknown"
    (tmp_path / ".commit").write_text("abc\n")
    assert commit_of(tmp_path) == "abc"


def test_ratios_are_medians_of_processor_time() -> None:
    processor = [{"zoo": 1.0, "other": x} for x in (2.0, 5.0, 3.0)]
    wall = [{"zoo": 2.0, "other": x} for x in (9.0, 2.0, 4.0)]
    assert peers.summary("other", processor, wall, 10) == {
        "ratio": 3.0,
        "range": [2.0, 5.0],
        "wall_clock_ratio": 2.0,
        "milliseconds_per_cycle": {"zoo": 100.0, "opponent": 300.0},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"give the folder with the peers' repositories, as the first word: tiny \(github.com/nobody/tiny\)"),
        ({"folder": "nowhere"}, r"folder=nowhere: there is no such folder; it has the peers' repositories: tiny"),
        ({"folder": str(CHECKOUT)}, r"it has none of the repositories: tiny \(github.com/nobody/tiny\)"),
        ({"rows": "tiny,gan"}, r"rows=tiny,gan: rows are all, or some of tiny, joined by commas; got 'gan'"),
        ({"turns": 0}, "turns must be at least 1; got 0"),
        ({"precision": "fp8"}, "precision=fp8: precision is one of auto, 32-true, bf16-mixed"),
    ],
)
def test_faults_of_the_command_line(folder: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        peers.benchmark(**{"folder": str(folder) if given and "folder" not in given else "", **given})


def test_settings_of_the_model_are_checked_and_go_where_they_are_known(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"model.widht: no model of these rows .* Did you mean width\?") as caught:
        peers.benchmark(str(folder), model={"widht": 8, "width": "wide"})
    assert any(fault.startswith("model.width") for fault in caught.value.faults)
