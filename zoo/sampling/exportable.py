"""The generator of a trained model as a plain module, for export to other runtimes."""

from __future__ import annotations

import copy
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from zoo.layers.spectral import Spectral
from zoo.sampling.images import displayed
from zoo.sampling.protocol import GenerativeModel, RowNetworks

Pixels = Literal["float", "uint8"]


class ExportableGenerator(nn.Module):
    """The averaged generator as a module without training, growth, random numbers or Lightning.

    It holds copies of the networks, so that it stays as it is when the model is trained on. `torch.export` and
    `torch.onnx.export` take it with a dynamic number of rows. Weights with spectral normalisation are stored
    normalised.

    Args:
        model: a trained model.
        pixels: `float` for images in [0, 1], `uint8` for 0 to 255, rounded to the nearest value.

    Attributes:
        inputs: names of the inputs in the order of `forward`: `z`, and `labels` and `component` where they apply.

    Raises:
        ValueError: for other pixels.
    """

    def __init__(self, model: GenerativeModel, pixels: Pixels = "float") -> None:
        super().__init__()
        if pixels not in get_args(Pixels):
            raise ValueError(f"pixels: float for images in [0, 1], or uint8; got {pixels!r}")
        self.networks = nn.ModuleList(copy.deepcopy(network) for network in model.choose_networks(1).networks)
        self.networks.requires_grad_(False).eval()
        for part in self.networks.modules():
            if isinstance(part, Spectral):
                part.fix()
        weights = getattr(model.average, "weights", None)
        self.weights = [1.0] if weights is None or len(self.networks) == 1 else weights.detach().float().tolist()
        self.resolution, self.channels, self.num_classes = model.resolution, model.channels, model.num_classes
        self.pixels: Pixels = pixels
        self._model = (model,)  # in a tuple, so that its discriminator and its training are no part of this module

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: `z`, then `labels` of a conditional model, then `component` of a mixture."""
        given = {"z": True, "labels": self.num_classes > 0, "component": len(self.networks) > 1}
        return tuple(name for name, is_given in given.items() if is_given)

    def forward(self, z: Tensor, labels: Tensor | None = None, component: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W): float32 in [0, 1], or uint8.

        Args:
            z: latents (B, Z).
            labels: class indices (B,); None for an unconditional model.
            component: for a mixture, the number (B,) of the generator of each image. Every generator computes all rows,
                of which one is taken. None takes the first generator for all; `weights` says how often each is to come.

        Raises:
            ValueError: if labels are missing, or given to an unconditional model.
        """
        if (labels is None) != (self.num_classes == 0):
            wanted = (
                f"class indices (B,) in 0..{self.num_classes - 1}" if self.num_classes else "none; it has no classes"
            )
            raise ValueError(f"labels: this generator takes {wanted}; got {None if labels is None else 'some'}")
        images = self._images(z, labels, component).add(1).mul(0.5)
        return images.mul(255).round().to(torch.uint8) if self.pixels == "uint8" else images

    def _images(self, z: Tensor, labels: Tensor | None, component: Tensor | None) -> Tensor:
        """Return images (B, C, H, W) in [-1, 1]."""
        (model,) = self._model
        chosen = self.networks[:1] if component is None else self.networks
        images = [displayed(RowNetworks([network]).generate(model, z, labels), self.resolution) for network in chosen]
        if component is None or len(images) == 1:
            return images[0]
        rows = torch.arange(z.shape[0], device=z.device)
        return torch.stack(images)[component, rows]
