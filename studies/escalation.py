"""Signals of every round of a run, and where they escalate: what `progan_spiral.py` measures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, ClassVar

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

import zoo

FACTOR, HISTORY, LEAST, GAP, LASTING, TOGETHER = 3.0, 100, 12, 12, 5, 100
SIGNALS = ("g", "d", "score", "real", "fake", "gradient_g", "gradient_d", "weight_g", "weight_d")
BEFORE, AFTER, POINTS, LAST = 36, 36, 200, 50
"""Rounds of the dense record before and after an escalation, number of points of the course of a run, and number of
rounds at its end whose median is kept."""
Line = dict[str, float]


class Watch(Callback):
    """Callback that records signals of every round, without a transfer to the host in the rounds themselves.

    Recorded are, of each layer with a weight, the mean absolute output in the round's last pass, which is that of the
    generator's turn (`g/...`, `d/...`); means of the discriminator's scores of real and generated images in its own
    turn, and of their absolute values (`real`, `fake`, `score`); norms of the gradients and of all weights.

    Args:
        every: rounds between transfers to the host.
    """

    latest: ClassVar[Watch | None] = None
    """The one of the run that began last: a run that diverges returns nothing to ask."""

    def __init__(self, every: int = 50) -> None:
        self.every = every
        self.record: list[Line] = []
        self.model: zoo.GAN | None = None
        self._waiting: list[tuple[int, int, dict[str, Tensor]]] = []
        self._now: dict[str, Tensor] = {}
        self._scores: list[Tensor] = []
        self._open = False  # callbacks, too, run the networks, after the last step of a round

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put hooks on all layers."""
        assert isinstance(pl_module, zoo.GAN)
        self.model, Watch.latest = pl_module, self
        self.networks = {"d": pl_module.discriminator, "g": pl_module.generator}  # in the order of the optimizers
        self._handles = [
            layer.register_forward_hook(partial(self._measure, f"{name}/{key}"))
            for name, network in self.networks.items()
            for key, layer in network.named_modules()
            if getattr(getattr(layer, "weight", None), "ndim", 0) > 1
        ]
        self._handles.append(pl_module.discriminator.register_forward_hook(self._see_scores))

    @torch.no_grad()
    def _measure(self, name: str, layer: nn.Module, inputs: Any, output: Tensor) -> None:
        if self._open:
            self._now[name] = output.detach().abs().mean()

    @torch.no_grad()
    def _see_scores(self, network: nn.Module, inputs: Any, output: Tensor) -> None:
        if self._open:
            self._scores.append(output.detach().reshape(len(output), -1)[:, 0])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin to record a round."""
        self._now, self._scores, self._open = {}, [], True

    @torch.no_grad()
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Record the norms of one player; the generator's step is the last of a round."""
        name = list(self.networks)[[id(each) for each in trainer.optimizers].index(id(optimizer))]
        weights = list(self.networks[name].parameters())
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        self._now[f"gradient_{name}"] = torch.stack(torch._foreach_norm(gradients)).norm()
        self._now[f"weight_{name}"] = torch.stack(torch._foreach_norm(weights)).norm()
        self._open = name != "g"

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the round."""
        assert isinstance(pl_module, zoo.GAN)
        real, fake = self._scores[:2]  # a model that couples the images of a batch scores the two kinds one by one
        both = torch.cat([real, fake])
        scores = {"score": both.abs().mean(), "real": real.mean(), "fake": fake.mean()}
        self._waiting.append((pl_module.rounds, pl_module.images_seen, {**self._now, **scores}))
        if len(self._waiting) == self.every:
            self.flush()

    def flush(self) -> None:
        """Move the rounds that wait on the device to `record`."""
        for rounds, images, values in self._waiting:
            numbers = torch.stack([value.float() for value in values.values()]).tolist()
            self.record.append({"round": rounds, "images": images, **dict(zip(values, numbers))})
        self._waiting = []

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the last rounds, and remove the hooks."""
        self.flush()
        for handle in self._handles:
            handle.remove()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Move the last rounds, which a run that diverges ends with."""
        self.on_train_end(trainer, pl_module)


def with_largest(record: Sequence[Line]) -> list[Line]:
    """Add the largest layer of each network, `g` and `d`, to the rounds of a record.

    Heads do not count: the images that a generator draws, and the scores, are signals of their own.
    """
    heads = ("g/to_rgb", "d/from_rgb", "d/readout")
    found = []
    for line in record:
        inner = {name: value for name, value in line.items() if not name.startswith(heads)}
        largest = {
            net: max(v if math.isfinite(v) else math.inf for name, v in inner.items() if name.startswith(f"{net}/"))
            for net in ("g", "d")
        }
        found.append({**line, **largest})
    return found


def jump(values: Sequence[float], least: int = HISTORY) -> int | None:
    """Return the first index at which a signal has escalated, or None.

    It has if `LASTING` values in a row are all `FACTOR` times as large as the median of the `HISTORY` values that end
    `GAP` before them, or if a value is not finite. So a signal that needs much more than `GAP + HISTORY / 2` rounds to
    grow by the factor is a drift, which does not count.

    Args:
        values: the signal in every round.
        least: values that must be there before `GAP` at the beginning of a run.
    """
    for i, value in enumerate(values):
        if not math.isfinite(value):
            return i
        end = i - GAP
        if end >= least and i + LASTING <= len(values):
            usual = median(values[max(0, end - HISTORY) : end])
            if min(values[i : i + LASTING]) > FACTOR * usual:
                return i
    return None


def escalation(record: Sequence[Line]) -> dict[str, Any]:
    """Find where the largest layer of each network and the scores escalate.

    Returns:
        The rounds of the first escalation of `g`, `d` and `score`, None where there is none; `onset`, the first round
        in which both networks had begun within `TOGETHER` rounds of each other or a value was not finite; and `kind`:
        `both` networks, one of them alone, `score` alone, or `none`.
    """
    lines = with_largest(record)
    # Scores rise from 0 in the first rounds of every run, so they count later.
    at = {
        name: jump([line[name] for line in lines], least)
        for name, least in (("g", LEAST), ("d", LEAST), ("score", HISTORY))
    }
    first = {name: None if i is None else int(lines[i]["round"]) for name, i in at.items()}
    g, d = first["g"], first["d"]
    both = g is not None and d is not None and abs(g - d) <= TOGETHER
    alone = [name for name, i in first.items() if i is not None]
    kind = "both" if both else "none" if not alone else " and ".join(alone)
    rounds = [r for r in (g, d) if r is not None]
    return {**first, "kind": kind, "onset": min(rounds) if rounds else first["score"]}


def measures(record: Sequence[Line], alarms: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """What a row says of the signals of a run.

    Args:
        record: signals of all rounds.
        alarms: alarms of the run, each a list that begins with its round.
    """
    found = escalation(record)
    onset = found["onset"]
    near = [alarm[0] for alarm in alarms if onset is not None and alarm[0] >= onset - TOGETHER]
    lines = with_largest(record)
    finite = {name: [line[name] for line in lines if math.isfinite(line[name])] for name in SIGNALS}
    return {
        "escalation": found,
        "lead": onset - near[0] if near else None,
        "peak": {name: float(f"{max(values):.4g}") for name, values in finite.items()},
        "last": {name: float(f"{median(values[-LAST:]):.4g}") for name, values in finite.items()},
        "course": course(record),
        "window": window(record, onset) if onset is not None else None,
    }


def course(record: Sequence[Line], points: int = POINTS) -> dict[str, list[float | None]]:
    """Thin out a record to about `points` rounds, and name the signals as columns."""
    lines = with_largest(record)
    stride = max(1, len(lines) // points)
    return columns(lines[::stride], ("round", "images", *SIGNALS))


def window(record: Sequence[Line], onset: int) -> dict[str, list[float | None]]:
    """The dense record around a round, with every layer that is there all the time."""
    lines = [line for line in with_largest(record) if onset - BEFORE <= line["round"] <= onset + AFTER]
    common = set.intersection(*(set(line) for line in lines))
    layers = sorted(name for name in common if name.startswith(("g/", "d/")))
    return columns(lines, ("round", *SIGNALS, *layers))


def columns(lines: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, list[float | None]]:
    """Lines as columns of numbers with four digits; values that are not finite become None."""
    whole = ("round", "images")
    return {
        name: [
            None if not math.isfinite(line[name]) else int(line[name]) if name in whole else float(f"{line[name]:.4g}")
            for line in lines
        ]
        for name in names
    }
