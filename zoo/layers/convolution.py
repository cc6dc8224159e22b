"""Convolutions whose second derivative is as fast and as exact as the first.

A gradient penalty differentiates a gradient. torch computes the second derivative of a convolution by convolutions in
which the batch takes the place of the channels and the maps that of the kernel. These are slow, and wrong in bf16 on
processors with AMX: torch 2.15 with oneDNN returns noise for kernels of 8x8 or more and 2 to 15 input channels, so for
batches of up to 15 images. A convolution is bilinear in maps and weight, so its second derivative is made of the same
three computations as its first: a convolution, its gradient by the maps, its gradient by the weight. Here only these
are used; derivatives of every order exist. The code of Karras et al. 2020 (arXiv:2006.06676) does the same on GPUs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.layers.precision import autocast_dtype, without_autocast

Settings = tuple[list[int], list[int], list[int], bool, list[int], int]
"""Stride, padding, dilation, whether transposed, output padding, groups: the last arguments of `torch.convolution`."""
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
"""By the maps, the weight and the bias."""

# One for all threads: torch runs a backward pass on a GPU in a thread of its own.
_weights_wanted = True
_shares: list[Tensor] | None = None


@contextmanager
def input_gradients_only() -> Iterator[None]:
    """Leave out gradients by weights and biases in the backward passes of a block.

    `torch.autograd.grad(scores, images)` tells torch's own operations that no weight is asked for; an
    `autograd.Function` is not told, and would compute the gradients by all weights for nothing.
    """
    global _weights_wanted
    before, _weights_wanted = _weights_wanted, False
    try:
        yield
    finally:
        _weights_wanted = before


@contextmanager
def shares_of_biases() -> Iterator[list[Tensor]]:
    """Collect the share that each bias has in the scores which the backward pass of a block begins with.

    The share is the inner product (B,) of a bias and the gradient by it, image by image, with its graph. Biases of
    other layers than convolutions are not collected.
    """
    global _shares
    before, _shares = _shares, []
    try:
        yield _shares
    finally:
        _shares = before


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve maps (B, C, H, W) with a weight (C', C / groups, h, w), as `torch.nn.functional.conv2d` does."""
    return convolve(x, weight, bias, (pair(stride), pair(padding), pair(dilation), False, [0, 0], groups))


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
) -> Tensor:
    """Convolve maps (B, C, H, W) with a weight (C, C' / groups, h, w), transposed, as `conv_transpose2d` of torch."""
    settings = (pair(stride), pair(padding), pair(dilation), True, pair(output_padding), groups)
    return convolve(x, weight, bias, settings)


class Conv2d(nn.Conv2d):
    """Layer `torch.nn.Conv2d` whose second derivative is fast and exact."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.padding_mode != "zeros" or isinstance(self.padding, str):
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        return conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class ConvTranspose2d(nn.ConvTranspose2d):
    """Layer `torch.nn.ConvTranspose2d` whose second derivative is fast and exact."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (B, C, H, W) to (B, C', H', W')."""
        if output_size is not None or isinstance(self.padding, str):
            return super().forward(input, output_size)
        weight, stride, padding, output_padding = self.weight, self.stride, self.padding, self.output_padding
        return conv_transpose2d(input, weight, self.bias, stride, padding, output_padding, self.groups, self.dilation)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
    """Convolve in the precision of autocast, if it is on; without a graph, or in `torch.compile`, as torch does.

    On a processor, maps in bf16 are convolved channel by channel in float32: where the processor has bf16, torch 2.15
    takes 40 to 100 times as long for such a convolution that is transposed, or for the gradient of one with stride 2.
    A round of R3GAN takes 1.2 to 1.3 times as long with these in bf16 (median of 7 turns, 32 and 64 px, AMX).

    From or to a single position, as in the first layer of DCGAN's generator, a convolution in bf16 is a product of
    matrices there: 64 latents to 4x4x512 take 0.4 ms, by torch's transposed convolution 6 ms.
    """
    dtype = autocast_dtype(x.device)
    if dtype is not None and x.dtype != torch.float64:  # within the function autocast would cast unseen by autograd
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    in_bf16 = is_bf16_on_a_processor(x, weight)
    if in_bf16 and settings[-1] == x.shape[1] > 1:
        with without_autocast(x.device):
            found = convolve(x.float(), weight.float(), None if bias is None else bias.float(), settings)
        return found.to(torch.bfloat16)
    if in_bf16 and bias is None:
        product = product_of_one_position(x, weight, settings)
        if product is not None:
            return product
    if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)):
        return _Convolution.forward(x, weight, bias, settings)
    result: Tensor = _Convolution.apply(x, weight, bias, settings)
    return result


def product_of_one_position(x: Tensor, weight: Tensor, settings: Settings) -> Tensor | None:
    """Convolve from or to a single position by one product of matrices; None where there are several, or groups.

    Args:
        x: maps (B, C, 1, 1) for a transposed convolution, else maps (B, C, h, w) of the kernel's size.
        weight: weight of the convolution, without a bias.
        settings: of the convolution.
    """
    _, padding, dilation, transposed, more, groups = settings
    height, width = weight.shape[2:]
    if padding != [0, 0] or dilation != [1, 1] or more != [0, 0] or groups > 1:
        return None
    if tuple(x.shape[2:]) != ((1, 1) if transposed else (height, width)):
        return None
    matrix = weight.permute(0, 2, 3, 1).flatten(1)  # no copy of a weight in the format channels_last
    if transposed:
        return (x.flatten(1) @ matrix).view(len(x), height, width, weight.shape[1]).permute(0, 3, 1, 2)
    return (x.permute(0, 2, 3, 1).flatten(1) @ matrix.t()).view(len(x), weight.shape[0], 1, 1)


def is_bf16_on_a_processor(*tensors: Tensor) -> bool:
    """Check whether all tensors are bf16 on a CPU, where torch is slow for some shapes of a convolution."""
    return all(tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu" for tensor in tensors)


def pair(value: int | tuple[int, ...]) -> list[int]:
    """Return the two numbers of a setting that may be given as one for both directions."""
    return [value, value] if isinstance(value, int) else list(value)


class _Convolution(torch.autograd.Function):
    """A convolution: linear in the maps, linear in the weight."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, settings: Settings) -> Tensor:
        return torch.convolution(x, weight, bias, *settings)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, bias, ctx.settings = inputs
        ctx.save_for_backward(x, weight, bias)
        ctx.bias_size = None if bias is None else list(bias.shape)
        ctx.set_materialize_grads(False)  # what has no gradient costs nothing

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Any, ...]:
        if gradient is None:
            return None, None, None, None
        by_x, by_weight, by_bias, _ = ctx.needs_input_grad
        wanted = by_x, by_weight and _weights_wanted, by_bias and _weights_wanted
        x, weight, bias = ctx.saved_tensors
        if _shares is not None and bias is not None:
            _shares.append(gradient.sum((2, 3)) @ bias)
        return *gradients(gradient, x, weight, ctx.bias_size, ctx.settings, wanted), None


class _Gradients(torch.autograd.Function):
    """The gradients of a convolution: that by the maps is bilinear in gradient and weight, that by the weight in both
    maps, that by the bias linear in the gradient.
    """

    @staticmethod
    def forward(
        gradient: Tensor,
        x: Tensor,
        weight: Tensor,
        bias_size: list[int] | None,
        settings: Settings,
        wanted: tuple[bool, bool, bool],
    ) -> Gradients:
        if not (wanted[1] and by_patches_is_faster(gradient, x, weight, settings)):
            found: Gradients = torch.ops.aten.convolution_backward(gradient, x, weight, bias_size, *settings, wanted)
            return found
        by_x = None
        if wanted[0]:  # not together with the bias: torch would compute the gradient by the weight for it, too
            only = True, False, False
            by_x = torch.ops.aten.convolution_backward(gradient, x, weight, bias_size, *settings, only)[0]
        by_bias = gradient.sum((0, 2, 3)) if wanted[2] else None
        return by_x, gradient_by_patches(gradient, x, weight, settings), by_bias

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Gradients) -> None:
        gradient, x, weight, ctx.bias_size, ctx.settings, _ = inputs
        ctx.save_for_backward(gradient, x, weight)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, of_x: Tensor | None, of_weight: Tensor | None, of_bias: Tensor | None) -> tuple[Any, ...]:
        gradient, x, weight = ctx.saved_tensors
        by_gradient, by_x, by_weight = ctx.needs_input_grad[:3]
        terms: list[Tensor] = []
        if by_gradient:
            # the convolution of (x + of_x) with (weight + of_weight) and bias of_bias, as far as it is linear in them
            if of_x is not None:
                terms.append(convolve(of_x, weight, of_bias, ctx.settings))
            elif of_bias is not None:
                terms.append(of_bias.view(-1, 1, 1).expand_as(gradient))
            if of_weight is not None:
                terms.append(convolve(x, of_weight, None, ctx.settings))
        second_x = second_weight = None
        if by_x and of_weight is not None:
            second_x = gradients(gradient, x, of_weight, None, ctx.settings, (True, False, False))[0]
        if by_weight and of_x is not None and _weights_wanted:
            second_weight = gradients(gradient, of_x, weight, None, ctx.settings, (False, True, False))[1]
        return sum(terms[1:], terms[0]) if terms else None, second_x, second_weight, None, None, None


def gradients(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    bias_size: list[int] | None,
    settings: Settings,
    wanted: tuple[bool, bool, bool],
) -> Gradients:
    """Return the gradients of a convolution by its maps, weight and bias, as far as they are wanted, with a graph.

    Args:
        gradient: gradient by the output of the convolution, of the output's shape.
        x: maps (B, C, H, W) that were convolved; of use for the gradient by the weight only.
        weight: weight of the convolution; of use for the gradient by the maps only.
        bias_size: shape of the bias; None without one.
        settings: of the convolution.
        wanted: whether each of the three gradients is to be computed; None stands for one that is not.
    """
    if not torch.is_grad_enabled():  # a last derivative, which needs no graph
        return _Gradients.forward(gradient, x, weight, bias_size, settings, wanted)
    found: Gradients = _Gradients.apply(gradient, x, weight, bias_size, settings, wanted)
    return found


def by_patches_is_faster(gradient: Tensor, x: Tensor, weight: Tensor, settings: Settings) -> bool:
    """Check whether `gradient_by_patches` takes less time than torch for the gradient by the weight.

    It does in bf16 on a processor, where the smaller of the two maps has few positions: torch 2.15 with oneDNN reaches
    100 of 700 GFLOP/s there, since it adds up over the columns of a map, of which there are too few to fill an
    instruction. Measured with 8 to 64 images and kernels of 3x3 to 5x5: up to 4x4 positions it takes 1.3 to 6 times
    less with AMX, 1.1 to 1.5 times less with AVX-512; at 8x8 it does with 256 channels or more, and longer with fewer.
    """
    stride, _, dilation, transposed, _, groups = settings
    small = x if transposed else gradient
    positions = small.shape[2:].numel()
    return (
        is_bf16_on_a_processor(gradient, x, weight)
        and groups == 1
        and dilation == [1, 1]
        and weight.shape[2:].numel() > 1
        and (positions <= 16 or (positions <= 64 and stride != [1, 1] and small.shape[1] >= 256))
    )


def gradient_by_patches(gradient: Tensor, x: Tensor, weight: Tensor, settings: Settings) -> Tensor:
    """Return the gradient of a convolution by its weight, as one product of matrices.

    One matrix has the smaller map, a row for each image and position; the other the patch of the larger map that
    belongs to this position. So the sum goes over all images and positions at once.

    Args:
        gradient: gradient by the output of the convolution, of the output's shape.
        x: maps (B, C, H, W) that were convolved.
        weight: weight of the convolution, which gives the shape.
        settings: of the convolution, without groups and dilation.
    """
    (down, right), (above, left), _, transposed, _, _ = settings
    small, large = (x, gradient) if transposed else (gradient, x)
    outer, inner, height, width = weight.shape
    rows, columns = small.shape[2:]
    padded = functional.pad(large.permute(0, 2, 3, 1), (0, 0, left, left, above, above)).contiguous()
    per_image, per_row, per_column, _ = padded.stride()
    shape = len(large), rows, columns, height, width * inner  # a row of a patch lies in one piece
    patches = padded.as_strided(shape, (per_image, down * per_row, right * per_column, per_row, 1))
    positions = small.permute(0, 2, 3, 1).reshape(-1, outer)
    product = positions.t() @ patches.reshape(len(positions), height * width * inner)
    return product.view(outer, height, width, inner).permute(0, 3, 1, 2)
