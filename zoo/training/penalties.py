"""Norms of the gradients of scores by images, which gradient penalties are made of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from zoo.layers.convolution import input_gradients_only, shares_of_biases
from zoo.layers.precision import autocast_dtype
from zoo.training.batch import Batch

PenaltyPrecision = Literal["float32", "mixed"]


class Scores(Protocol):
    """A function that scores batches, in one pass of the network unless a layer mixes the images of a batch."""

    def __call__(self, *batches: Batch) -> tuple[Tensor, ...]:
        """Return a tensor of scores (B,), raw logits, for each batch."""


def check_penalty_precision(precision: str) -> PenaltyPrecision:
    """Return a precision of gradient penalties.

    Raises:
        ValueError: when it is not offered.
    """
    for known in get_args(PenaltyPrecision):
        if precision == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(
        f"penalty_precision is float32, or mixed for that of the networks in a bf16-mixed run; got {precision!r}"
    )


def at_least_float32(images: Tensor) -> Tensor:
    """Return images without their graph, in float32, or in double precision if they have it."""
    return images.detach().to(torch.promote_types(images.dtype, torch.float32))


def input_gradient(scores: Scores, batch: Batch, precision: PenaltyPrecision = "float32") -> Tensor:
    """Compute the gradient of each score by its own image: (B, C, H, W), float32, with its graph.

    The result can be differentiated by the discriminator's weights. Do so outside autocast, or that backward pass casts
    to bf16 again; the loop of `zoo.GAN` does.

    Args:
        scores: the model's method that scores batches.
        batch: images (B, C, H, W) and their labels.
        precision: `float32` computes without autocast; `mixed` in the precision of autocast, so in bf16 in a run with
            bf16-mixed: about half the time on processors with bf16 units. The convolutions must then be those of
            `zoo.layers.convolution`, since torch's second derivative is wrong in bf16 on some processors.
    """
    device = batch.images.device.type
    with torch.autocast(device, enabled=False) if precision == "float32" else nullcontext():
        images = at_least_float32(batch.images).requires_grad_(True)
        (values,) = scores(Batch(images, batch.labels))
        with input_gradients_only():
            (gradient,) = torch.autograd.grad(values.sum(), images, create_graph=True)
        return gradient


def scores_and_gradient_norms(
    scores: Scores,
    batches: Sequence[Batch],
    wanted: Sequence[bool],
    precision: PenaltyPrecision = "float32",
    affine: bool = False,
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Score batches, and compute the squared norms of the scores' gradients by the images, from the same passes.

    The batches whose norms are wanted are scored in one pass, in the precision of the penalty; the others in a pass of
    their own, in that of the networks. The images are taken as constants.

    Args:
        scores: the model's method that scores batches.
        batches: images (B, C, H, W) and their labels. They are given `scores` and `heads`.
        wanted: whether the norms of each batch are wanted; at least one must be.
        precision: precision of the passes with norms, see `input_gradient`.
        affine: whether `affine_scores` may compute the scores. It does so in float32 only, since sums of many rounded
            parts are not as exact as one rounded score.

    Returns:
        The scores (B,) of each batch, and the squared norms (B,) over channels and pixels, float32, with their graph,
        or None where they are not wanted.
    """
    penalised = [i for i, wants in enumerate(wanted) if wants]
    plain = [i for i, wants in enumerate(wanted) if not wants]
    leaves = [
        Batch(at_least_float32(batches[i].images).requires_grad_(True), batches[i].labels, batches[i].latents)
        for i in penalised
    ]
    device = batches[0].images.device.type
    with torch.autocast(device, enabled=False) if precision == "float32" else nullcontext():
        leaf_scores: Sequence[Tensor]
        gradients: Sequence[Tensor]
        if affine and autocast_dtype(batches[0].images.device) is None:
            leaf_scores, gradients = affine_scores(scores, leaves)
        else:
            leaf_scores = scores(*leaves)
            with input_gradients_only():
                total = torch.stack([values.sum() for values in leaf_scores]).sum()
                gradients = torch.autograd.grad(total, [leaf.images for leaf in leaves], create_graph=True)
    norms: list[Tensor | None] = [None] * len(batches)
    for i, leaf, values, gradient in zip(penalised, leaves, leaf_scores, gradients):
        batches[i].heads, batches[i].scores = leaf.heads, values
        norms[i] = gradient.square().flatten(1).sum(1)
    found = dict(zip(penalised, leaf_scores))
    if plain:
        found |= zip(plain, scores(*(batches[i] for i in plain)))
    return [found[i] for i in range(len(batches))], norms


def affine_scores(scores: Scores, leaves: Sequence[Batch]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Score batches and compute the gradients by the images, both with one graph, for a piecewise affine discriminator.

    Where a network consists of linear layers, biases and (leaky) rectifiers, a score is the inner product of image and
    gradient plus those of all biases and the gradients by them. So the scores are functions of the gradients, and one
    backward pass through the pass of the gradients yields the derivatives of both by all weights: four convolutions for
    each layer in place of six. Values and derivatives are the same up to rounding.

    Args:
        scores: the model's method that scores batches. No layer may mix the images of a batch; all biases are those of
            convolutions of `zoo.layers.convolution`; rectifiers are those of `zoo.layers.rectifier`.
        leaves: images (B, C, H, W) that are constants, and their labels. They are given the further outputs, `heads`.

    Returns:
        The scores (B,) and the gradients (B, C, H, W) of each batch.
    """
    joined = Batch.join(leaves)
    joined.images = joined.images.detach().requires_grad_(True)
    (values,) = scores(joined)
    with input_gradients_only(), shares_of_biases() as shares:
        (gradient,) = torch.autograd.grad(values.sum(), joined.images, create_graph=True)
    joined.split_heads(leaves)
    rebuilt = torch.stack([(gradient * joined.images.detach()).flatten(1).sum(1), *shares]).sum(0)
    sizes = [len(leaf) for leaf in leaves]
    return torch.split(rebuilt, sizes), torch.split(gradient, sizes)


def interpolated_gradient_norms(
    scores: Scores, real: Batch, fake: Batch, precision: PenaltyPrecision = "float32"
) -> Tensor:
    """Compute the norms (B,) of the scores' gradients at one random point between each real and generated image.

    Each pair has one random position, uniform on the line between both images, and one norm, over all channels and
    pixels. In the conditional case the points have the labels of the generated images, which are those of the real
    images. The norm has no epsilon: its gradient is taken as 0 where the norm is 0, so a critic that is flat somewhere
    gives no NaN.
    """
    start, end = at_least_float32(real.images), at_least_float32(fake.images)
    position = torch.rand(len(start), *[1] * (start.ndim - 1), device=start.device)
    between = Batch(start + position * (end - start), fake.labels)
    norms: Tensor = torch.linalg.vector_norm(input_gradient(scores, between, precision).flatten(1), dim=1)
    return norms
