"""Checks of what the training loop is given: by the trainer, by a variant's constructor, losses and scores."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning import callbacks as pl_callbacks
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from zoo.errors import CheckpointError, UserError
from zoo.training.batch import Batch
from zoo.training.objectives import Objective
from zoo.training.player import Player
from zoo.training.precision import precision_fault
from zoo.training.replicas import Replicas
from zoo.training.strategies import strategy_fault


def check_terms(terms: object, whose: str) -> None:
    """Check that a player's loss is a dict of named scalar tensors, of which at least one has a gradient.

    Args:
        terms: what the loss returned.
        whose: name of the loss, for the error.

    Raises:
        UserError: when it is anything else.
    """
    if not isinstance(terms, dict):
        what = "nothing; does it end with return?" if terms is None else f"a {type(terms).__name__}"
        raise UserError(f'{whose} must return a dict of named terms, such as {{"adversarial": loss}}; got {what}')
    for name, term in terms.items():
        if not isinstance(term, Tensor):
            raise UserError(f"{whose}: the term {name!r} must be a tensor; got {term!r}")
        if term.ndim:
            raise UserError(f"{whose}: the term {name!r} must be one number; got {tuple(term.shape)}. Add .mean()")
    if not terms:
        raise UserError(f"{whose} must return at least one term; got an empty dict")
    if not any(term.requires_grad for term in terms.values()):
        raise UserError(
            f"{whose}: no term depends on weights that the player trains, so it cannot move; got {', '.join(terms)}. "
            "Compute a term without .detach(), .item() and torch.no_grad()"
        )


def given_objective(model: Any) -> Objective:
    """Return the model's objective.

    Raises:
        UserError: when it is None, as in a variant with losses of its own, of which this one is missing.
    """
    if model.objective is None:
        raise UserError(
            f"{type(model).__name__} has objective=None, so it must override both discriminator_loss and "
            'generator_loss; or give GAN.__init__ an objective, such as zoo.training.objectives.objective("hinge")'
        )
    objective: Objective = model.objective
    return objective


def scored(model: Any, batch: Batch) -> Tensor:
    """Return `model.score(batch)`, which is left in `batch.scores` too, after checking its shape.

    It must be (B,): (B, 1) would silently broadcast to (B, B) in a loss. Scores in half precision, as layers give them
    under autocast, are returned in float32: autocast leaves means and differences in bf16 on every device, and softplus
    on a CPU, so a loss would have three digits.

    Raises:
        UserError: for any other shape.
    """
    scores: Tensor = model.score(batch)
    if scores.shape != (len(batch),):
        raise UserError(
            f"{type(model).__name__}.score must give one logit for each image, ({len(batch)},); got "
            f"{tuple(scores.shape)}. For ({len(batch)}, 1), add .flatten()"
        )
    if scores.dtype in (torch.bfloat16, torch.float16):
        scores = scores.float()
    batch.scores = scores
    return scores


def trainable(player: Player, whose: str) -> list[nn.Parameter]:
    """Return the parameters of a player's network that are not frozen.

    Args:
        player: the player.
        whose: name of the model's class, for the error.

    Raises:
        UserError: when all of them are frozen.
    """
    parameters = [weight for weight in player.network.parameters() if weight.requires_grad]
    if not parameters:
        raise UserError(
            f"{whose}: the network of the player {player.name!r} has no weight to train; all of its weights are "
            "frozen, or it has none. Leave some with requires_grad=True, or override players() to leave the player out"
        )
    return parameters


def trained_by(model: Any, player: str) -> list[nn.Parameter]:
    """Return the parameters that the optimizer of the player of this name updates.

    Raises:
        UserError: when they are not known, as with a class of its own `configure_optimizers`, or before a fit.
    """
    if player not in model._trained:
        raise UserError(
            f"{type(model).__name__}: the player {player!r} has no optimizer. They are made at the start of a fit by "
            "GAN.configure_optimizers, which a subclass must not replace. Override configure_optimizer(player, "
            "parameters), which returns the optimizer of one player"
        )
    trained: list[nn.Parameter] = model._trained[player]
    return trained


def check_trainer(trainer: Trainer) -> None:
    """Check that a trainer can train two players, and silence Lightning's warning about the average's eval mode.

    Raises:
        ValueError: for a precision that cannot train two players, or a strategy for devices other than `Replicas`.
    """
    # Lightning warns of every module that is not in training mode; the average never is.
    warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode at the start of training")
    if fault := precision_fault(str(trainer.precision)):
        raise ValueError(f"precision: {fault}. Use Trainer(precision='bf16-mixed') or '32-true'")
    name = type(trainer.strategy).__name__
    if fault := strategy_fault(name):
        raise ValueError(f"strategy: {fault}. On several devices use Trainer(strategy=zoo.Replicas(), ...)")
    if trainer.world_size > 1 and not isinstance(trainer.strategy, Replicas):
        raise ValueError(
            f"{name} cannot train two players that take turns, each with the "
            "other frozen. On several devices use Trainer(strategy=zoo.Replicas(), ...)"
        )


REFUSED_CALLBACKS = {
    pl_callbacks.WeightAveraging: (
        "the model keeps a moving average of its generator, from which it samples; this callback would average the "
        "discriminator too, and save an average of the average. Set model.average_halflife, in images"
    ),
    pl_callbacks.StochasticWeightAveraging: (
        "it serves one optimizer, a GAN has one for each player. The model keeps a moving average of its generator: "
        "set model.average_halflife, in images"
    ),
    pl_callbacks.GradientAccumulationScheduler: (
        "Lightning's accumulation serves one optimizer. Set model.micro_batches, which splits a batch to save memory"
    ),
}
"""Callbacks of Lightning, with their subclasses, that would train or save something wrong, and why."""


def check_callbacks(trainer: Trainer) -> None:
    """Check that no callback changes weights or gradients in a way that is wrong for two players.

    Raises:
        UserError: for one of `REFUSED_CALLBACKS`.
    """
    for callback in getattr(trainer, "callbacks", ()):
        for refused, reason in REFUSED_CALLBACKS.items():
            if isinstance(callback, refused):
                raise UserError(f"the callback {type(callback).__name__} is refused: {reason}")


def monitors(trainer: Trainer) -> bool:
    """Return whether a callback monitors a logged term, as ModelCheckpoint and EarlyStopping do."""
    return any(isinstance(getattr(callback, "monitor", None), str) for callback in getattr(trainer, "callbacks", ()))


def check_model(model: Any) -> None:
    """Check that a variant's constructor has done all that training needs, see the checks that this calls."""
    check_hyperparameters(model)
    check_average(model)


def check_average(model: Any) -> None:
    """Check that the average is a network like the generator, which a subclass may have replaced in its constructor.

    Raises:
        UserError: when it is another network: its images would not be the generator's.
    """
    if _plan(model.average) != _plan(model.generator):
        raise UserError(
            f"{type(model).__name__}: the generator is not the network that GAN.__init__ copied for the moving "
            "average, from which samples are drawn. After `self.generator = ...`, or a change of its layers, write "
            "`self.average = averaged_copy(self.generator)` (zoo.training.average)"
        )


def _plan(network: nn.Module) -> list[Any]:
    """Return the classes of a network's parts, without wrappers such as `torch.compile`, and its shapes."""
    parts = (part for part in network.modules() if not hasattr(part, "_orig_mod"))
    classes = [type(part) for part in parts if not isinstance(part, DataParallel | DistributedDataParallel)]
    return [*classes, *(weight.shape for weight in network.parameters()), *(b.shape for b in network.buffers())]


def check_hyperparameters(model: LightningModule) -> None:
    """Check that a model has recorded the arguments of its constructor.

    Raises:
        CheckpointError: when it has none, so that its checkpoints could not be loaded.
    """
    if not model.hparams:
        raise CheckpointError(
            f"{type(model).__name__} has not recorded its arguments, so its checkpoints could not be loaded. End "
            "its __init__ with self.save_hyperparameters(logger=False)"
        )
