"""Truths of how values are read: rows W1, W2 and W3."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import yaml

from tests.helpers import processes
from zoo.audit.command import main as audit
from zoo.config.arguments import parse_arguments
from zoo.config.command_line import checked_arguments, run_command
from zoo.config.settings import check_settings
from zoo.config.values import Word, read_argument, read_scalar, read_yaml
from zoo.errors import RecipeError, UserError
from zoo.runs.fitting import main as fit
from zoo.runs.recipes import load_recipe
from zoo.runs.training_data import build_data

FILE = "images: 2_000\nmodel: {{class: DCGAN, resolution: 16}}\ndata: {{class: Folder, resolution: 16, {}}}\n"
TEXTS = ["010", "2026_11_28", "1:30", "12:30:45", "0x10", "1e5", "1.50", "no", "on", "true", "True", "64", "0.5", "1_0"]


def checked(hint: Any, text: str) -> Any:
    """The value of a setting of a type, typed on the command line."""

    values, faults = check_settings(_settings(hint), {"x": parse_arguments([f"a.x={text}"])["a"]["x"]}, "")
    if faults:
        raise ValueError(faults[0])
    return values["x"]


def _settings(hint: Any) -> Any:
    def target(x: Any) -> None: ...

    target.__annotations__["x"] = hint
    return target


# --- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*TEXTS, "[0-9]+", "[0-9]", "[ a,b ]", "*.png", "#1", "{2}", "&a", "!x", "`", "a: b"])
def test_a_setting_that_is_a_text_keeps_the_text_typed(text: str) -> None:
    """Rows W1 and W2."""
    recipe = load_recipe("dcgan_digits", parse_arguments(["data.class=Folder", "data.root=a", f"data.match={text}"]))
    assert recipe.data.arguments["match"] == text
    assert type(recipe.data.arguments["match"]) is str


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_without_quotes_in_a_recipe_file_is_that_text(text: str, tmp_path: Path) -> None:
    """Row W1: the rule of arguments holds in files, also in one that was written out."""
    (tmp_path / "mine.yaml").write_text(FILE.format(f"root: a, match: {text}"))
    recipe = load_recipe(tmp_path / "mine.yaml")
    assert (recipe.images, recipe.data.arguments["match"]) == (2000, text)
    (tmp_path / "again.yaml").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "again.yaml").data.arguments == recipe.data.arguments


@pytest.mark.parametrize("text", TEXTS)
def test_settings_of_data_keep_their_text_in_commands_that_check_them_later(text: str) -> None:
    """Row W1, for evaluate and audit, and folders of hub."""
    given = checked_arguments(audit, parse_arguments([f"data.match={text}", f"out={text}"]))
    assert given["out"] == text
    data = build_data({"class": "Folder", "root": "a", "resolution": 8, **given["data"]})
    assert data.match.pattern == text


def test_quotes_may_stand_around_a_text() -> None:
    assert parse_arguments(["a.b='010'", 'a.c="x"', "a.d='x"]) == {"a": {"b": "010", "c": "x", "d": "'x"}}


# --- other types -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (int, "010", 10),
        (int, "20_000", 20_000),
        (float, "1e-3", 0.001),
        (float, "10", 10.0),
        (float, ".inf", float("inf")),
        (bool, "True", True),
        (bool, "no", False),
        (list[str], "[010,b]", ["010", "b"]),
        (tuple[float, float], "[0, 1e-1]", (0.0, 0.1)),
        (str | list[str] | None, "5", "5"),
        (str | list[str] | None, "[5,x]", ["5", "x"]),
        (str | list[str] | None, "null", None),
        (float | list[float] | None, "1", 1.0),
        (float | list[float] | None, "[1,0.5]", [1.0, 0.5]),
        (int | Literal["all"] | None, "all", "all"),
        (int | str | list[int | str] | None, "[cat,1]", ["cat", 1]),
        (dict[int, int], "{8: 010}", {8: 10}),
        (Any, "1e-3", 0.001),
        (Any, "[1,True]", [1, True]),
        (Any, "yes", "yes"),
    ],
)
def test_a_value_is_read_by_the_type_of_its_setting(hint: Any, text: str, value: Any) -> None:
    """Row W1: numbers as Python reads them."""
    found = checked(hint, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "2:00"),
        (int, "0x10"),
        (int, "1e3"),
        (int, "true"),
        (int, "???"),
        (float, "1:30"),
        (str, "null"),
        (float, "1" * 400),
        (list[int], "[[1]]"),
        (dict[int, int], "{8: [1]}"),
        (str | list[str] | None, "{a: b}"),
        (int | Literal["all"] | None, "most"),
    ],
)
def test_a_value_of_another_type_is_refused(hint: Any, text: str) -> None:
    """Rows W1 and W3; OmegaConf lets lists pass among numbers."""
    with pytest.raises(ValueError, match="is not "):
        checked(hint, text)


def test_a_quoted_number_of_a_file_stays_a_text_where_anything_is_allowed() -> None:
    assert read_yaml("{a: '1e-3', b: 1e-3}") == {"a": "1e-3", "b": Word("1e-3")}
    assert [type(value) for value in read_yaml("{a: '1e-3', b: 1e-3}").values()] == [str, Word]
    assert read_scalar("1e-3").value() == 0.001


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["[=1"], "'[' in '[=1' is not the name of a setting: names joined by dots, such as model.width"),
        (["callbacks.Alarms.ignore[0]="], "'callbacks.Alarms.ignore[0]' in"),
        (["callbacks=[]"], "callbacks: must be a mapping from a name to settings"),
        (["model=[1]"], "model: must be a mapping with `class` and its settings; got '[1]'"),
        (["data.batch_size.8=[1]"], "data.batch_size: {8: '[1]'} is not an integer or a mapping"),
        (["callbacks.Alarms.ignore=[[1]]"], "callbacks.Alarms.ignore: [[1]] is not"),
        (["data.class=Folder", "data.root=???"], "data.root: ??? stands for a value that is still to be given"),
        (["images=2:00"], "images: '2:00' is not an integer"),
        (["data.root=a\0b"], "'data.root=a\\x00b' has a NUL character, which no setting can have; leave it out"),
        (
            ["data.root=K\udce4fer"],
            "'data.root=K\\udce4fer' is not UTF-8, as which recipes and reports are written. Rename",
        ),
        (["images=1e6"], "images: 1e6 is not an integer"),
    ],
)
def test_an_argument_that_ended_in_a_traceback_is_a_fault(arguments: list[str], fault: str) -> None:
    """Row W3."""
    with pytest.raises(UserError) as caught:
        load_recipe("dcgan_digits", parse_arguments(arguments))
    assert fault in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 300 + "]" * 300, "a: " + "{a: " * 50 + "1" + "}" * 50, "&a [*a]"])
def test_a_file_that_is_nested_too_deeply_is_refused(text: str, tmp_path: Path) -> None:
    """Row W3."""
    (tmp_path / "deep.yaml").write_text(text)
    with pytest.raises(RecipeError, match="not readable as YAML: nested deeper than 20 levels"):
        load_recipe(tmp_path / "deep.yaml")


def test_a_nul_character_in_a_file_or_in_quotes_is_refused(tmp_path: Path) -> None:
    """Paths with one end in a ValueError of Python: found by `tests/fuzz/command_lines.py` with seed 20261129."""
    (tmp_path / "nul.yaml").write_text('data: {root: "a\\0b"}')
    with pytest.raises(RecipeError, match=r"not readable as YAML: a NUL character in the text 'a\\x00b'"):
        load_recipe(tmp_path / "nul.yaml")
    assert read_argument(r'"a\0b"') == r'"a\0b"'


def test_a_file_that_multiplies_itself_is_refused() -> None:
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]", *(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9))]
    with pytest.raises(yaml.YAMLError, match="more than 100,000 values"):
        read_yaml("\n".join(lines))


@pytest.mark.parametrize(
    ("value", "kind"), [(np.int64(8), "int64"), (torch.tensor(8), "Tensor"), ([object()], "object"), ({1}, "set")]
)
def test_an_object_that_no_recipe_can_express_is_a_fault(value: Any, kind: str) -> None:
    """Row W3, from Python."""
    with pytest.raises(RecipeError, match=rf"model\.width.*: a {kind} cannot be written in a recipe; give a number"):
        load_recipe("dcgan_digits", {"model": {"width": value}})


def test_a_name_with_a_dot_from_python_is_answered_with_what_to_write() -> None:
    """Row A14."""
    with pytest.raises(RecipeError) as caught:
        load_recipe("dcgan_digits", {"model.width": 8, "callbacks.SaveEvery.every": 5})
    assert caught.value.faults == [
        'model.width: names joined by dots are for the command line; from Python give model={"width": ...}',
        "callbacks.SaveEvery.every: names joined by dots are for the command line; from Python give "
        'callbacks={"SaveEvery": {"every": ...}}',
    ]


@pytest.mark.parametrize("arguments", [["zoo"], ["zoo.fit", "recipe=dcgan_digits", "check=true"]])
def test_a_reader_that_closes_the_pipe_ends_a_command_quietly(arguments: list[str]) -> None:
    """Row W8."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    if arguments == ["zoo"]:
        process: Any = subprocess.Popen([sys.executable, "-m", *arguments], **pipes)
    else:
        process = processes.start(["-m", *arguments], **pipes)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait(60)) == ("", 141)
    process.stderr.close()


def test_a_name_that_is_too_long_for_a_path_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Row W3."""
    with pytest.raises(SystemExit) as ended:
        run_command("fit", fit, ["recipe=dcgan_digits", "check=true", f"out={'1' * 400}"])
    assert ended.value.code == 2
    assert "give the path of a file or folder" in capsys.readouterr().err
