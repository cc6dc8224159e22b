"""Damaged releases and runs: each is refused with a reason, or read exactly as the intact one, and never hangs.

    python -m tests.fuzz.damaged releases=500 runs=500 seed=0

A release or a run is copied, damaged in one of the ways of `tests.fuzz.damage`, and opened by everything that opens it:
the functions behind `zoo.sample`, `zoo.hub verify=`, `zoo.audit`, `zoo.evaluate`, `pretrained=` and `resume=`. Each of
these must end within ten seconds by a `UserError` whose text says what was wrong, or give the weights of the intact
one, bit for bit. A resumed run is trained on; it must end with the bits of the intact run that was trained on, unless
the damage is to its recipe, or a checkpoint was rewritten with correct checksums.
"""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zoo
from tests.fuzz.damage import CHECKPOINT, RELEASE, damaged_copy
from tests.helpers.training import equal, tiny_mlp, weights
from zoo.audit.opening import open_checkpoint, write_release_report
from zoo.errors import UserError
from zoo.hub.verifying import verify
from zoo.io.run_folder import checkpoints_in
from zoo.runs import packing
from zoo.runs.history import read_run
from zoo.runs.listing import show
from zoo.runs.opening import load_model, load_run
from zoo.runs.planning import plan_run
from zoo.runs.releasing import attach, write_card

LONGEST = 10.0
"""Seconds that opening may take."""
SMALL: dict[str, Any] = {
    "model": {"width": 4},
    "trainer": {"accelerator": "cpu"},
    "callbacks": {"SampleMetrics": None, "SaveEvery": {"every": 128}, "SampleGrid": {"every": 128}},
}
LENGTH, FURTHER = 256, 64
"""Images of a run, and those that it is trained on after a resume."""
States = dict[str, Tensor] | None
"""The weights that an opening gave; None if it gives none."""


@dataclass(frozen=True)
class Intact:
    """Intact artefacts.

    Args:
        releases: folders of releases.
        runs: folders of runs.
        states: weights of each release, and of each checkpoint of each run.
        packed: weights of a release of each of these checkpoints, whose live generator equals its average.
        resumed: weights of each run after it was resumed and trained on.
    """

    releases: list[Path]
    runs: list[Path]
    states: dict[Path, list[dict[str, Tensor]]]
    packed: dict[Path, list[dict[str, Tensor]]]
    resumed: dict[Path, dict[str, Tensor]]


def make_intact(folder: Path) -> Intact:
    """Train two tiny runs, and make releases of them and of a mixture."""
    conditional = zoo.fit("dcgan_digits", out=folder / "conditional", images=LENGTH, **SMALL).folder
    plain = zoo.fit("vanilla_digits", out=folder / "plain", images=LENGTH, **{**SMALL, "model": {}}).folder
    model = load_run(conditional)
    real = torch.rand(2, 64, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    report = zoo.audit.audit(model, real[0], real[1], only="weights", budget="quick")
    about = {**report.about, "model": f"{type(model).__name__} after {model.images_seen:,} images"}
    replace(report, about=about).save(folder / "report")
    packed = packing.pack(str(conditional), str(folder / "packed"), licence="BSD")
    attach(str(packed), str(folder / "report"))
    half = load_run(plain).save_pretrained(folder / "half", dtype="float16")
    mixture = zoo.MixGAN({"class": "VanillaGAN", **dict(tiny_mlp().hparams)}, components=2).save_pretrained(
        folder / "mixture"
    )
    releases, runs = [packed, half, mixture], [conditional, plain]
    checkpoints = {run: checkpoints_in(run) for run in runs}
    states = {path: [weights(zoo.from_pretrained(path))] for path in releases}
    states |= {run: [weights(load_run(path)) for path in checkpoints[run]] for run in runs}
    packs = {
        run: [weights(zoo.from_pretrained(_packed(path, folder / "pack"))) for path in checkpoints[run]] for run in runs
    }
    resumed = {}
    for run in runs:
        copy = Path(shutil.copytree(run, folder / "resumed"))
        resumed[run] = weights(zoo.fit(resume=copy, images=LENGTH + FURTHER).model)
        shutil.rmtree(copy)
    return Intact(releases, runs, states, packs, resumed)


def openings_of_release(folder: Path) -> dict[str, Callable[[], States]]:
    """Return the ways to open a release, by name."""
    where = str(folder)
    return {
        "from_pretrained": lambda: weights(zoo.from_pretrained(folder)),
        "sample": lambda: weights(load_model(where)),
        "verify": lambda: verify(folder) and None,
        "audit": lambda: weights(open_checkpoint(where, {}, torch.device("cpu")).subject),
        "pretrained": lambda: plan_run(None, overrides={"pretrained": where}) and None,
        "show": lambda: show(where),
        "page": lambda: write_release_report(where, str(folder.parent / "page.html")),
        "card": lambda: write_card(where) and None,
    }


def openings_of_run(folder: Path) -> dict[str, Callable[[], States]]:
    """Return the ways to open a run, by name."""
    where = str(folder)
    return {
        "sample": lambda: weights(load_model(where)),
        "audit": lambda: weights(open_checkpoint(where, {}, torch.device("cpu")).subject),
        "watch": lambda: read_run(folder) and None,
        "pack": lambda: weights(zoo.from_pretrained(_packed(folder, folder.parent / "packed_run"))),
        "alone": lambda: _load_alone(folder),
        "resume": lambda: weights(zoo.fit(resume=folder, images=LENGTH + FURTHER).model),
    }


def _packed(run: Path, out: Path) -> Path:
    return packing.pack(str(run), str(out), licence="BSD")


def _load_alone(folder: Path) -> States:
    """Load the newest checkpoint outside its run folder."""
    newest = max((folder / "checkpoints").glob("[!.]*.ckpt"), default=None)
    if newest is None or not newest.is_file():
        return None
    alone = folder.parent / "alone"
    alone.mkdir(exist_ok=True)
    return weights(load_run(shutil.copy(newest, alone / "x.ckpt")))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Show nothing that the block prints, and no warnings."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise a TimeoutError when the block takes longer: of the processor, or ten times as long by the clock.

    The clock alone would count what other programs of a busy machine take, the processor alone no waiting.
    """

    def stop(*_: Any) -> None:
        raise TimeoutError(f"took longer than {seconds:g} s")

    timers = {signal.ITIMER_PROF: (signal.SIGPROF, seconds), signal.ITIMER_REAL: (signal.SIGALRM, 10 * seconds)}
    before = {number: signal.signal(number, stop) for number, _ in timers.values()}
    try:
        for timer, (_, limit) in timers.items():
            signal.setitimer(timer, limit)
        yield
    finally:
        for timer in timers:
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def fault_of(opening: Callable[[], States], expected: list[dict[str, Tensor]]) -> str:
    """Open something damaged, and return what is wrong with the result; empty if nothing is.

    Args:
        opening: the way to open it.
        expected: weights of which the result must have one; empty if it may have any.
    """
    try:
        with quiet(), limited(LONGEST):
            state = opening()
    except UserError as error:
        return "" if len(str(error).split()) > 4 else f"a fault without a reason: {str(error)!r}"
    except BaseException:
        return traceback.format_exc()
    if state is not None and expected and not any(equal(state, each) for each in expected):
        return "accepted with other weights"
    return ""


def try_damaged(intact: Intact, scratch: Path, releases: int, runs: int, seed: int, say: Callable[[str], None]) -> int:
    """Damage and open releases and runs; say what does not end well, and return the number of those.

    Args:
        intact: the artefacts.
        scratch: folder for the copies.
        releases: number of damaged releases.
        runs: number of damaged runs.
        seed: seed of the choice.
        say: function that is given each fault as text.
    """
    faults = 0
    for number in range(releases + runs):
        is_release = number < releases
        draw = random.Random(f"{seed} {number}")
        folders = intact.releases if is_release else intact.runs
        whole = draw.choice(folders)
        other = draw.choice([path for path in folders if path != whole])
        copy = scratch / "damaged"
        what = damaged_copy(draw, whole, other, RELEASE if is_release else CHECKPOINT, copy)
        found = []
        for name, opening in (openings_of_release(copy) if is_release else _some_openings(draw, copy)).items():
            if fault := fault_of(opening, _expected(intact, whole, name, what)):
                found.append(f"{name}: {fault}")
        if found:
            faults += 1
            say(f"{number}: {whole.name}, {what}\n" + "\n".join(found))
    return faults


def _some_openings(draw: random.Random, run: Path) -> dict[str, Callable[[], States]]:
    """Return three ways to open a run: to resume it last, which changes it, to sample, and one of the others."""
    ways = openings_of_run(run)
    other = draw.choice([name for name in ways if name not in ("sample", "resume")])
    return {name: ways[name] for name in ("sample", other, "resume")}


def _expected(intact: Intact, whole: Path, opening: str, what: str) -> list[dict[str, Tensor]]:
    """Return the weights of which an opening must give one; empty if it may give any.

    A run may go on from an older checkpoint, and ends with the same bits. A checkpoint outside a run folder may be
    that of the other model.
    """
    if opening == "pack":
        return intact.packed[whole]
    if opening == "alone":
        return [state for run in intact.runs for state in intact.states[run]]
    if opening == "resume":
        return [] if "recipe.yaml" in what or what.startswith(("change", "reshape")) else [intact.resumed[whole]]
    return intact.states[whole]


def main(releases: int = 500, runs: int = 500, seed: int = 0) -> int:
    """Open damaged releases and runs, and print those that do not end well.

    Args:
        releases: number of damaged releases.
        runs: number of damaged runs.
        seed: seed of the choice.

    Returns:
        The exit code.
    """
    torch.set_num_threads(1)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        intact = make_intact(Path(scratch))
        stack.close()
        faults = try_damaged(intact, Path(scratch), releases, runs, seed, lambda text: print(text, flush=True))
    print(
        f"{releases} damaged releases and {runs} damaged runs, {faults} with a fault, {time.monotonic() - began:.0f} s"
    )
    return int(faults > 0)


if __name__ == "__main__":
    from zoo.config.arguments import parse_arguments
    from zoo.config.command_line import checked_arguments

    sys.exit(main(**checked_arguments(main, parse_arguments(sys.argv[1:]))))
