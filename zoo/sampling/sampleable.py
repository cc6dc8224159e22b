"""Mixin that draws images from a trained model."""

from __future__ import annotations

from torch import Tensor

from zoo.sampling.exportable import ExportableGenerator, Pixels
from zoo.sampling.images import Labels, TruncationBy, displayed, sample
from zoo.sampling.protocol import GenerativeModel, RowNetworks


class Sampleable:
    """Mixin of `zoo.GAN` that draws images from the averaged generator."""

    def forward(self: GenerativeModel, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return images (B, C, H, W), float32 in [-1, 1], that the averaged generator makes of latents: `model(z)`.

        They are those that `sample` draws from these latents and labels. Unlike `sample` it is differentiable, and it
        can be exported for any number of rows:
        `torch.export.export(model, (z,), dynamic_shapes=({0: torch.export.Dim("batch")},))`.

        Args:
            z: latents (B, Z).
            labels: class indices (B,); None for an unconditional model.
        """
        return displayed(self.choose_networks(z.shape[0]).generate(self, z, labels), self.resolution)

    def exportable(self: GenerativeModel, pixels: Pixels = "float") -> ExportableGenerator:
        """Return the averaged generator as a plain module for export: `model.exportable()(z)` or `(z, labels)`.

        Args:
            pixels: `float` for images in [0, 1], `uint8` for 0 to 255.
        """
        return ExportableGenerator(self, pixels)

    def choose_networks(self: GenerativeModel, n: int) -> RowNetworks:
        """Choose the network that draws each of n samples: the averaged generator draws all of them.

        A mixture of generators chooses one for each sample, from torch's random state.
        """
        return RowNetworks([self.average])

    def sample(
        self: GenerativeModel,
        n: int,
        *,
        seed: int | None = None,
        labels: Labels | None = None,
        truncation: float | None = None,
        truncation_by: TruncationBy = "redrawing",
        batch_size: int = 256,
    ) -> Tensor:
        """Draw images (n, C, H, W), float32 in [-1, 1], from the averaged generator, on the model's device.

        Modes and buffers of all modules stay as they are, and with a seed so does the global random state.

        Args:
            n: number of images.
            seed: seed of the latents and labels; None draws from torch's global random state.
            labels: one class for all images, or one for each, by number or by name (`class_names`); None draws them as
                in training.
            truncation: positive bound or factor of the latents' coordinates; None for no truncation.
            truncation_by: `redrawing`: draw again outside [-truncation, truncation]; or `scaling`: draw again outside
                [-2, 2], then multiply by the truncation.
            batch_size: number of images computed at a time; it changes memory, not the images.

        Raises:
            ValueError: for labels that the model does not have, or a truncation that is not positive.
        """
        return sample(
            self, n, seed=seed, labels=labels, truncation=truncation, truncation_by=truncation_by, batch_size=batch_size
        )
