"""A mixture of networks whose weights are learnt as a player of a game learns: Arora et al. 2017, arXiv:1703.00573.

The weights are stored as logarithms and updated by exponentiated gradient, or by the networks' optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

WeightUpdate = Literal["exponentiated_gradient", "optimizer"]
Regulariser = Literal["cross_entropy", "shannon"]
LOWEST_LOG_WEIGHT = math.log(1e-30)  # its exponential is still a normal float32, and such a member is never drawn


class Mixture(nn.Module):
    """Networks of one architecture, each with its own parameters, and the probability of each.

    Under exponentiated gradient `weights` is the parameter that losses are differentiated by, and `step` updates it; no
    optimizer does. Under `optimizer` the parameter is `log_weights`. A mixture of one has nothing to learn, and neither
    is a parameter. Both tensors are saved; a moving average of `weights` is again a vector of probabilities.

    Args:
        members: the networks, k of them.
        update: how the weights are updated: `exponentiated_gradient`, or `optimizer`: by the optimizer of the networks.
    """

    log_weights: Tensor
    weights: Tensor

    def __init__(self, members: Sequence[nn.Module], update: WeightUpdate = "exponentiated_gradient") -> None:
        super().__init__()
        if update not in get_args(WeightUpdate):
            raise ValueError(f"weight_update is one of {', '.join(get_args(WeightUpdate))}; got {update!r}")
        self.update = update
        self.members = nn.ModuleList(members)
        logarithms = torch.full((len(members),), -math.log(len(members)))
        learnt = None if len(members) == 1 else "log_weights" if update == "optimizer" else "weights"
        for name, value in {"log_weights": logarithms, "weights": logarithms.softmax(0)}.items():
            if name == learnt:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def __len__(self) -> int:
        return len(self.members)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile each member in place, as `nn.Module.compile` does; the arguments are those of `torch.compile`."""
        for member in self.members:
            member.compile(*args, **kwargs)

    @property
    def learnt(self) -> Tensor | None:
        """The parameter through which the weights are learnt, or None for a single member."""
        if len(self) == 1:
            return None
        return self.log_weights if self.update == "optimizer" else self.weights

    def probabilities(self) -> Tensor:
        """Return the weights (k,), which are positive and sum to 1; gradients flow from them to `learnt`."""
        return self.log_weights.softmax(0) if self.learnt is self.log_weights else self.weights

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update the weights after a backward pass, or compute them from the logarithms that the optimizer updated.

        Args:
            rate: rate eta of the exponentiated gradient: `w_i` becomes proportional to `w_i * exp(-eta * dL/dw_i)`.
        """
        if self.learnt is self.weights and self.weights.grad is not None:
            log_weights = (self.log_weights - rate * self.weights.grad).log_softmax(0)
            self.log_weights.copy_(log_weights.clamp_(min=LOWEST_LOG_WEIGHT))
        self.weights.copy_(self.log_weights.softmax(0))


def regularisation(weights: Tensor, form: Regulariser = "cross_entropy") -> Tensor:
    """Compute the regulariser that keeps a mixture from collapsing onto one member: a scalar, least for equal weights.

    - `cross_entropy`, that of the paper (section 5) and its code: `-(1/k) * sum_i log w_i`, the cross entropy from the
      uniform distribution to the weights. It grows without bound as any weight goes to 0.
    - `shannon`: `sum_i w_i log w_i`, the negative entropy. It is bounded, and lets weights go to 0.

    Args:
        weights: probabilities (k,), positive and of sum 1.
        form: name of the regulariser.
    """
    return -weights.log().mean() if form == "cross_entropy" else torch.special.xlogy(weights, weights).sum()
