"""Every block of code of the start page and the guides works as it is printed.

The blocks of a page run one after another in one folder. A comment before a block says what is special about it:

- `<!-- file: NAME -->`: the block is the content of a file;
- `<!-- smaller: WORDS -->`: what a command takes in addition here, in place of its own words of the same name; for
  Python, `OLD => NEW`, several of them parted by `;`;
- `<!-- not run: REASON -->`.
"""

from __future__ import annotations

import re
import runpy
import shlex
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
PAGES = ["index.md", *(f"guides/{path.name}" for path in sorted((ROOT / "docs/guides").glob("*.md")))]
BLOCK = re.compile(r"(?:<!-- ([\w ]+): (.*?) -->\n\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OWN_MODULES = ("my_ideas", "my_alarms")
COMMANDS_WITH = {"n": ("sample", "evaluate"), "only": ("audit",), "budget": ("audit",)}
"""Words that not every command of a block takes."""


class Block(NamedTuple):
    marker: str
    value: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall((ROOT / "docs" / page).read_text())]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with photographs, which the reader of some pages is said to have."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    random = np.random.default_rng(0)
    for name, count in {"photos/cats": 20, "photos/dogs": 20, "other_photos/cats": 20, "other_photos/dogs": 20}.items():
        Path(name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(random.integers(0, 256, (40, 36, 3), dtype=np.uint8)).save(f"{name}/{i}.png")
    np.savez("samples.npz", random.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    forget_own_modules()  # another test may have written one of the same name
    yield tmp_path
    forget_own_modules()


def forget_own_modules() -> None:
    """Let the modules that a page tells the reader to write be imported anew."""
    for name in OWN_MODULES:
        sys.modules.pop(name, None)


def run_module(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `python -m NAME WORDS` in this process, which has loaded torch already."""
    monkeypatch.setattr(sys, "argv", [name, *words])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the module was imported before
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(name, run_name="__main__", alter_sys=False)
    assert not ended.value.code, f"{name} {' '.join(words)}: exit code {ended.value.code}"


def smaller(command: list[str], added: list[str]) -> list[str]:
    """The words of a command with those that make it small; a word of the same name is replaced."""
    name = command[0].removeprefix("zoo.")
    fitting = [word for word in added if name in COMMANDS_WITH.get(re.split(r"[.=]", word)[0], (name,))]
    taken = {word.partition("=")[0] for word in fitting}
    if name == "sample":  # a number of images is given in one of two ways
        fitting = [word for word in fitting if word.partition("=")[0] in {w.partition("=")[0] for w in command[1:]}]
    return [command[0], *(w for w in command[1:] if w.partition("=")[0] not in taken), *fitting]


def run_bash(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:2] == ["python", "-m"] and words[2].startswith("zoo"):
            command = smaller(words[2:], block.value.split() if block.marker == "smaller" else [])
            accelerator = ["trainer.accelerator=cpu"] if command[0] == "zoo.fit" else []
            run_module(command[0], [*command[1:], *accelerator], monkeypatch)
        elif words[:1] == ["python"]:
            runpy.run_path(words[1], run_name="__main__")
        else:
            raise AssertionError(f"no way to run {line!r}: a command of the library, or a marker with a reason")


def run_python(block: Block, names: dict[str, object]) -> None:
    text = block.text
    for change in block.value.split(" ; ") if block.marker == "smaller" else []:
        old, new = change.split(" => ")
        assert old.strip() in text, old
        text = text.replace(old.strip(), new.strip())
    exec(compile(text, "a block of the page", "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_works_as_it_is_printed(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page == "guides/evaluate.md":  # the reader has generated images, too
        Path("generated").mkdir()
        for i in range(40):
            Image.fromarray(np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
                f"generated/{i}.png"
            )
    if page == "guides/audit-others.md":
        Path("generated").symlink_to("other_photos")
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.marker == "not run":
            continue
        if block.marker == "file":
            Path(block.value).write_text(block.text)
        elif block.language == "bash":
            run_bash(block, monkeypatch)
        else:
            run_python(block, names)


def test_blocks_that_are_not_run_have_a_reason_and_all_others_a_language() -> None:
    found = [block for page in PAGES for block in blocks(page)]
    fences = sum((ROOT / "docs" / page).read_text().count("```") for page in PAGES)
    assert len(found) == fences / 2  # every block is seen
    assert {block.marker for block in found} <= {"", "file", "smaller", "not run"}
    assert {block.language for block in found} == {"bash", "python"}
    reasons = [block.value for block in found if block.marker == "not run"]
    assert len(reasons) <= len(found) / 4
    for reason in reasons:
        assert len(reason.split()) >= 4
        for path in re.findall(r"tests/[\w/]+\.py", reason):
            assert (ROOT / path).is_file(), reason


def test_a_command_that_fails_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="exit code 2"):
        run_bash(Block("", "", "bash", "python -m zoo.fit recipe=nothing\n"), monkeypatch)
    with pytest.raises(AssertionError, match="no way to run"):
        run_bash(Block("", "", "bash", "pip install it\n"), monkeypatch)
