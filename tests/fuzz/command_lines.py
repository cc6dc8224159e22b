"""Random command lines for all commands, each of which must end well within ten seconds.

    python -m tests.fuzz.command_lines number=2500 seed=0
    python -m tests.fuzz.command_lines number=0 seed=0 real=200

A line ends well if it is a valid plan or a `UserError` (exit code 2), whose text is printed without a traceback.
Nothing is trained, drawn or measured: each command is called up to the first step that reads a model or builds data.

`real` lines are given to `python -m zoo.COMMAND` in a process each, in a folder with a few photographs. They do all of
their work, but `fit` has `check=true`. The time of the imports is not counted.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image

from zoo.config.command_line import checked_arguments, import_function, run_command
from zoo.config.recipe_files import recipe_names
from zoo.hub.__main__ import ACTIONS

LONGEST = 10.0
"""Seconds of the processor that one line may take. By the clock a line takes longer on a busy machine."""
WAITING = 30
"""Times that long a real command may take by the clock."""
REAL_CODES = (0, 2)
"""Exit codes of commands that train nothing."""
AT_ONCE = 2
"""Real commands that run at the same time."""
COMMANDS = {
    "fit": "zoo.runs.fitting.main",
    "sample": "zoo.runs.drawing.main",
    "evaluate": "zoo.runs.measuring.main",
    "audit": "zoo.audit.command.main",
    "watch": "zoo.runs.watching.command.main",
    "hub": "zoo.hub.__main__.main",
    "data": "zoo.runs.data_report.main",
}
KEYS = {
    "fit": [
        *("recipe", "resume", "out", "check", "images", "seed", "pretrained", "model", "data", "trainer", "callbacks"),
        *("loggers", "model.width", "model.class", "model.betas", "model.base", "model.augment", "model.num_classes"),
        *("model.generator_lr", "model.latent", "data.class", "data.root", "data.match", "data.held_out", "data.group"),
        *("data.batch_size", "data.batch_size.8", "data.value_range", "trainer.devices", "trainer.max_time"),
        *("trainer.precision", "trainer.deterministic", "trainer.accelerator", "callbacks.Alarms", "epochs", "a.b.c"),
        *("callbacks.Alarms.ignore", "callbacks.SaveEvery.every", "callbacks.ES.class", "callbacks.SampleGrid"),
        *("loggers.L.class", "model.base.class", "trainer.max_steps", "callbacks.Alarms.ignore[0]", "model.", ".x"),
    ],
    "sample": [
        "checkpoint",
        "n",
        "seed",
        "out",
        "labels",
        "truncation",
        "truncation_by",
        "columns",
        "component",
        "cls",
    ],
    "evaluate": [
        *("checkpoint", "real", "fake", "data", "data.root", "data.match", "best", "metrics", "n", "n_real", "split"),
        *("extractor", "options", "options.size", "truncation", "component", "resolution", "repeats", "device", "out"),
    ],
    "audit": [
        *("checkpoint", "data", "data.root", "fake", "train", "held_out", "only", "budget", "out", "seed", "extractor"),
        *("options", "options.size", "device", "cls"),
    ],
    "watch": ["run", "out", "every", "port"],
    "data": ["root", "resolution", "out", "data", "data.match", "data.held_out", "data.group", "data.background"],
    "hub": [
        *(*ACTIONS, "out", "source", "report", "repo", "private", "cls", "generator", "discriminator", "facts"),
        *("facts.truncation", "dtype", "licence", "weaknesses", "metrics", "hours", "machine"),
    ],
}
VALUES = [
    *("", "null", "~", "true", "True", "no", "on", "0", "1", "-1", "8", "010", "0x10", "1_000", "2026_11_28", "1:30"),
    *(
        "1e-3",
        ".5",
        "-0",
        "inf",
        ".inf",
        "nan",
        "1" * 400,
        "0.5",
        "3.7",
        "[]",
        "{}",
        "[1]",
        "[1,2]",
        "[0.5,0.9]",
        "[[1]]",
    ),
    *("[=1", "[0-9]+", "[0-9]", "*.png", "#1", "{2}", "{a: 1}", "{a: {b: [c]}}", "{class: DCGAN}", "{a", "a]", "&a b"),
    *("*a", "!!python/name:os.system", "!x", "%TAG", "@", "`", "'", '"', "'a'", '"010"', "a b", " 8", "8 ", "a\tb"),
    *("a\nb", "a: b", "- a", "? a", "| a", "> a", "---", "...", "???", "${images}", "${model}", "${x}", "${x", "${}"),
    *("${oc.env:HOME}", "$", "\\", "\x00", "é", "\udc80", "1" * 5000, "[" * 300, "[" * 300 + "]" * 300, "{a: " * 60),
    *("DCGAN", "Folder", "Digits", "MixGAN", "GAN", "os.path", "builtins.int", "os.", "..", "a.b.C", "auto", "cpu"),
    *("bf16-true", "16", "dcgan_digits", "photos", "/", ".", "a/", "x.png", "x.json", "x.html", "fid", "fid,kid"),
    *("SaveEvery", "pytorch_lightning.callbacks.EarlyStopping", "redrawing", "train", "quick", "all", "hf:a/b"),
]
ROOT = Path(__file__).parent.parent.parent
CHARACTERS = "[]{}:,=#&*!|>'\"%@`~-?. \t$\\_019eaxé"


class Planned(Exception):  # noqa: N818
    """The line is a valid request up to the first step that is not made here."""


def command_lines(number: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Yield commands with random arguments.

    Args:
        number: how many.
        seed: seed of the choice; the same lines for the same seed.
    """
    draw = random.Random(seed)
    for _ in range(number):
        command = draw.choice([*COMMANDS, "fit", "fit", "fit"])
        words = ["recipe=" + draw.choice(recipe_names())] if command == "fit" and draw.random() < 0.9 else []
        if command == "fit":
            words.append("check=true")
        for _ in range(draw.randint(1, 3)):
            key = draw.choice(KEYS[command] if draw.random() < 0.95 else [*KEYS["fit"], *CHARACTERS])
            words.append(key + draw.choice(["=", "=", "=", "=", "=", "=", "=", "=", "", "=="]) + _value(draw))
        yield command, words


def _value(draw: random.Random) -> str:
    """Return a random value: one of the list, two of them, or random characters."""
    kind = draw.random()
    if kind < 0.75:
        return draw.choice(VALUES)
    if kind < 0.85:
        return draw.choice(VALUES) + draw.choice(VALUES)
    return "".join(draw.choice(CHARACTERS) for _ in range(draw.randint(1, 12)))


@contextlib.contextmanager
def planning_only() -> Iterator[None]:
    """Stop every command where it would read a model, build data, use the network or start to train."""

    def stop(*args: Any, **kwargs: Any) -> Any:
        raise Planned

    places = [
        *("zoo.runs.fitting._train", "zoo.runs.drawing.load_model", "zoo.runs.measuring.open_trained"),
        *(
            "zoo.runs.measuring_sets.set_up_data",
            "zoo.runs.measuring_on_file.open_trained",
            "zoo.export.command.load_model",
        ),
        *(
            "zoo.runs.planning.planned_overrides",
            "zoo.runs.planning.plan_photos",
            "zoo.runs.data_report.survey",
            "zoo.audit.command.open_checkpoint",
            "zoo.audit.command.open_folders",
        ),
        *("zoo.runs.watching.command.read_run", "zoo.runs.releasing.packing.pack", "zoo.runs.releasing.hub.push"),
        *("zoo.runs.releasing.hub.verify", "zoo.runs.releasing.hub.attach", "zoo.runs.releasing.write_card"),
        *("zoo.runs.releasing.read_file", "zoo.audit.opening.report_page"),
    ]
    with contextlib.ExitStack() as stack:
        for place in places:
            module, _, name = place.rpartition(".")
            stack.enter_context(mock.patch.object(_module(module), name, stop))
        yield


def _module(path: str) -> Any:
    """Return a module, or an attribute of one, by its path."""
    try:
        return import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)


def fault_of(command: str, words: list[str]) -> str:
    """Return what is wrong with the end of a command line; empty if it ends well. The caller holds `planning_only`."""
    output, errors = io.StringIO(), io.StringIO()
    began, code = time.process_time(), None
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            run_command(command, COMMANDS[command], words)
    except Planned:
        code = 0
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        return traceback.format_exc()
    seconds = time.process_time() - began
    if seconds > LONGEST:
        return f"took {seconds:.0f} s"
    if code not in (0, 2):
        return f"ended with code {code}"
    text = errors.getvalue()
    if code == 2 and (not text.strip().partition(": ")[2] or "Traceback" in text):
        return f"a fault without a reason: {text!r}"
    return ""


def real_fault_of(command: str, words: list[str], folder: Path, importing: float) -> str:
    """Return what is wrong with the end of a command that runs in a process of its own; empty if it ends well.

    Args:
        command: name of the command.
        words: its arguments.
        folder: the working directory.
        importing: seconds of the processor that the imports of the command take.
    """
    seconds = math.ceil(importing + LONGEST)
    limited = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds})); "
    limited += "os.execv(sys.executable, [sys.executable, '-m', *sys.argv[1:]])"
    try:
        done = subprocess.run(
            [sys.executable, "-c", limited, f"zoo.{command}", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "ZOO_CACHE": str(folder / "cache")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WAITING * seconds,
        )
    except subprocess.TimeoutExpired as error:
        return f"did not end within {error.timeout:.0f} s"
    text = done.stderr.decode(errors="replace")
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL):
        return f"took longer than {LONGEST:g} s after its imports"
    if done.returncode not in REAL_CODES or "Traceback" in text:
        return f"ended with code {done.returncode}: {text[-3000:]}"
    if done.returncode == 2 and not text.strip().partition(": ")[2]:
        return f"a fault without a reason: {text!r}"
    return ""


def seconds_of_imports(command: str) -> float:
    """Return the seconds of the processor in which a new process imports what a command needs."""
    code = f"import {COMMANDS[command].rpartition('.')[0]}, time; print(time.process_time())"
    return float(subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True).stdout)


def real_lines(number: int, seed: int) -> list[tuple[str, list[str]]]:
    """Return random command lines that a shell can give: without NUL characters."""
    lines = command_lines(2 * number, seed)
    return list(islice((line for line in lines if not any("\0" in word for word in line[1])), number))


def try_real_lines(number: int, seed: int) -> int:
    """Try random command lines as real commands; print those that do not end well, and return their number."""
    lines = real_lines(number, seed)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(AT_ONCE) as pool:
        photos = Path(scratch) / "photos"
        photos.mkdir()
        for i in range(20):
            Image.new("RGB", (20 + i, 24), (10 * i, 90, 40)).save(photos / f"{i}.png")
        importing = {command: seconds_of_imports(command) for command in COMMANDS}
        results = pool.map(lambda line: real_fault_of(*line, Path(scratch), importing[line[0]]), lines)
        faults = 0
        for (command, words), fault in zip(lines, results):
            if fault:
                faults += 1
                print(f"zoo.{command} {ascii(words)[:600]}\n{fault}", flush=True)
    print(f"{number} real commands, {faults} ended otherwise than by exit codes 0 and 2", flush=True)
    return faults


def main(number: int = 2500, seed: int = 0, real: int = 0) -> int:
    """Try random command lines, and print those that do not end well.

    Args:
        number: number of lines that are tried in this process.
        seed: seed of the choice.
        real: number of lines that are tried as real commands.

    Returns:
        The exit code.
    """
    for path in (*COMMANDS.values(), *ACTIONS.values()):
        import_function(path)
    faults = 0
    with planning_only():
        for command, words in command_lines(number, seed):
            if fault := fault_of(command, words):
                faults += 1
                print(f"zoo.{command} {ascii(words)[:600]}\n{fault}", flush=True)
    print(f"{number} command lines, {faults} ended otherwise than by a plan or a fault of the user", flush=True)
    if real:
        faults += try_real_lines(real, seed)
    return int(faults > 0)


if __name__ == "__main__":
    from zoo.config.arguments import parse_arguments

    sys.exit(main(**checked_arguments(main, parse_arguments(sys.argv[1:]))))
