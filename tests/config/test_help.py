"""Truths of help: read from source without torch, the same as the live signatures, complete."""

from __future__ import annotations

import inspect
import json
import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pytest

import zoo
from zoo.audit.evidence.budget import BUDGETS
from zoo.audit.questions import NAMES
from zoo.config.arguments import parse_arguments
from zoo.config.command_line import checked_arguments, import_function, split_paths
from zoo.config.docstrings import paragraphs, parse_docstring
from zoo.config.help_text import documentation, help_text
from zoo.config.recipe_files import recipe_names
from zoo.config.settings import settings_of
from zoo.config.type_descriptions import describe_type
from zoo.evaluation import METRICS
from zoo.features import EXTRACTORS
from zoo.hub.__main__ import ACTIONS
from zoo.hub.converting import SOURCES

COMMANDS = {
    "fit": "zoo.runs.fitting.main",
    "sample": "zoo.runs.drawing.main",
    "evaluate": "zoo.runs.measuring.main",
    "compare": "zoo.runs.comparing.command.main",
    "watch": "zoo.runs.watching.command.main",
    "audit": "zoo.audit.command.main",
    "hub": "zoo.hub.__main__.main",
    "data": "zoo.runs.data_report.main",
}
FUNCTIONS = [*COMMANDS.values(), *ACTIONS.values()]


def shown(name: str) -> str:
    """The help of a command."""
    return help_text(name, COMMANDS[name], ACTIONS if name == "hub" else None)


# --- the same as the live signatures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FUNCTIONS)
def test_what_is_read_from_source_is_the_live_signature(path: str) -> None:
    function = inspect.unwrap(import_function(path))
    hints = get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    expected = {p.name: (hints[p.name], p.default) for p in parameters if p.kind is not p.VAR_KEYWORD}
    read = documentation(path)
    assert read.options == expected
    assert list(read.options) == list(expected)
    assert read.docstring == parse_docstring(function.__doc__)
    assert read.further == "".join(p.name for p in parameters if p.kind is p.VAR_KEYWORD)


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_function_itself_gives_the_help_of_its_path(path: str) -> None:
    assert help_text("x", import_function(path)) == help_text("x", path)


@pytest.mark.parametrize("path", FUNCTIONS)
def test_every_option_can_be_given_on_a_command_line_and_is_described(path: str) -> None:
    read = documentation(path)
    assert set(read.options) == set(settings_of(import_function(path)))
    described = set(read.docstring.arguments)
    assert described == {*read.options, read.further} - {""} if described else read.further == "options"
    assert read.docstring.summary.endswith(".")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_shows_summary_options_types_defaults_and_descriptions(name: str) -> None:
    text = shown(name)
    assert text.startswith(f"python -m zoo.{name} key=value ...\n\n")
    for path in [COMMANDS[name], *(ACTIONS.values() if name == "hub" else [])]:
        read = documentation(path)
        assert read.docstring.summary in text
        for option, (hint, default) in read.options.items():
            required = default is inspect.Parameter.empty
            value = "..." if required else default if isinstance(default, str) and default else json.dumps(default)
            (line,) = {line for line in text.splitlines() if line.startswith(f"  {option}={value} (")}
            assert describe_type(hint) in line
            assert ("required" in line) == required
            words = " ".join(read.docstring.arguments[option].replace("None", "null").split())
            assert words in " ".join(text.split())


# --- lists of names --------------------------------------------------------------------------------------------------


def test_the_help_lists_every_metric_with_its_description() -> None:
    items = paragraphs(documentation(COMMANDS["evaluate"]).docstring.arguments["metrics"])[1:]
    assert items == [*(f"- {name}: {kind.description}" for name, kind in METRICS.items()), items[-1]]
    assert items[-1].startswith("- cas: ")


def test_the_help_lists_every_source_of_weights_with_its_description() -> None:
    items = paragraphs(documentation(ACTIONS["convert"]).docstring.arguments["source"])[1:]
    assert items == [f"- {name}: {description}" for name, (_, description) in SOURCES.items()]


@pytest.mark.parametrize("command", ["evaluate", "audit"])
def test_the_help_names_every_extractor(command: str) -> None:
    text = documentation(COMMANDS[command]).docstring.arguments["extractor"]
    for name in EXTRACTORS:
        assert name in text


def test_the_help_names_every_question_and_every_budget() -> None:
    arguments = documentation(COMMANDS["audit"]).docstring.arguments
    assert ", ".join(NAMES) in " ".join(arguments["only"].split())
    for name in BUDGETS:
        assert name in arguments["budget"]


# --- examples --------------------------------------------------------------------------------------------------------

EXAMPLES = [(name, line) for name, path in COMMANDS.items() for line in documentation(path).docstring.examples]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples(name: str) -> None:
    assert [line for command, line in EXAMPLES if command == name]


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_an_example_is_a_call_that_the_command_accepts(name: str, line: str) -> None:
    python, flag, module, *arguments = shlex.split(line)
    assert (python, flag, module) == ("python", "-m", f"zoo.{name}")
    paths, arguments = split_paths(arguments) if name == "compare" else ([], arguments)
    given = parse_arguments(arguments) | ({"runs": paths} if paths else {})
    if name == "hub" and given:
        action = next((action for action in ACTIONS if action in given), "convert")
        checked_arguments(import_function(ACTIONS[action]), given)
    else:
        checked_arguments(import_function(COMMANDS[name]), given)
    for recipe in [given["recipe"]] if "recipe" in given else []:
        assert recipe in recipe_names()


# --- without torch ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["zoo", *(f"zoo.{name}" for name in COMMANDS)])
def test_help_imports_neither_torch_nor_lightning(module: str, tmp_path: Path) -> None:
    program = (
        "import runpy, sys\n"
        f"sys.argv = [{module!r}, '--help']\n"
        f"try: runpy.run_module({module!r}, run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'torchvision', 'pytorch_lightning', 'numpy', 'rich', 'matplotlib'} & set(sys.modules)\n"
        "print('imported:', sorted(heavy))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "imported: []"
    if module != "zoo":
        assert lines[0] == f"python -m {module} key=value ..."


@pytest.mark.parametrize("package", [zoo.hub, zoo.audit])
def test_a_package_that_imports_at_first_use_has_every_public_name(package: ModuleType) -> None:
    assert sorted({*package._MODULES, *(["planted"] if package is zoo.audit else [])}) == sorted(package.__all__)
    for name, module in package._MODULES.items():
        assert getattr(package, name) is getattr(sys.modules[module], name)
        if inspect.isclass(getattr(package, name)) or inspect.isfunction(getattr(package, name)):
            assert getattr(package, name).__module__ == module
    with pytest.raises(AttributeError, match="nothing"):
        package.nothing  # noqa: B018


def test_the_list_of_commands_shows_their_summaries_and_the_schema_of_recipes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runpy.run_module("zoo", run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    for name, path in COMMANDS.items():
        (line,) = [line for line in lines if line.startswith(f"  python -m zoo.{name} ")]
        assert line.endswith(f"  {documentation(path).docstring.summary}")
    (schema,) = [line.split("$schema=")[1] for line in lines if "$schema=" in line]
    assert Path(schema).is_file()


# --- docstrings ------------------------------------------------------------------------------------------------------

TEXT = """Draw images
    and write them.

    A second paragraph:
      indented.

    Args:
        n: number of images,
            on two lines.
        names: names of things:
            - first: one
            - second: two
              lines
        **rest: further values.

    Raises:
        ValueError: for n: 0.

    Examples:
        draw(3)
          more
    """


def test_a_docstring_is_split_into_its_parts() -> None:
    parsed = parse_docstring(TEXT)
    assert parsed.summary == "Draw images and write them."
    assert parsed.details == "A second paragraph:\n  indented."
    assert parsed.arguments == {
        "n": "number of images,\non two lines.",
        "names": "names of things:\n- first: one\n- second: two\n  lines",
        "rest": "further values.",
    }
    assert parsed.examples == ["draw(3)", "  more"]


def test_wrapped_lines_are_joined_and_items_stay_apart() -> None:
    arguments = parse_docstring(TEXT).arguments
    assert paragraphs(arguments["n"]) == ["number of images, on two lines."]
    assert paragraphs(arguments["names"]) == ["names of things:", "- first: one", "- second: two lines"]


def test_nothing_is_made_of_no_docstring() -> None:
    assert parse_docstring(None) == parse_docstring("")
    assert parse_docstring(None).summary == ""
