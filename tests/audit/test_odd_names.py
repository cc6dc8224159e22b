"""An audit of folders whose names are not UTF-8, as those of an archive from another system are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.audit.command import run_audit

CLASSES = (b"K\xe4fer", b"Hund")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_classes_whose_names_are_not_utf8_are_in_the_report(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for role in ("fake", "train", "held_out"):
        for name in CLASSES:
            folder = tmp_path / role / os.fsdecode(name)
            folder.mkdir(parents=True)
            for i in range(60):
                Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    run_audit(
        fake=str(tmp_path / "fake"),
        train=str(tmp_path / "train"),
        held_out=str(tmp_path / "held_out"),
        only="coverage",
        budget="quick",
        extractor="pixels",
        out=str(tmp_path / "report"),
    )
    for file in ("report.html", "report.md"):
        assert "udce4fer" in (tmp_path / "report" / file).read_text(encoding="utf-8")
