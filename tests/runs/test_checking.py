"""Properties of the check of a run before any image is decoded."""

from __future__ import annotations

import pytest

from zoo.config.class_names import other_lightning
from zoo.config.command_line import run_command


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["model.resolution=100"], "100"),
        (["data.class=Folder", "data.root=/no/such/place"], "there is no folder /no/such/place"),
    ],
)
def test_check_builds_the_model_and_looks_for_the_images(
    words: list[str], fragment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check=true` ended with 0 for both: row A6."""
    with pytest.raises(SystemExit) as end:
        run_command("fit", "zoo.runs.fitting.main", ["recipe=dcgan_digits", "check=true", *words])
    told = capsys.readouterr()
    assert end.value.code == 2
    assert fragment in told.err
    assert told.out == ""


def test_a_class_of_the_other_lightning_is_named_with_its_twin() -> None:
    """`lightning.pytorch.callbacks.EarlyStopping`: row W4."""
    theirs = type("EarlyStopping", (), {"__module__": "lightning.pytorch.callbacks"})
    told = "the zoo runs on pytorch_lightning: use pytorch_lightning.callbacks.EarlyStopping"
    assert other_lightning(theirs) == f"EarlyStopping comes from `lightning`; {told}"
    assert other_lightning(type("Mine", (theirs,), {})) == f"Mine extends EarlyStopping of `lightning`; {told}"
    assert other_lightning(dict) == ""
