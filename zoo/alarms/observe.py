"""Measurement of the signals of a model in training, without side effects on the model.

There are two kinds of readings. A *quick* reading is taken every few rounds, because a collapse takes about a dozen:
scores and images of the fixed inputs, activations, weights, gradients. A *full* reading is rarer: singular values,
Adam's relative updates, gradient norms between real and generated images, scores of held-out images, class shares.

Signals are named by paths: `activation/g/body.0` belongs to the generator's layer `body.0`, `score/real` is a mean
score. All values of a reading are transferred to the host at once, and only then does training wait for the device.
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
from zoo.alarms.fixed import FixedInputs
from zoo.alarms.spectrum import COUNT, Spectra
from zoo.features import Extractor
from zoo.gan import GAN
from zoo.layers.normalization import PixelNorm
from zoo.training.objectives import Wasserstein
from zoo.training.penalties import interpolated_gradient_norms
from zoo.training.seeding import seeded


class Observer:
    """Reader of the signals of a model.

    Args:
        model: the monitored model.
        data: the data module; ignored unless it is one of zoo.data.
        n: number of images of each kind in a quick reading.
        many: number of images of each kind in a full reading.
        classifier: extractor with logits, whose class shares of generated images become signals; None for none.
    """

    def __init__(self, model: GAN, data: Any, n: int = 16, many: int = 64, classifier: Extractor | None = None) -> None:
        self.fixed = FixedInputs(model, data, n, many)
        self.spectra = Spectra()
        self.classifier = classifier
        self.chance: Tensor | None = None  # loss of an undecided discriminator; None without an objective
        if model.objective is not None:
            undecided = torch.full((1,), model.undecided or 0.0, device=model.device)
            self.chance = model.objective.discriminator_value(undecided, undecided)
        self.networks = {"g": model.generator, "d": model.discriminator}
        self.weights = {f"{name}/{key}": w for name, net in self.networks.items() for key, w in weights_of(net).items()}
        self.buffers = list(model.buffers())  # also a subclass's own: a reading must not change them
        self.layers = [layer for name, network in self.networks.items() for layer in _layers(name, network)]
        self.gradients: dict[str, Tensor] = {}  # by player: norm of each gradient in its latest measured step
        self.awaited = [player.name for player in model.players()]  # players not measured since the last reading

    # --- during a step -----------------------------------------------------------------------------------------------

    def on_step(self, player: str, parameters: Sequence[nn.Parameter]) -> None:
        """Record the norms of a player's gradients before its optimizer's step, once between two readings."""
        if player in self.awaited:
            self.awaited.remove(player)
            gradients = [p.grad for p in parameters if p.grad is not None]
            if gradients:
                self.gradients[player] = torch.stack(torch._foreach_norm(gradients)).float()

    # --- between rounds ----------------------------------------------------------------------------------------------

    def quick(self, trainer: Trainer, model: GAN) -> dict[str, float]:
        """Measure the signals of a quick reading, by name."""
        signals = self._forward(trainer, model)
        with torch.no_grad():
            norms = torch._foreach_norm(list(self.weights.values()))
        for (name, weight), norm in zip(self.weights.items(), norms):
            signals[f"weight/{name}"] = norm / weight.numel() ** 0.5
        signals |= {f"gradient/{name}": norms.norm() for name, norms in self.gradients.items()}
        self.awaited = [player.name for player in model.players()]
        return to_host(signals)

    def full(self, trainer: Trainer, model: GAN) -> dict[str, float]:
        """Measure the further signals of a full reading, by name."""
        signals: dict[str, Tensor] = {}
        for name, values in self.spectra.of(self.weights).items():
            signals |= {f"sigma{i + 1}/{name}": values[i] for i in range(COUNT)}
        for player, optimizer in zip(model.players(), trainer.optimizers):
            signals |= {f"update/{player.name}/{key}": v for key, v in updates(player.network, optimizer).items()}
        signals |= self._held_out(trainer, model)
        if isinstance(model.objective, Wasserstein):
            signals |= self._gradient_norms(trainer, model)
        if self.classifier is not None:
            signals |= self._classes(trainer, model, self.classifier)
        return to_host(signals)

    def _forward(self, trainer: Trainer, model: GAN) -> dict[str, Tensor]:
        """Run both networks on the fixed inputs, in training mode, and measure scores, images and activations."""
        activations: dict[str, list[tuple[Tensor, int]]] = {}
        with self._without_side_effects(trainer), _recording(self.layers, activations):
            real = self.fixed.real(model)
            fake = self.fixed.fake(model, real)
            shown = [model.shown(batch) for batch in (real, fake)]
            real_scores, fake_scores = (scores.float() for scores in model.scores(*shown))
        signals = {
            "score/real": real_scores.mean(),
            "score/fake": fake_scores.mean(),
            "score/scale": torch.cat([real_scores, fake_scores]).std(correction=0),
            **diversity(pixels(real.images), pixels(fake.images)),
        }
        if model.objective is not None and self.chance is not None:
            signals["loss/d"] = model.objective.discriminator_value(real_scores, fake_scores)
            signals["loss/chance"] = self.chance
        for name, calls in activations.items():
            total = torch.stack([norm.square() for norm, _ in calls]).sum()
            signals[f"activation/{name}"] = (total / sum(count for _, count in calls)).sqrt()
        return signals

    def _held_out(self, trainer: Trainer, model: GAN) -> dict[str, Tensor]:
        """Measure scores of many training, held-out and generated images, and the overfitting of the discriminator.

        With mean scores of training images t, held-out images h and generated images g (Karras et al. 2020,
        arXiv:2006.06676, equation 1):

            r_v       = (t - h) / |t - g|
            r_t       = mean of sign(score - u) over training images
            certainty = (t - h) / its standard error

        u is the score of an undecided discriminator. Wasserstein and relativistic losses have none; there r_t is the
        mean of sign(score - score of a generated image) over all pairs, as in `zoo.training.adaptive`. Without held-out
        images the result is empty.
        """
        with self._without_side_effects(trainer):
            held_out = self.fixed.held_out(model)
            if held_out is None:
                return {}
            train = self.fixed.real(model, many=True)
            fake = self.fixed.fake(model, train)
            shown = [model.shown(batch) for batch in (train, held_out, fake)]  # as in training
            t, h, g = (scores.float() for batch in shown for scores in model.scores(batch))
        above = t[:, None] - g if model.undecided is None else t - model.undecided
        error = (t.var() / len(t) + h.var() / len(h)).sqrt()
        return {
            "overfitting/r_v": (t.mean() - h.mean()) / (t.mean() - g.mean()).abs().clamp_min(1e-12),
            "overfitting/r_t": above.sign().mean(),
            "overfitting/certainty": (t.mean() - h.mean()) / error.clamp_min(1e-12),
            "score/train": t.mean(),
            "score/held_out": h.mean(),
            "score/generated": g.mean(),
        }

    def _gradient_norms(self, trainer: Trainer, model: GAN) -> dict[str, Tensor]:
        """Measure the norms of the discriminator's gradient at points between real and generated images."""
        with self._without_side_effects(trainer):
            real = self.fixed.real(model)
            fake = self.fixed.fake(model, real)
            real, fake = model.shown(real), model.shown(fake)
            with torch.enable_grad():
                norms = interpolated_gradient_norms(model.scores, real, fake).detach()
        return {"slope/mean": norms.mean(), "slope/largest": norms.amax()}

    def _classes(self, trainer: Trainer, model: GAN, classifier: Extractor) -> dict[str, Tensor]:
        """Measure the normalised entropy and the minimum of a classifier's mean class probabilities."""
        with self._without_side_effects(trainer):
            images = self.fixed.fake(model, self.fixed.real(model, many=True)).images.float().clamp(-1, 1)
        shares = classifier.logits(images).softmax(1).mean(0)
        evenness = torch.special.entr(shares).sum() / math.log(len(shares))
        return {"classes/evenness": evenness, "classes/rarest": shares.amin()}

    @contextmanager
    def _without_side_effects(self, trainer: Trainer) -> Iterator[None]:
        """Run networks as in training inside the context, and restore all buffers and the random state afterwards.

        In training mode batch norm updates its averages, spectral norm updates its vectors, and dropout draws numbers.
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
        """Return what the next reading depends on apart from the model: tensors and plain values."""
        return {
            "vectors": self.spectra.vectors,
            "gradients": self.gradients,
            "awaited": self.awaited,
            "images": self.fixed.images,
            "labels": self.fixed.labels,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a `state_dict`."""
        self.spectra.vectors = dict(state["vectors"])
        self.gradients = {key: norms.to(self.fixed.latents.device) for key, norms in state["gradients"].items()}
        self.awaited = list(state["awaited"])
        if state["images"] is not None:
            self.fixed.images, self.fixed.labels = state["images"], state["labels"]


def updates(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Compute the size of Adam's latest update relative to the weight, |update| / |weight|, by name of the weight.

    Args:
        network: network with the weights.
        optimizer: its optimizer; the result is empty if it is not Adam.
    """
    sizes = {}
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
                sizes[names[id(weight)]] = group["lr"] * (mean / root).norm() / weight.norm().clamp_min(1e-12)
    return sizes


def _layers(prefix: str, network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the layers whose activations are monitored: those with a matrix or filters as weight, and pixel norms."""
    return [
        (f"{prefix}/{name}", module)
        for name, module in network.named_modules()
        if isinstance(module, PixelNorm) or getattr(getattr(module, "weight", None), "ndim", 0) > 1
    ]


@contextmanager
def _recording(layers: Sequence[tuple[str, nn.Module]], norms: dict[str, list[tuple[Tensor, int]]]) -> Iterator[None]:
    """Record norms of the outputs of layers inside the context, and of the inputs and outputs of pixel norms.

    One pixel norm may be called several times in a pass, so its calls are numbered. The hooks exist only inside the
    context, so they cost nothing in training.

    Args:
        layers: layers by name.
        norms: filled with the norm and the number of elements of each output, by name of the layer.
    """
    calls: dict[str, int] = {}

    def record(name: str, value: Any) -> None:
        if isinstance(value, Tensor) and value.is_floating_point():
            norm = torch.linalg.vector_norm(value.detach(), dtype=torch.float32)
            norms.setdefault(name, []).append((norm, value.numel()))

    def hook(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(module, PixelNorm):
            calls[name] = calls.get(name, -1) + 1
            record(f"{name}#{calls[name]}.before", inputs[0])
            record(f"{name}#{calls[name]}.after", output)
        else:
            record(name, output)

    handles = [module.register_forward_hook(partial(hook, name)) for name, module in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def weights_of(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that are matrices or filters, by name without a final `.weight`."""
    return {name.removesuffix(".weight"): weight for name, weight in network.named_parameters() if weight.ndim > 1}


def to_host(tensors: dict[str, Tensor]) -> dict[str, float]:
    """Transfer scalars from the device to the host, all at once."""
    if not tensors:
        return {}
    return dict(zip(tensors, torch.stack([value.float() for value in tensors.values()]).tolist()))
