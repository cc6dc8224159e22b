"""The example for Optuna, run with a study of one trial in place of the package, which is no dependency."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zoo.compare import compare

EXAMPLE = Path(__file__).parent.parent / "examples" / "optuna_sweep.py"


class Trial:
    """A trial that suggests the first choice and the lowest number, and keeps what it is told."""

    number = 7

    def __init__(self) -> None:
        self.user_attrs: dict[str, Any] = {}
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: list[int]) -> int:
        return self.params.setdefault(name, choices[0])

    def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> float:
        return self.params.setdefault(name, low)

    def set_user_attr(self, name: str, value: Any) -> None:
        self.user_attrs[name] = value


class Study:
    """A study of one trial."""

    def optimize(self, objective: Any, n_trials: int) -> None:
        assert n_trials == 1
        self.best_trial = Trial()
        self.best_value = objective(self.best_trial)
        self.best_params = self.best_trial.params


def test_a_trial_is_worth_the_mean_over_its_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna", SimpleNamespace(create_study=lambda **options: Study()))
    metrics = {"every": 1000, "n": 40, "metrics": ["fid"]}
    callbacks = {"SampleGrid": None, "SampleMetrics": metrics, "Alarms": None}
    study = runpy.run_path(str(EXAMPLE))["main"](
        1, seeds=(0, 1), images=64, callbacks=callbacks, trainer={"accelerator": "cpu"}
    )
    (table, _) = compare(["runs/optuna/7"], metric="fd").tables  # on training and on held-out images
    assert study.best_params == {"width": 16, "generator_lr": 1e-4}
    assert study.best_value == pytest.approx(sum(table.rows[-1].values) / 2, rel=1e-12)
    deviation = abs(table.rows[-1].values[0] - table.rows[-1].values[1]) / 2**0.5
    assert study.best_trial.user_attrs == {"deviation over seeds": pytest.approx(deviation, rel=1e-9)}
