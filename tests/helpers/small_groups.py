"""Groups of runs that are planned in a folder, new or resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.runs.groups import Group, asked_group
from zoo.runs.recipes import load_recipe

SETTINGS: dict[str, Any] = {
    "images": 256,
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 1},
    "callbacks": {
        "SampleGrid": None,
        "SampleMetrics": {"every": 128, "n": 40, "metrics": ["fid"]},
        "Alarms": None,
        "SaveEvery": {"every": 128},
    },
}


def new_group(folder: Path, **options: Any) -> Group:
    options = {"seeds": "0,1,2", "overrides": SETTINGS, **options}
    found = asked_group(load_recipe, "dcgan_digits", out=folder, **options)
    assert found is not None
    return found


def again(folder: Path) -> Group:
    found = asked_group(load_recipe, None, resume=folder)
    assert found is not None
    return found
