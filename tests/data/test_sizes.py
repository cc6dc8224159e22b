"""Properties of the sizes of image files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from zoo.audit.evidence.folders import list_folder
from zoo.data.sizes import sizes_of
from zoo.errors import UserError


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_has_no_size_and_is_not_waited_for(tmp_path: Path) -> None:
    """Sizes are read by the rule by which images are: row I4."""
    Image.new("RGB", (5, 7)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert sizes_of([tmp_path / "a.png", tmp_path / "pipe.png"]).sizes == ((5, 7), (0, 0))


def test_a_format_that_is_not_read_has_no_size(tmp_path: Path) -> None:
    """A file of Encapsulated PostScript with another ending: row I4."""
    Image.new("RGB", (5, 7)).save(tmp_path / "a.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "drawing.eps")
    (tmp_path / "drawing.eps").rename(tmp_path / "drawing.png")
    assert sizes_of([tmp_path / "a.png", tmp_path / "drawing.png"]).sizes == ((5, 7), (0, 0))


def test_a_folder_below_an_unknown_home_is_refused_in_one_line() -> None:
    """`~NAME` of nobody was a traceback: row R8."""
    with pytest.raises(UserError, match="there is no home folder for ~nobody-of-this-name"):
        list_folder("~nobody-of-this-name/photos", "train")
