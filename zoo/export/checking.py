"""Check an exported file: the same latents through the file and through the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zoo.errors import UserError
from zoo.gan import GAN
from zoo.sampling.exportable import ExportableGenerator

BATCHES = (1, 3, 17)
"""Sizes of the batches that are compared."""
LARGEST = {"float": 1e-4, "uint8": 1.0}
"""Largest difference that is accepted: of images in [0, 1]; of grey levels, as a value may round to either side."""


def example_inputs(model: GAN, generator: ExportableGenerator, n: int) -> tuple[Tensor, ...]:
    """Return inputs of n rows for a generator: latents, and all classes and components in turn.

    Args:
        model: the model of the generator.
        generator: the generator.
        n: number of rows.
    """
    rows = torch.arange(n)
    values = {
        "z": torch.randn(n, model.sample_latent(1).shape[1], generator=torch.Generator().manual_seed(n)),
        "labels": rows % max(model.num_classes, 1),
        "component": rows % len(generator.networks),
    }
    return tuple(values[name] for name in generator.inputs)


@torch.no_grad()
def largest_difference(
    model: GAN, generator: ExportableGenerator, run: Callable[[Sequence[Tensor]], Tensor], where: str
) -> float:
    """Return the largest difference between an exported file and the model, over batches of several sizes.

    Args:
        model: the model.
        generator: its generator, which was exported.
        run: function from the inputs to the images (B, C, H, W) that the exported file makes.
        where: name of the file, for the error.

    Raises:
        UserError: if a difference is too large, or an image is not finite.
    """
    limit, largest = LARGEST[generator.pixels], 0.0
    for n in BATCHES:
        inputs = example_inputs(model, generator, n)
        expected, found = generator(**dict(zip(generator.inputs, inputs))), run(inputs)
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise UserError(
                f"{where}: for {n} rows it returns {found.dtype} {tuple(found.shape)}, the model {expected.dtype} "
                f"{tuple(expected.shape)}. The file is removed; export in another format"
            )
        difference = float((found.double() - expected.double()).abs().max())
        if not difference <= limit:  # also for NaN
            raise UserError(
                f"{where}: for {n} rows its images differ from the model's by up to {difference:.2g}, more than "
                f"{limit:g}. The file is removed; export in another format"
            )
        largest = max(largest, difference)
    return largest
