"""Options of `python -m zoo.evaluate` that would have no effect are refused before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.config.command_line import run_command
from zoo.runs.evaluation_request import metric_names
from zoo.runs.measuring import main

FOLDERS = ["real=real", "fake=fake"]
RUN = ["checkpoint=dcgan_digits"]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ([*FOLDERS, "best=true"], "best=true has no effect here: it goes beside checkpoint=RUN"),
        ([*FOLDERS, "split=train"], "split=train has no effect here: it goes beside checkpoint=RUN"),
        ([*FOLDERS, "cls=my_ideas.Mine"], "cls=my_ideas.Mine has no effect here"),
        ([*RUN, "resolution=64"], "resolution=64 has no effect here: it is for two folders"),
        ([*RUN, "real=stats.npz", "split=train"], "split=train has no effect here: it chooses among the images of"),
        ([*RUN, "stats=s.npz", "component=0"], "component=0 has no effect here: it is for a measurement"),
        ([*RUN, "stats=s.npz", "best=true"], "best=true has no effect here: it is for a measurement"),
        (["real=real", "stats=s.npz", "metrics=fid"], "metrics=fid has no effect here: it is for a measurement"),
        (["real=real", "stats=s.npz", "out=n.json"], "out=n.json has no effect here: it is for a measurement"),
    ],
)
def test_an_option_without_effect_is_refused(
    words: list[str], option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run_command("evaluate", main, words)
    assert ended.value.code == 2
    assert f"zoo.evaluate: {option}" in capsys.readouterr().err


def test_a_metric_that_is_named_twice_is_measured_once() -> None:
    assert metric_names("fid, kid,fid") == ["fid", "kid"]
