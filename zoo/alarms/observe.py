"""What is read from a model in training: every signal by name, measured without a trace left in the model.

Two kinds of reading. A *quick* one, every few rounds, since a collapse takes about a dozen: scores and images of the
fixed inputs, activations, weights, gradients. A *full* one, seldom: singular values, Adam's relative updates, slopes
between real and generated images, scores of held-out images, classes.

Names are paths: `activation/g/body.0` is the generator's, `score/real` a mean score. All values of a reading travel to
the host in one transfer, the only time that training waits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn

from zoo.alarms.diversity import diversity, pixels
from zoo.alarms.fixed import Fixed
from zoo.alarms.spectrum import COUNT, Spectra
from zoo.features import Extractor
from zoo.gan import GAN
from zoo.layers.normalization import PixelNorm
from zoo.training.augment import augmented
from zoo.training.objectives import Wasserstein, interpolated_gradient_norms
from zoo.training.seeding import seeded


class Observer:
    """Reads signals.

    Args:
        model: to be watched.
        data: a data module of the zoo, or anything else.
        n: images of each kind in a quick reading.
        many: in a full one.
        classifier: where one is at hand, an extractor with logits; the share of its classes is a signal, too.
    """

    def __init__(self, model: GAN, data: Any, n: int = 16, many: int = 64, classifier: Extractor | None = None) -> None:
        self.fixed = Fixed(model, data, n, many)
        self.spectra = Spectra()
        self.classifier = classifier
        undecided = torch.full((1,), model.objective.undecided or 0.0, device=model.device)
        self.chance = model.objective.discriminator_value(undecided, undecided)  # of a Wasserstein critic: 0
        self.networks = {"g": model.generator, "d": model.discriminator}
        self.weights = {f"{name}/{key}": w for name, net in self.networks.items() for key, w in weights_of(net).items()}
        self.buffers = list(model.buffers())  # of a subclass's own, too: looking must not move them
        self.layers = [layer for name, network in self.networks.items() for layer in _layers(name, network)]
        self.gradients: dict[str, Tensor] = {}  # of each player's latest measured step: (tensors,) norms
        self.awaited = [player.name for player in model.players()]

    # --- during a step -----------------------------------------------------------------------------------------------

    def on_step(self, player: str, parameters: Sequence[nn.Parameter]) -> None:
        """Before an optimizer's step: keep the norms of its gradients, once between two readings."""
        if player in self.awaited:
            self.awaited.remove(player)
            gradients = [p.grad for p in parameters if p.grad is not None]
            if gradients:
                self.gradients[player] = torch.stack(torch._foreach_norm(gradients)).float()

    # --- between rounds ----------------------------------------------------------------------------------------------

    def quick(self, trainer: Trainer, model: GAN) -> dict[str, float]:
        """The signals of a quick reading."""
        found = self._forward(trainer, model)
        with torch.no_grad():
            norms = torch._foreach_norm(list(self.weights.values()))
        for (name, weight), norm in zip(self.weights.items(), norms):
            found[f"weight/{name}"] = norm / weight.numel() ** 0.5
        found |= {f"gradient/{name}": norms.norm() for name, norms in self.gradients.items()}
        self.awaited = [player.name for player in model.players()]
        return fetched(found)

    def full(self, trainer: Trainer, model: GAN) -> dict[str, float]:
        """The further signals of a full reading."""
        found: dict[str, Tensor] = {}
        for name, values in self.spectra.of(self.weights).items():
            found |= {f"sigma{i + 1}/{name}": values[i] for i in range(COUNT)}
        for player, optimizer in zip(model.players(), trainer.optimizers):
            found |= {f"update/{player.name}/{key}": v for key, v in updates(player.network, optimizer).items()}
        found |= self._held_out(trainer, model)
        if isinstance(model.objective, Wasserstein):
            found |= self._slopes(trainer, model)
        if self.classifier is not None:
            found |= self._classes(trainer, model, self.classifier)
        return fetched(found)

    def _forward(self, trainer: Trainer, model: GAN) -> dict[str, Tensor]:
        """One pass of both networks over the fixed inputs, in the mode in which they train."""
        squares: dict[str, list[tuple[Tensor, int]]] = {}
        with self._unseen(trainer), _listening(self.layers, squares):
            real = self.fixed.real(model)
            fake = self.fixed.fake(model, real)
            shown = [augmented(batch, model.augment) for batch in (real, fake)]
            real_scores, fake_scores = (scores.float() for scores in model.scores(*shown))
        loss = model.objective.discriminator_value(real_scores, fake_scores)
        found = {
            "score/real": real_scores.mean(),
            "score/fake": fake_scores.mean(),
            "score/scale": torch.cat([real_scores, fake_scores]).std(correction=0),
            "loss/d": loss,
            "loss/chance": self.chance,
            **diversity(pixels(real.images), pixels(fake.images)),
        }
        for name, parts in squares.items():
            total = torch.stack([norm.square() for norm, _ in parts]).sum()
            found[f"activation/{name}"] = (total / sum(count for _, count in parts)).sqrt()
        return found

    def _held_out(self, trainer: Trainer, model: GAN) -> dict[str, Tensor]:
        """Scores of many training, held-out and generated images, and what they say of overfitting."""
        with self._unseen(trainer):
            held_out = self.fixed.held_out(model)
            if held_out is None:
                return {}
            train = self.fixed.real(model, many=True)
            fake = self.fixed.fake(model, train)
            shown = [augmented(batch, model.augment) for batch in (train, held_out, fake)]  # as in training
            r, h, f = (scores.float() for batch in shown for scores in model.scores(batch))
        zero = h.mean() if model.objective.undecided is None else model.objective.undecided
        error = (r.var() / len(r) + h.var() / len(h)).sqrt()
        return {
            "overfitting/r_v": (r.mean() - h.mean()) / (r.mean() - f.mean()).abs().clamp_min(1e-12),
            "overfitting/r_t": (r - zero).sign().mean(),
            "overfitting/certainty": (r.mean() - h.mean()) / error.clamp_min(1e-12),
            "score/train": r.mean(),
            "score/held_out": h.mean(),
            "score/generated": f.mean(),
        }

    def _slopes(self, trainer: Trainer, model: GAN) -> dict[str, Tensor]:
        """Norms of the discriminator's gradient at points between real and generated images."""
        with self._unseen(trainer):
            real = self.fixed.real(model)
            shown = [augmented(batch, model.augment) for batch in (real, self.fixed.fake(model, real))]
            with torch.enable_grad():
                slopes = interpolated_gradient_norms(model.scores, *shown).detach()
        return {"slope/mean": slopes.mean(), "slope/largest": slopes.amax()}

    def _classes(self, trainer: Trainer, model: GAN, classifier: Extractor) -> dict[str, Tensor]:
        """How evenly an outside classifier's classes appear: entropy over its largest value, and the rarest share."""
        with self._unseen(trainer):
            images = self.fixed.fake(model, self.fixed.real(model, many=True)).images.float().clamp(-1, 1)
        shares = classifier.logits(images).softmax(1).mean(0)
        evenness = torch.special.entr(shares).sum() / math.log(len(shares))
        return {"classes/evenness": evenness, "classes/rarest": shares.amin()}

    @contextmanager
    def _unseen(self, trainer: Trainer) -> Iterator[None]:
        """Inside, networks compute as in training; afterwards every buffer and the random state are as they were.

        Batch norm moves its averages and spectral norm its vectors in every pass in training mode; dropout draws.
        """
        saved = [buffer.clone() for buffer in self.buffers]
        with torch.no_grad(), seeded(0, self.fixed.latents.device), trainer.precision_plugin.forward_context():
            try:
                yield
            finally:
                for buffer, value in zip(self.buffers, saved):
                    buffer.copy_(value)

    # --- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What the next reading depends on beside the model: tensors and plain values."""
        return {
            "vectors": self.spectra.vectors,
            "gradients": self.gradients,
            "awaited": self.awaited,
            "images": self.fixed.images,
            "labels": self.fixed.labels,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.spectra.vectors = dict(state["vectors"])
        self.gradients = {key: norms.to(self.fixed.latents.device) for key, norms in state["gradients"].items()}
        self.awaited = list(state["awaited"])
        if state["images"] is not None:
            self.fixed.images, self.fixed.labels = state["images"], state["labels"]


def updates(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """RMS of Adam's latest update over that of the weight, for each weight that an Adam moves; else nothing."""
    found = {}
    with torch.no_grad():
        for group in optimizer.param_groups:
            names = {id(weight): key for key, weight in weights_of(network).items()}
            for weight in group["params"]:
                state = optimizer.state.get(weight, {})
                if id(weight) not in names or "exp_avg_sq" not in state:
                    continue
                step, (beta1, beta2) = state["step"].to(weight.device), group["betas"]
                mean = state["exp_avg"] / (1 - beta1**step)
                root = (state["exp_avg_sq"] / (1 - beta2**step)).sqrt_().add_(group["eps"])
                found[names[id(weight)]] = group["lr"] * (mean / root).norm() / weight.norm().clamp_min(1e-12)
    return found


def _layers(prefix: str, network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Layers whose activations are watched: those with a weight that is a matrix or filters, and pixel norms."""
    return [
        (f"{prefix}/{name}", module)
        for name, module in network.named_modules()
        if isinstance(module, PixelNorm) or getattr(getattr(module, "weight", None), "ndim", 0) > 1
    ]


@contextmanager
def _listening(layers: Sequence[tuple[str, nn.Module]], squares: dict[str, list[tuple[Tensor, int]]]) -> Iterator[None]:
    """Collect norms of what every layer puts out, and of what goes into and out of pixel norms.

    A pixel norm may be one module called at many places, so its calls are numbered. The hooks are there only inside:
    training itself pays nothing for them.
    """
    calls: dict[str, int] = {}

    def keep(name: str, value: Any) -> None:
        if isinstance(value, Tensor) and value.is_floating_point():
            norm = torch.linalg.vector_norm(value.detach(), dtype=torch.float32)
            squares.setdefault(name, []).append((norm, value.numel()))

    def hear(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(module, PixelNorm):
            calls[name] = calls.get(name, -1) + 1
            keep(f"{name}#{calls[name]}.before", inputs[0])
            keep(f"{name}#{calls[name]}.after", output)
        else:
            keep(name, output)

    handles = [module.register_forward_hook(partial(hear, name)) for name, module in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def weights_of(network: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that are matrices or filters, by name without the `.weight` that most end in."""
    return {name.removesuffix(".weight"): weight for name, weight in network.named_parameters() if weight.ndim > 1}


def fetched(tensors: dict[str, Tensor]) -> dict[str, float]:
    """Scalars of the device as numbers of the host, in one transfer."""
    if not tensors:
        return {}
    return dict(zip(tensors, torch.stack([value.float() for value in tensors.values()]).tolist()))
