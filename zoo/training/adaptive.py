"""Adaptive strength of augmentation (ADA): a probability that follows how much the discriminator overfits.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", arXiv:2006.06676, section 3. The mark
of an overfitting discriminator is that it calls nearly all training images real. The heuristic

    r_t = E[sign(D(x) - u)]

over the images x of the last four batches is 0 for a discriminator that cannot tell, and 1 for one that is always
right; u is the score of an undecided discriminator (`Objective.undecided`: 0, or 0.5 for least squares). After every
four batches p rises by `images / speed` if r_t is above the target, and falls by it if r_t is below.

The scores of relativistic and Wasserstein losses have no such u: any constant may be added to them. There r_t is taken
over pairs of the real and generated images of a batch,

    r_t = E[sign(D(x) - D(G(z)))],

which is 2 AUC - 1 of real against generated images, and falls with p as the other does (the released `wgan_gp_fashion`:
0.80 without augmentation, 0.20 at p = 0.3). Where both kinds of scores are normally distributed with the same deviation
around -m and m, a target of 0.6 for single images is one of 0.77 for pairs; no published experiment says which is best.
R3GAN, which is relativistic, uses a fixed schedule instead (`augment="pipeline"`).

The authors bound p by 0 alone. Here it is a probability and ends at 1, so that it comes back as soon as r_t falls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoo.errors import UserError, require_at_least
from zoo.layers.synchronised import rows_of_all
from zoo.training.objectives import Objective

INTERVAL = 4
"""Rounds from one step of p to the next."""
WITHOUT_SCORES = (
    "augment=adaptive follows the scores that discriminator_loss gives to objective.discriminator_value, and it gave "
    "none. Give the model an objective whose discriminator_value its discriminator_loss calls, or use "
    "augment=pipeline, which has a fixed model.augment_strength"
)
Reduce = Callable[..., Tensor]
"""A function that reduces a tensor over all training processes, as the `reduce` of a Lightning strategy."""


@dataclass
class Reading:
    """Sums of an interval on their way to the host.

    Args:
        sums: sum of the signs, and their number, (2,), on the CPU.
        images: images shown in the interval.
        copied: event of the device that the copy precedes; None on a CPU.
    """

    sums: Tensor
    images: int
    copied: torch.cuda.Event | None = None


class AdaptiveStrength:
    """The probability p, and the signs of scores that it follows.

    On a GPU the host must not wait: the sums of an interval are read at the end of the next, when they have long been
    copied. Elsewhere they are read at once.

    Args:
        target: value of r_t that p is steered to, between -1 and 1.
        speed: images over which p moves from 0 to 1 if r_t stays on one side of the target.
    """

    interval = INTERVAL

    def __init__(self, target: float = 0.6, speed: int = 500_000) -> None:
        require_at_least(1, ada_speed=speed)
        if not -1 < target < 1:
            raise ValueError(f"ada_target, a mean of signs, must lie between -1 and 1; got {target}")
        self.target, self.speed = target, speed
        self.strength = 0.0
        self._images, self._rounds = 0, 0  # of the interval
        self._sums = torch.zeros(2)  # of the interval: of the signs, and their number
        self._round = torch.zeros(2)  # the same of the round
        self._awaited, self._heard = False, False  # in the round: a discriminator's loss, and its scores
        self._unread: Reading | None = None

    @contextmanager
    def listening(self, objective: Objective) -> Iterator[None]:
        """Note the scores of which the objective computes the discriminator's loss within a block.

        Every variant hands them to `objective.discriminator_value`, however it computes its losses.
        """
        value = objective.discriminator_value
        own = vars(objective).get("discriminator_value")

        def heard(real: Tensor, fake: Tensor) -> Tensor:
            self._add(real.detach(), fake.detach(), objective.undecided)
            return value(real, fake)

        self._awaited = True
        vars(objective)["discriminator_value"] = heard
        try:
            yield
        finally:
            del vars(objective)["discriminator_value"]
            if own is not None:
                vars(objective)["discriminator_value"] = own

    def _add(self, real: Tensor, fake: Tensor, undecided: float | None) -> None:
        """Add the signs of scores (B,)."""
        above = real.float() - undecided if undecided is not None else real.float()[:, None] - rows_of_all(fake.float())
        number = torch.full((), float(above.numel()), device=real.device)
        self._round = self._round.to(real.device) + torch.stack([above.sign().sum(), number])
        self._heard = True

    def end_round(self, images: int, reduce: Reduce) -> Tensor | None:
        """End a round: move p if the interval ends with it. Returns r_t of the round, a scalar, or None without scores.

        Args:
            images: images shown in the round, in all processes.
            reduce: the function that sums over processes.

        Raises:
            UserError: when the discriminator's loss did not use the objective.
        """
        if self._awaited and not self._heard:
            raise UserError(WITHOUT_SCORES)
        r_t = self._round[0] / self._round[1] if self._heard else None
        self._sums = self._sums.to(self._round.device) + self._round
        self._round = torch.zeros_like(self._round)
        self._awaited = self._heard = False
        self._images, self._rounds = self._images + images, self._rounds + 1
        if self._rounds >= self.interval:
            self._end_interval(reduce(self._sums, reduce_op="sum"))
        return r_t

    def _end_interval(self, sums: Tensor) -> None:
        """Move p by the sums of all processes, or by those of the interval before, and begin a new interval."""
        late = sums.device.type == "cuda"
        reading = Reading(sums.to("cpu", non_blocking=late), self._images)
        if late:
            reading.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            reading.copied.record()
        readings = [each for each in (self._unread, None if late else reading) if each is not None]
        self._unread = reading if late else None
        self._sums, self._images, self._rounds = torch.zeros_like(sums), 0, 0
        for each in readings:
            self._move(each)

    def _move(self, reading: Reading) -> None:
        """Move p by one step towards the target."""
        signs, number = _values(reading)
        if number:
            r_t = signs / number
            step = ((r_t > self.target) - (r_t < self.target)) * reading.images / self.speed
            self.strength = min(max(self.strength + step, 0.0), 1.0)

    # --- state -------------------------------------------------------------------------------------------------------

    def state(self, reduce: Reduce) -> dict[str, Any]:
        """Return p and the sums of all processes as plain values, for a checkpoint."""
        unread = self._unread
        return {
            "p": self.strength,
            "sums": reduce(self._sums.clone(), reduce_op="sum").tolist(),
            "images": self._images,
            "rounds": self._rounds,
            "unread": None if unread is None else [*_values(unread), unread.images],
        }

    def load(self, state: Mapping[str, Any], first: bool = True) -> None:
        """Continue from a `state`; from none, with p = 0.

        Args:
            state: the state, or an empty mapping.
            first: whether this is the first process, which alone takes over the sums of all.
        """
        self.strength = float(state.get("p", 0.0))
        self._images, self._rounds = state.get("images", 0), state.get("rounds", 0)
        self._sums = torch.tensor(state.get("sums", [0.0, 0.0]) if first else [0.0, 0.0])
        self._round = torch.zeros(2)
        unread = state.get("unread")
        self._unread = None if unread is None else Reading(torch.tensor(unread[:2]), unread[2])


def _values(reading: Reading) -> list[float]:
    """Return the sums, after their copy to the host has ended."""
    if reading.copied is not None:
        reading.copied.synchronize()
    values: list[float] = [float(value) for value in reading.sums.numpy()]
    return values
