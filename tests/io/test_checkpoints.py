"""Tests of checkpoints: hostile and damaged files are refused, and a full disk leaves earlier checkpoints intact."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from tests.helpers.training import equal, tiny_dcgan, tiny_mlp, train, weights
from zoo.errors import CheckpointError
from zoo.io.checkpoints import CheckpointFiles, load_weights, read_checkpoint
from zoo.io.run_folder import checkpoints_in


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / "000000000016.ckpt"
    train(tiny_dcgan(), 2, tmp_path, plugins=[CheckpointFiles()]).save_checkpoint(path)
    return path


class Bomb:
    """An object that creates a folder when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(writer: str, tmp_path: Path) -> None:
    target, path = tmp_path / "it_ran", tmp_path / "bomb.ckpt"
    content = {"state_dict": {}, "zoo": {"images_seen": 1, "rounds": 1}, "bomb": Bomb(target)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match=r"is refused: it holds Python objects .* could run code"):
        read_checkpoint(path)
    with pytest.raises(CheckpointError, match="is refused"):
        zoo.load_run(path)
    assert not target.exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused_with_the_reason(share: float, saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"damaged or incomplete|is refused"):
        read_checkpoint(saved)


def test_another_architecture_is_refused_and_the_model_left_alone(saved: Path) -> None:
    state = read_checkpoint(saved)
    for other in (tiny_dcgan(width=8), tiny_mlp()):
        before = weights(other)
        with pytest.raises(CheckpointError, match=r"belongs to another architecture than (DCGAN|VanillaGAN)"):
            load_weights(other, state, saved)
        assert all(torch.equal(before[name], tensor) for name, tensor in other.state_dict().items())


def test_the_mismatch_is_named(saved: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"generator.stem.1.weight is \(5, 8, 4, 4\), the model's \(5, 16, 4, 4\)"
    ):
        load_weights(tiny_dcgan(width=8), read_checkpoint(saved), saved)


def test_a_file_of_other_origin_is_no_run_state(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="is not a checkpoint of a zoo run"):
        read_checkpoint(tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="there is no checkpoint file"):
        read_checkpoint(tmp_path / "missing.ckpt")


def test_a_lone_checkpoint_never_chooses_what_is_imported(saved: Path) -> None:
    state = torch.load(saved, weights_only=True)
    state["zoo"]["class"] = "os.system"
    torch.save(state, saved)
    with pytest.raises(CheckpointError, match="holds a system of os, which is no class of the zoo"):
        zoo.load_run(saved)


def clock(state: dict[str, Any], **values: Any) -> None:
    state["zoo"].update(values)


def weight(state: dict[str, Any], change: Callable[[torch.Tensor], Any]) -> None:
    state["state_dict"]["average.stem.1.weight"] = change(state["state_dict"]["average.stem.1.weight"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: clock(s, images_seen=True), "images_seen is True"),
        (lambda s: clock(s, images_seen=-1), "images_seen is -1"),
        (lambda s: clock(s, images_undone=17), "images_undone is 17, more than images_seen"),
        (lambda s: clock(s, rounds="2"), "rounds is '2', no whole number"),
        (lambda s: s["zoo"].pop("rounds"), "rounds is None"),
        (lambda s: clock(s, **{"class": None}), "class is None"),
        (lambda s: clock(s, terms={"d/adversarial": [1.0]}), r"the term d/adversarial is \[1.0\]"),
        (lambda s: s.update(zoo="x"), "its record is a str, no mapping"),
        (lambda s: s.update(loops={"x": {"total": {"processed": None}}}), "the count processed of a loop is None"),
        (
            lambda s: s.update(loops={"fit_loop": {"state_dict": {"combined_loader": torch.zeros(3)}}}),
            "the states of the loaders are a Tensor, no list",
        ),
        (lambda s: s.update(state_dict=[]), "its weights are a list, no mapping"),
        (lambda s: weight(s, lambda w: [w]), "the weight average.stem.1.weight is a list"),
        (
            lambda s: weight(s, lambda w: w.to("meta")),
            "average.stem.1.weight has no plain numbers .torch.strided on meta",
        ),
        (lambda s: weight(s, lambda w: w.to_sparse()), "average.stem.1.weight has no plain numbers .torch.sparse_coo"),
        (lambda s: weight(s, lambda w: w.long()), "average.stem.1.weight is torch.int64, the model's torch.float32"),
        (lambda s: s.update(hyper_parameters=3), "its hyper_parameters are 3, no settings"),
        (lambda s: s["hyper_parameters"].update(width="x"), "width: 'x' is not an integer"),
        (lambda s: s["hyper_parameters"].update(width=10**6), r"its tensors are not those of DCGAN with its arguments"),
        (lambda s: clock(s, **{"class": "zoo.data.digits.Digits"}), "Digits is no variant of a GAN"),
    ],
)
def test_content_that_no_run_writes_is_refused_with_what_was_found(change: Any, reason: str, saved: Path) -> None:
    """The checksums are right, but not what they are of: found by `tests/fuzz/damaged.py`."""
    state = torch.load(saved, weights_only=True)
    change(state)
    torch.save(state, saved)
    with pytest.raises(CheckpointError, match=reason):
        zoo.load_run(saved)


def test_weights_of_another_precision_are_read(saved: Path) -> None:
    expected = zoo.load_run(saved)
    state = torch.load(saved, weights_only=True)
    weight(state, lambda w: w.double())
    torch.save(state, saved)
    assert equal(weights(zoo.load_run(saved)), weights(expected))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s["optimizer_states"][0].pop("param_groups"), "KeyError"),
        (lambda s: s["optimizer_states"][0]["state"][0].update(exp_avg="x"), "the exp_avg of a weight .* is a str"),
        (
            lambda s: s["optimizer_states"][1]["state"][0].update(exp_avg_sq=torch.zeros(3)),
            r"the exp_avg_sq .* is \(3,\)",
        ),
        (
            lambda s: s["optimizer_states"][1]["state"][2].update(
                second=s["optimizer_states"][1]["state"][2].pop("exp_avg_sq")
            ),
            "not all of its weights have exp_avg_sq and second",
        ),
        (
            lambda s: s["optimizer_states"][1]["param_groups"][0]["params"].__setitem__(0, 3.7),
            "there is a state of 0, which is no weight",
        ),
        (lambda s: s["optimizer_states"][0]["param_groups"][0].update(eps=[1e-8]), "eps is '.1e-08.', no number"),
        (lambda s: s["optimizer_states"][0]["param_groups"][0].pop("betas"), "its optimizer has no betas"),
        (lambda s: s["optimizer_states"][0]["param_groups"][0].update(betas=[0.5]), "betas is '.0.5.', not 2 numbers"),
        (lambda s: s["optimizer_states"][1]["param_groups"][0].update(betas=[0.5, "x"]), "betas is .*, no number"),
        (lambda s: s.update(loops=5), "TypeError|AttributeError"),
        (lambda s: s["callbacks"]["Alarms"].update(read_at=None), "TypeError"),
        (
            lambda s: s["callbacks"]["Alarms"]["habits"]["tracks"].update(x={"count": "2"}),
            "count of a signal is '2', no",
        ),
        (lambda s: s["Digits"].pop("digest"), "KeyError: 'digest'"),
    ],
)
def test_a_state_that_cannot_be_restored_is_refused(change: Any, reason: str, tmp_path: Path) -> None:
    """Of optimizers, loops, callbacks and data, which Lightning restores: found by `tests/fuzz/damaged.py`."""
    run, path = changed_run(tmp_path, change)
    with pytest.raises(CheckpointError, match=rf"{path} cannot be restored \(.*({reason}).*pretrained=FILE"):
        zoo.fit(resume=run, images=128)


def test_a_missing_optimizer_is_not_begun_anew(tmp_path: Path) -> None:
    """Lightning restores as many optimizers as there are states; the last one would have lost its moments unsaid."""
    run, path = changed_run(tmp_path, lambda state: state["optimizer_states"].pop())
    with pytest.raises(CheckpointError) as caught:
        zoo.fit(resume=run, images=128)
    assert str(caught.value) == (
        f"{path} cannot be resumed: it has the state of 1 optimizers, and this model one for each of d, g. "
        "Fine-tune from its weights in a new run: pretrained=FILE"
    )


def changed_run(folder: Path, change: Callable[[dict[str, Any]], Any]) -> tuple[Path, Path]:
    """Train for a round, and change the content of the checkpoint; return the run folder and the checkpoint."""
    small: dict[str, Any] = {"model": {"width": 4}, "trainer": {"accelerator": "cpu"}}
    run = zoo.fit("dcgan_digits", out=folder / "run", images=64, **small, callbacks={"SampleMetrics": None}).folder
    (path,) = checkpoints_in(run)
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)
    return run, path


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Limit the size of this process's files to `size` bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one_intact(saved: Path) -> None:
    before = saved.read_bytes()
    with files_up_to(len(before) // 2), pytest.raises(CheckpointError, match=r"cannot write .*000016.ckpt: .*intact"):
        CheckpointFiles().save_checkpoint(read_checkpoint(saved), saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]  # no scratch file is left


def test_training_goes_on_when_a_checkpoint_cannot_be_written(tmp_path: Path) -> None:
    from zoo.callbacks import SaveEvery

    class FillsUp(SaveEvery):
        """A `SaveEvery` for which the disk is full from the third save on, until the end of the run."""

        def act(self, trainer: Any, model: zoo.GAN) -> None:
            if model.images_seen >= 24 and not trainer.should_stop and trainer.training and model.rounds < 6:
                with files_up_to(1000):
                    return super().act(trainer, model)
            return super().act(trainer, model)

    with pytest.warns(UserWarning, match=r"cannot write .* Training goes on; the next attempt is in 8 images"):
        train(tiny_mlp(), 6, tmp_path, callbacks=[FillsUp(every=8, keep=10)], plugins=[CheckpointFiles()])
    assert [int(path.stem) for path in checkpoints_in(tmp_path)] == [48, 16, 8]


def test_only_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    from zoo.callbacks import SaveEvery

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".7.000000000016.ckpt").write_bytes(b"from a process that was killed in mid-write")
    train(tiny_mlp(), 10, tmp_path, callbacks=[SaveEvery(every=16, keep=2)], plugins=[CheckpointFiles()])
    assert [int(path.stem) for path in checkpoints_in(tmp_path)] == [80, 64]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_a_broken_state_is_never_saved(tmp_path: Path) -> None:
    from zoo.callbacks import SaveEvery

    class Breaks(zoo.VanillaGAN):
        def on_clock(self, before: int, now: int) -> None:
            if now == 40:
                with torch.no_grad():
                    next(self.generator.parameters()).fill_(float("inf"))

    model = Breaks(resolution=4, channels=1, latent_dim=3, width=8)
    with pytest.raises(zoo.NonFiniteLossError, match=r"weights are not finite: generator"):
        train(model, 10, tmp_path, callbacks=[SaveEvery(every=8, keep=10)], plugins=[CheckpointFiles()])
    assert [int(path.stem) for path in checkpoints_in(tmp_path)] == [32, 24, 16, 8]


@pytest.mark.skipif(shutil.which("mount") is None or os.name != "posix" or os.geteuid() != 0, reason="needs to mount")
def test_a_truly_full_disk(tmp_path: Path, saved: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {disk} 2>/dev/null") != 0:
        pytest.skip("this machine does not allow mounts")
    try:
        target = disk / "a.ckpt"
        state = {**read_checkpoint(saved), "filler": torch.zeros(50_000)}
        CheckpointFiles().save_checkpoint(state, target)
        before = target.read_bytes()
        with pytest.raises(CheckpointError, match="No space left on device"):
            CheckpointFiles().save_checkpoint({**state, "filler": torch.zeros(250_000)}, target)
        assert target.read_bytes() == before
        assert [path.name for path in disk.iterdir()] == ["a.ckpt"]
    finally:
        os.system(f"umount {disk}")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        *(("images_seen", value, "no whole number from 0") for value in (True, 1.5, float("nan"), -1, "many", None)),
        ("rounds", [], "no whole number from 0"),
        ("images_undone", None, "no whole number from 0"),
        ("images_undone", 65, "images_undone is 65, more than images_seen, 64"),
        ("class", {}, "no name"),
        ("class_names", True, "no list of names"),
        ("terms", 1.5, "no mapping"),
    ],
)
def test_what_a_checkpoint_says_of_its_run_is_checked(name: str, value: Any, told: str, tmp_path: Path) -> None:
    """Row R2: true, NaN and 1.5 were taken for numbers of images; others ended in a traceback."""
    record = {"images_seen": 64, "rounds": 1, "class": "zoo.models.dcgan.DCGAN"}  # as of version 0.1.0
    path = tmp_path / "x.ckpt"
    torch.save({"state_dict": {}, "zoo": record}, path)
    assert read_checkpoint(path)["zoo"] == record
    torch.save({"state_dict": {}, "zoo": {**record, name: value}}, path)
    with pytest.raises(CheckpointError, match=rf"x\.ckpt is refused: .*{told}") as refused:
        read_checkpoint(path)
    assert name in str(refused.value)
