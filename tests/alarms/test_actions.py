"""Actions on alarms: warnings, stops, rollbacks, and the healthy checkpoints that they need."""

from __future__ import annotations

import re
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

import zoo
from tests.helpers.training import tiny_dcgan
from zoo.alarms.healthy import HealthyCheckpoints
from zoo.alarms.named import ALARMS, REMEDIES
from zoo.alarms.records import Records
from zoo.callbacks import Alarms
from zoo.config.settings import settings_of
from zoo.errors import CheckpointError
from zoo.io.files import read_jsonl
from zoo.io.run_folder import RunFolder, checkpoints_in
from zoo.runs.fitting import summary
from zoo.runs.history import read_run
from zoo.runs.watching.status import status_of

BATCH = 32
HEALTHY = 90
"""Round of the first healthy checkpoint; it is confirmed 32 rounds later."""
WARM = 126
"""Rounds of the healthy run."""
BROKEN = WARM + 8
"""Last healthy round of a broken run."""
SETTINGS: dict[str, Any] = {
    "model": {"width": 8},
    "data": {"batch_size": BATCH},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 6, "precision": "32-true"},
}
CALLBACKS: dict[str, Any] = {
    "SampleGrid": None,
    "SampleMetrics": None,
    "SaveEvery": {"every": 3 * BATCH, "keep": 100},
}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A healthy run with alarms, the start of all broken ones."""
    folder = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.alarms.healthy.KEEP_ROUNDS", HEALTHY)
        alarms = {"rounds": 2, "keep_healthy": True}
        callbacks = {**CALLBACKS, "Alarms": alarms}
        zoo.fit("dcgan_digits", out=folder, images=BATCH * WARM, callbacks=callbacks, **SETTINGS)
    assert not (folder / "alarms" / "events.jsonl").exists()
    return folder


def broken(warm: Path, kind: str, folder: Path, until: int = 0, **alarms: Any) -> zoo.runs.training_run.Run:
    """Continue the run for 8 healthy rounds and then in a broken way."""
    shutil.copytree(warm, folder, dirs_exist_ok=True)
    plan = {"class": "breakages.Breaks", "kind": kind, "after": BROKEN, "until": until}
    return zoo.fit(resume=folder, images=BATCH * (WARM + 40), callbacks={"Alarms": alarms, "Breaks": plan})


@pytest.fixture(scope="module")
def stopped(warm: Path, tmp_path_factory: pytest.TempPathFactory) -> zoo.runs.training_run.Run:
    """A run with a generator rate that is too high, stopped by its alarm."""
    return broken(warm, "generator_rate", tmp_path_factory.mktemp("stopped"), action="stop")


@pytest.mark.parametrize(
    ("kind", "family", "where"),
    [("generator_rate", "signal escalation", "/g/"), ("frozen", "loss of diversity", "near-duplicate")],
)
def test_a_broken_run_raises_an_alarm_within_a_dozen_rounds(
    kind: str, family: str, where: str, stopped: zoo.runs.training_run.Run, warm: Path, tmp_path: Path
) -> None:
    run = stopped if kind == "generator_rate" else broken(warm, kind, tmp_path, action="stop")
    events = read_jsonl(run.folder / "alarms" / "events.jsonl")
    assert events[0]["alarm"] == family
    assert where in events[0]["reason"]
    assert BROKEN < events[0]["round"] <= BROKEN + 12
    assert set(events[0]) == {"images_seen", "round", "alarm", "reason", "action", "healthy"}
    assert {event["action"] for event in events} == {"stop"}
    assert run.model.rounds == events[0]["round"]


def test_rollback_restores_what_was_healthy_and_lets_rates_rise_again(
    warm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = broken(warm, "generator_rate", tmp_path, until=BROKEN + 10, action="rollback", rollbacks=5)
    events = read_jsonl(tmp_path / "alarms" / "events.jsonl")
    healthy = events[0]["healthy"]
    assert int(healthy.split(".")[0]) == BATCH * HEALTHY
    assert {event["action"] for event in events} == {f"rollback to {healthy}"}
    rolled = len({event["round"] for event in events})
    since = run.model.rounds + 1 - events[-1]["round"]  # rates rise from 0 over 100 rounds
    assert run.model.lr_factor == pytest.approx(0.5 ** (rolled - 1) * min(1, since / 100))
    # The clock went on, and the run became longer by the rounds undone.
    undone = events[-1]["images_seen"] - BATCH * HEALTHY
    length = BATCH * (WARM + 40)
    assert (run.model.images_seen, run.model.images_undone) == (length + undone, undone)
    assert run.model.progress == length
    sentence = " ".join(status_of(read_run(tmp_path)).facts)
    assert f"{run.model.images_seen:,} images seen, including those of rounds that a rollback undid" in sentence
    assert zoo.fit(resume=tmp_path).model.images_seen == length + undone
    output = capsys.readouterr().out
    assert f"is finished, with all of its {length:,} images" in output
    assert f"ALARM at {events[0]['images_seen']:,} images, {events[0]['alarm']}: " in output
    after = min(path for path in checkpoints_in(tmp_path) if int(path.stem) > events[-1]["images_seen"])
    state = torch.load(after, weights_only=True)
    assert state["callbacks"]["Alarms"]["rolled_back"] == rolled
    assert state["zoo"]["images_undone"] == undone
    before = torch.load(tmp_path / "healthy" / healthy, weights_only=True)["state_dict"]["generator.body.0.weight"]
    moved = (state["state_dict"]["generator.body.0.weight"] - before).norm() / before.norm()
    assert moved < 0.5  # ten rounds of the spike move it by more than 1


class Poisons(Callback):
    """Sets a weight to NaN once, as a division by zero would."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if pl_module.rounds == self.after:
            with torch.no_grad():
                next(pl_module.generator.parameters()).fill_(float("nan"))


@pytest.mark.parametrize("after", [WARM + 1, WARM + 5, WARM + 8])
def test_rollback_undoes_what_is_not_finite_before_a_log_or_a_checkpoint_ends_the_run(
    after: int, warm: Path, tmp_path: Path
) -> None:
    """Losses are logged every 6 rounds, checkpoints saved every 3, readings taken every 5."""
    shutil.copytree(warm, tmp_path, dirs_exist_ok=True)
    poison = {"class": f"{__name__}.Poisons", "after": after}
    length = BATCH * (WARM + 14)
    callbacks = {"Poisons": poison, "Alarms": {"action": "rollback", "rounds": 5}}
    run = zoo.fit(resume=tmp_path, images=length, callbacks=callbacks)
    events = read_jsonl(tmp_path / "alarms" / "events.jsonl")
    assert "not finite" in {event["alarm"] for event in events}
    assert len({event["round"] for event in events}) == 1
    assert after < events[0]["round"] <= after + 5
    assert run.model.progress == length
    run.model.assert_finite()
    saved = {int(path.stem) // BATCH for path in checkpoints_in(tmp_path)}
    assert not saved & set(range(after + 1, events[0]["round"]))  # none of the broken state
    for exhausted in ({"action": "rollback", "rollbacks": 0}, {"action": "warn"}):
        shutil.rmtree(tmp_path)
        shutil.copytree(warm, tmp_path)
        with pytest.raises(zoo.NonFiniteLossError, match="not finite"):
            zoo.fit(resume=tmp_path, images=length, callbacks={"Poisons": poison, "Alarms": {**exhausted, "rounds": 5}})


def test_the_run_stops_when_rollbacks_are_used_up(warm: Path, tmp_path: Path) -> None:
    run = broken(warm, "generator_rate", tmp_path, action="rollback", rollbacks=0)
    actions = {event["action"] for event in read_jsonl(tmp_path / "alarms" / "events.jsonl")}
    assert actions == {"stop, the rollbacks are used up"}
    assert run.model.rounds < BROKEN + 22


def test_the_summary_of_a_stop_names_the_healthy_checkpoint_to_resume(
    stopped: zoo.runs.training_run.Run, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stopped.folder, folder)
    run = replace(stopped, folder=folder)
    assert run.alarm is not None
    assert run.alarm["alarm"] == "signal escalation"
    healthy = folder / "healthy" / run.alarm["healthy"]
    text = summary(run)
    of = f"{run.model.images_seen:,} of {BATCH * (WARM + 40):,} images"
    assert text.startswith(f"stopped by the alarm 'signal escalation' at {of}\n")
    assert f"before it: python -m zoo.fit resume={healthy}\n" in text
    later = {path.name for path in checkpoints_in(folder) if path.name > healthy.name}
    assert later
    zoo.fit(resume=healthy, images=BATCH * (HEALTHY + 10), callbacks={"Breaks": None})
    assert checkpoints_in(folder)[0].name == f"{BATCH * (HEALTHY + 10):012d}.ckpt"  # what resume= takes next
    assert {path.name for path in (folder / "checkpoints" / "left").glob("*/*")} == later


def test_without_a_healthy_checkpoint_a_rollback_is_a_stop_that_says_why(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.alarms.healthy.KEEP_ROUNDS", 10**6)
    start = tmp_path / "start"
    shutil.copytree(warm, start)
    shutil.rmtree(start / "healthy")
    run = broken(start, "frozen", tmp_path / "run", action="rollback")
    assert run.alarm is not None
    assert run.alarm["action"] == "stop, no state has been judged healthy yet"
    assert "no state had been judged healthy yet" in summary(run)


def test_the_state_from_before_an_alarm_stays_when_the_collapse_has_become_the_baseline(
    warm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.alarms.healthy.KEEP_ROUNDS", 20)
    shutil.copytree(warm, tmp_path, dirs_exist_ok=True)
    plan = {"class": "breakages.Breaks", "kind": "frozen", "after": BROKEN}
    zoo.fit(resume=tmp_path, images=BATCH * 222, callbacks={"Alarms": {"keep_healthy": True}, "Breaks": plan})
    events = read_jsonl(tmp_path / "alarms" / "events.jsonl")
    there = {path.name for path in (tmp_path / "healthy").iterdir()}
    assert events[0]["healthy"] in there
    assert len(there) > 1  # later ones were kept, too


def test_what_the_newest_checkpoint_would_roll_back_to_is_spared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = HealthyCheckpoints()
    kept.confirmed = "000000005120.ckpt"
    saved = kept.state_dict()  # of the run's own checkpoint

    class Saves:
        default_root_dir, is_global_zero = str(tmp_path), True

        def save_checkpoint(self, path: Path) -> None:
            path.parent.mkdir(exist_ok=True)
            kept.state_dict()
            path.write_bytes(b"")

    model = tiny_dcgan()
    monkeypatch.setattr(model, "assert_finite", lambda: None)
    for images in (5120, 7680, 10240):
        model.images_seen = images
        kept.keep(Saves(), model)  # type: ignore[arg-type]
        kept.confirmed, kept.candidate = kept.candidate, ""
    assert sorted(path.name for path in (tmp_path / "healthy").iterdir())[0] == saved["confirmed"]
    again = HealthyCheckpoints()
    again.load_state_dict(saved, tmp_path)
    assert (again.confirmed, again.named) == (saved["confirmed"], saved["confirmed"])


def test_a_healthy_checkpoint_that_could_not_be_written_spares_the_same_files_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = HealthyCheckpoints()
    kept.named, kept.confirmed = "000000005120.ckpt", "000000007680.ckpt"

    class Full:
        default_root_dir, is_global_zero = str(tmp_path), True
        strategy = SimpleNamespace(barrier=lambda: None)

        def save_checkpoint(self, path: Path) -> None:
            kept.state_dict()
            raise CheckpointError("No space left on device")

    model = tiny_dcgan()
    monkeypatch.setattr(model, "assert_finite", lambda: None)
    with pytest.warns(UserWarning, match="No space left on device. Training goes on without this healthy checkpoint"):
        kept.keep(Full(), model)  # type: ignore[arg-type]
    assert (kept.named, kept.candidate) == ("000000005120.ckpt", "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept.keep(Full(), model)  # type: ignore[arg-type]  # said once
    with pytest.warns(UserWarning, match=r"^healthy checkpoints that are missing: 2 of 2 \(2: No space left on device"):
        kept.missing.say()


def test_an_alarm_of_full_readings_alone_is_raised_once_and_not_at_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasts = {"lasts": lambda now: "so" if "score/held_out" in now.values else None}
    monkeypatch.setattr("zoo.alarms.callback.ALARMS", lasts)
    callbacks = {**CALLBACKS, "SaveEvery": None, "Alarms": {"rounds": 1}}
    settings = {**SETTINGS, "model": {"width": 4}, "data": {"batch_size": 8}}
    zoo.fit("dcgan_digits", out=tmp_path, images=8 * 80, callbacks=callbacks, **settings)
    events = read_jsonl(tmp_path / "alarms" / "events.jsonl")
    full = [row for row in read_jsonl(tmp_path / "alarms" / "signals.jsonl") if "score/held_out" in row["values"]]
    assert len(full) == 3  # 25 rounds apart, more than the 16 after which an alarm can be raised again
    assert [event["round"] for event in events] == [25]


def test_readings_before_an_exception_are_written(tmp_path: Path) -> None:
    alarms = Alarms()
    alarms.records = Records(RunFolder(tmp_path), 0)
    for reading in (1, 2):
        alarms.records.signals(64 * reading, reading, reading, {"diversity": 1.0}, "quick")
    assert len(read_jsonl(tmp_path / "alarms" / "signals.jsonl")) == 1  # the first at once
    alarms.on_exception(None, None, ValueError())  # type: ignore[arg-type]
    assert len(read_jsonl(tmp_path / "alarms" / "signals.jsonl")) == 2


def test_the_line_of_an_alarm_names_what_usually_helps() -> None:
    """Row A14: each alarm of the library has a remedy, whose settings exist."""
    settings = set(settings_of(zoo.DCGAN))
    for name in ALARMS:
        assert REMEDIES[name]
        assert {match for match in re.findall(r"model\.(\w+)", REMEDIES[name])} <= settings
