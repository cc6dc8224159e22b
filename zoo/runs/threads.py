"""Choice of the number of torch's threads for a run on the CPU, by a trial of real rounds.

The threads of OpenMP wait for each other at every layer. On a quiet machine more threads are faster, if the layers are
large; beside other work, one thread often is, since a waiting thread holds a core that the other work takes away from
those it waits for. Neither is known beforehand, so a copy of the model plays rounds on random images with 1, 2, 4 and
so on up to torch's own number of threads, which take turns for about two seconds. The model, its random numbers and its
data are not touched. The number is recorded with the start of a run, and a resumed run keeps it: sums over several
threads have other last bits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from zoo.config.recipe import Recipe
from zoo.data import Images
from zoo.gan import GAN
from zoo.io.run_folder import run_of
from zoo.runs.trials import copy_at, play
from zoo.training.hardware import is_one_process
from zoo.training.threads import SHORT, candidates, fastest

FEWEST = 50
"""Rounds of a run below which no trial is made, not even the first cycle that tells how long the run takes."""
TURN = 0.25
"""Seconds of a turn, if a cycle of rounds is not longer."""
TURNS = 4
"""Turns of a number of threads, the first of which warms up; torch's own number has one more, at the beginning."""
BUDGET = 2.0, 0.02
"""Seconds, and share of the run, after which each number has two turns at most; the larger of the two counts."""


@dataclass(frozen=True)
class Choice:
    """A number of threads and why.

    Args:
        threads: number of threads of torch.
        reason: line for the user; empty where nothing was decided.
    """

    threads: int
    reason: str = ""


@contextmanager
def chosen_threads(recipe: Recipe, model: GAN, data: Any, start: Path | None) -> Iterator[Choice]:
    """Choose the number of threads of a run, set it in a block, and restore torch's number afterwards.

    Args:
        recipe: recipe of the run; its `trainer.threads` is a number, or `auto`.
        model: model that is to be trained; it is copied.
        data: source of images, which tells the sizes of batches; other data modules get no trial.
        start: checkpoint to resume from; None for a new run.

    Yields:
        The choice.
    """
    own = torch.get_num_threads()
    choice = choose(recipe, model, data, start, own)
    torch.set_num_threads(choice.threads)
    try:
        yield choice
    finally:
        torch.set_num_threads(own)


def choose(recipe: Recipe, model: GAN, data: Any, start: Path | None, own: int) -> Choice:
    """Choose the number of threads; the arguments are those of `chosen_threads`, and torch's own number."""
    given = recipe.trainer.get("threads", "auto")
    if given != "auto":
        return Choice(int(given))
    if start is not None:  # a run of before this choice existed has no record, and keeps torch's number
        recorded = next((record.get("threads") for record in reversed(run_of(start).starts())), None)
        return Choice(recorded if isinstance(recorded, int) and recorded > 0 else own)
    if not is_tried(recipe, model, data, own):
        return Choice(own)
    return choose_by_trial(recipe, model, data, own)


def is_tried(recipe: Recipe, model: GAN, data: Any, own: int) -> bool:
    """Return whether a trial could change anything: on a CPU, in one process, with several threads and many rounds."""
    trainer = recipe.trainer
    accelerator = trainer.get("accelerator", "auto")
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not has_accelerator())
    if own == 1 or not on_cpu or not is_one_process(trainer) or not isinstance(data, Images):
        return False
    return recipe.images >= FEWEST * batch_size_at_end(recipe, model, data)


def has_accelerator() -> bool:
    """Return whether Lightning's `accelerator=auto` would leave the CPU."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def batch_size_at_end(recipe: Recipe, model: GAN, data: Images) -> int:
    """Return the batch size with which the run ends."""
    return data.batch_size_at(model.data_resolution(recipe.images - 1))


def choose_by_trial(recipe: Recipe, model: GAN, data: Images, own: int) -> Choice:
    """Let the numbers of threads take turns, and choose the fastest, or torch's own if none is clearly faster.

    The rounds are those of the end of the run, where a growing model spends most of its time.
    """
    images = recipe.images - 1
    batch_size = batch_size_at_end(recipe, model, data)
    player = copy_at(model, images - images % batch_size)
    cycles = max(recipe.images // (batch_size * player.critic_steps), 1)
    trial = Trial(candidates(own), cycles)
    play(player, recipe, batch_size, player.data_resolution(images), trial)
    return decide(trial.seconds_per_cycle(), own, cycles)


def decide(seconds: dict[int, float], own: int, cycles: int) -> Choice:
    """Choose from the seconds of a cycle of rounds with each number of threads.

    Args:
        seconds: seconds of a cycle by number of threads; torch's own number alone if the run is short.
        own: torch's own number.
        cycles: cycles of the run.
    """
    if len(seconds) == 1:
        return Choice(own)
    best = fastest(seconds, own)
    others = ", ".join(
        f"{value / seconds[best]:.1f} times as long with {n}" for n, value in seconds.items() if n != best
    )
    minutes = cycles * seconds[best] / 60
    return Choice(
        best, f"threads: {best}, about {minutes:,.0f} min; {others}. trainer.threads=N sets it without a trial"
    )


class Trial(Callback):
    """Numbers of threads take turns in the rounds of a training.

    Args:
        threads: numbers of threads, torch's own first.
        cycles: cycles of rounds, in each of which all players move, that the run is to have.
    """

    def __init__(self, threads: Sequence[int], cycles: int) -> None:
        self.threads, self.cycles = threads, cycles
        self.turns: dict[int, list[float]] = {n: [] for n in threads}  # seconds of a cycle in each turn
        # One more turn of torch's own: its first one prepares all kernels, and would make a short run look long.
        self.queue = [threads[0], *(n for _ in range(TURNS) for n in threads)]

    def seconds_per_cycle(self) -> dict[int, float]:
        """Return the mean seconds of a cycle by number of threads, without the turn that warmed up.

        The mean, not the fastest turn: how long threads wait beside other work is what the trial is to find out.
        """
        counted = {n: times[1:] or times for n, times in self.turns.items() if times}
        return {n: sum(times) / len(times) for n, times in counted.items()}

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Begin the first turn."""
        self.began = time.monotonic()
        self._begin()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *args: Any) -> None:
        """At the end of a cycle, end the turn if it is long enough, and begin the next."""
        if pl_module.rounds % pl_module.critic_steps:
            return
        self.done += 1
        taken = time.monotonic() - self.turn_began
        if taken < TURN:
            return
        self.turns[self.queue.pop(0)].append(taken / self.done)
        if self._is_over():
            trainer.should_stop = True
        else:
            self._begin()

    def _begin(self) -> None:
        torch.set_num_threads(self.queue[0])
        self.done, self.turn_began = 0, time.monotonic()

    def _is_over(self) -> bool:
        own = self.turns[self.threads[0]]
        planned = self.cycles * min(own)
        if planned < SHORT and not any(self.turns[n] for n in self.threads[1:]):
            self.queue.clear()
        seconds, share = BUDGET
        if all(len(times) > 1 for times in self.turns.values()) and time.monotonic() - self.began > max(
            seconds, share * planned
        ):
            self.queue.clear()
        return not self.queue
