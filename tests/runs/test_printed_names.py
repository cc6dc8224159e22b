"""Names of folders, groups and metrics in the tables of the console: as they are, though they look like markup."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo.evaluation.numbers import Number
from zoo.runs.comparing.comparison import Comparison, Row, Table
from zoo.runs.comparing.output import print_comparison
from zoo.runs.comparing.statistics import spread_of
from zoo.runs.evaluation_results import Evaluation, print_table
from zoo.runs.published import Beside, print_beside

ODD = ["photos[a]", "fake[/i]", "a:smile:b", "betas=[0.0, 0.9]", r"back\[b]"]


@pytest.mark.parametrize("name", ODD)
def test_an_evaluation_prints_names_as_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    protocol = {"n_real": 10, "n_fake": 10}
    number = Number("mine", f"mine-{name}", 1.0, None, None, None, None, True, protocol)
    print_table(Evaluation(f"{name} against real", Path("x.json"), [{"truncation": None, "numbers": [number]}]))
    printed = capsys.readouterr().out
    assert f"{name} against real" in printed
    assert f"mine-{name}" in printed


@pytest.mark.parametrize("name", ODD)
def test_a_comparison_prints_names_as_they_are(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.array([1.0, 2.0]).tolist()
    row = Row(f"g {name}", "last", [0, 1], values, [5, 5], spread_of(values), None, 0, None)
    print_comparison(Comparison([], [Table(f"FD-{name}", "held_out", None, {}, [row], [], [])]))
    printed = capsys.readouterr().out
    assert f"g {name}" in printed
    assert f"FD-{name} on held-out images" in printed


@pytest.mark.parametrize("name", ODD)
def test_published_numbers_are_printed_as_their_recipe_has_them(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"number": "FID", "value": 1.0, "spread": None, "of": "DCGAN", "protocol": "p", "read": "source"}
    print_beside([Beside({**entry, "source": name}, None, "")])
    assert name in capsys.readouterr().out
