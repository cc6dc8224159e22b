"""The peer of `peers.py` for R3GAN: its authors' repository. Nothing of their code is here."""

from __future__ import annotations

import copy
import re
from functools import partial
from importlib import import_module
from typing import Any

import packaging.version
import torch
from peer_program import Peer
from torch import Tensor, nn
from torch.nn import functional as f

PLACES = {
    "LinearLayer1.Layer.weight": "expand.weight",
    "NonLinearity1.Bias": "expand.bias",
    "LinearLayer2.Layer.weight": "grouped.weight",
    "NonLinearity2.Bias": "grouped.bias",
    "LinearLayer3.Layer.weight": "contract.weight",
    "LinearLayer.Layer.weight": "transition.weight",
    "LinearLayer.weight": "linear.weight",
    "Basis.weight": "basis",
    "Basis": "basis",
    "AggregationLayer.Layer.weight": "image.weight",
    "ExtractionLayer.Layer.weight": "image.weight",
    "EmbeddingLayer.weight": "embed.weight",
}
"""Kinds of tensors by their names in the repository. Within a kind both networks have them in one order."""


class OfficialR3GAN(Peer):
    """R3GAN of its authors: what the body of their `training_loop` does for a batch, without augmentation."""

    folders = ("R3GAN",)
    address = "brownvc/R3GAN"
    placeholders = ("pkg_resources",)
    notes = (
        "pkg_resources, which today's setuptools no longer has, is replaced by packaging",
        "on a CPU its own operations are computed by the reference in torch that it has for them",
        "each player has real images of its own, as in its loop; the zoo's players share those of a round",
        "schedules stand at their start, where the average is a copy of the generator; augmentation is off in both",
    )

    def build(self, settings: dict[str, Any]) -> None:
        """Build by the row's widths as its presets do; its cardinalities are numbers of groups."""
        vars(import_module("pkg_resources"))["parse_version"] = packaging.version.parse
        networks, training = import_module("R3GAN.Networks"), import_module("R3GAN.Trainer")
        widths, classes, latent = list(settings["widths"]), settings.get("num_classes") or None, settings["latent_dim"]
        groups = [2 * width // settings["group_size"] for width in widths]
        blocks = [settings["blocks"]] * len(widths)
        of_generator, of_discriminator = (latent, widths[0]) if classes else (0, 0)
        self.generator = networks.Generator(latent, widths, groups, blocks, 2, classes, of_generator)
        self.discriminator = networks.Discriminator(widths[::-1], groups[::-1], blocks, 2, classes, of_discriminator)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.training, self.gamma = training.AdversarialTraining(self.generator, self.discriminator), settings["r1"]
        adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.0, 0.9), eps=1e-8)
        self.optimizers = adam(self.discriminator.parameters()), adam(self.generator.parameters())
        self.generator.requires_grad_(False)
        self.discriminator.requires_grad_(False)

    def cycle(self) -> None:
        """Step the discriminator, then the generator, and average."""
        accumulate = (
            partial(self.training.AccumulateDiscriminatorGradients, Gamma=self.gamma),
            self.training.AccumulateGeneratorGradients,
        )
        for network, optimizer, gradients in zip((self.discriminator, self.generator), self.optimizers, accumulate):
            images, labels = self.next()
            latents = torch.randn(len(images), self.row.settings["latent_dim"])
            optimizer.zero_grad(set_to_none=True)
            network.requires_grad_(True)
            gradients(latents, images, self.classes(labels))
            network.requires_grad_(False)
            optimizer.step()
        with torch.no_grad():
            for averaged, live in zip(self.average.parameters(), self.generator.parameters()):
                averaged.copy_(live.lerp(averaged, 0.0))

    def classes(self, labels: Tensor) -> Tensor | None:
        """Return classes (B,) as its networks take them: one-hot (B, classes), or None without any."""
        number = self.row.settings.get("num_classes")
        return f.one_hot(labels, number).float() if number else None

    def draw(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images."""
        images: Tensor = self.generator(z, self.classes(labels))
        return images

    def score(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return scores."""
        scores: Tensor = self.discriminator(images, self.classes(labels))
        return scores

    def renamed(self, model: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the tensors by the zoo's names."""
        return by_kind(self.generator, model.generator), by_kind(self.discriminator, model.discriminator)


def by_kind(source: nn.Module, target: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network by the names of the zoo's, kind by kind, see `PLACES`."""
    found: dict[str, list[Tensor]] = {}
    for name, tensor in source.state_dict().items():
        kind = PLACES.get(re.sub(r"^MainLayers\.\d+\.Layers\.\d+\.", "", name))
        if kind is not None:  # else the constant kernel of a resampler
            found.setdefault(kind, []).append(tensor.T if kind == "embed.weight" else tensor)
    state = {}
    for name, tensor in target.state_dict().items():
        kind = ".".join(name.split(".")[-2:])
        kind = re.sub(r"^\d+\.", "transition.", kind)
        kind = {"modulate.weight": "linear.weight", "readout.weight": "linear.weight"}.get(kind, kind)
        kind = {"to_image.weight": "image.weight", "from_image.weight": "image.weight"}.get(kind, kind)
        state[name] = found[kind].pop(0).view_as(tensor) if kind == "basis" else found[kind].pop(0)
    return state
