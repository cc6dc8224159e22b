"""Convolutions with a second derivative of their own: its value, its precision in bf16, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

import zoo
from zoo.layers.convolution import (
    Conv2d,
    ConvTranspose2d,
    by_patches_is_faster,
    conv2d,
    conv_transpose2d,
    gradient_by_patches,
    input_gradients_only,
)
from zoo.training.batch import Batch
from zoo.training.penalties import input_gradient

CASES: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], tuple[int, ...], dict[str, Any]]] = {
    "plain": (conv2d, functional.conv2d, (3, 4, 3, 3), {"padding": 1}),
    "strided": (conv2d, functional.conv2d, (3, 4, 4, 4), {"stride": 2, "padding": 1}),
    "dilated, in groups": (conv2d, functional.conv2d, (6, 2, 3, 2), {"dilation": (2, 1), "groups": 2}),
    "transposed": (conv_transpose2d, functional.conv_transpose2d, (4, 3, 4, 4), {"stride": 2, "padding": 1}),
    "transposed, 5x5": (
        conv_transpose2d,
        functional.conv_transpose2d,
        (4, 2, 5, 5),
        {"stride": 2, "padding": 2, "output_padding": 1},
    ),
}


class Calls(TorchDispatchMode):
    """Counts the convolutions of a block, and keeps which gradients and which kernels they were of."""

    def __init__(self) -> None:
        super().__init__()
        self.forward: list[tuple[int, ...]] = []  # shape of each weight
        self.wanted: list[tuple[bool, ...]] = []  # of each backward pass: gradients by maps, weight, bias

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note a convolution and carry it out."""
        if function is torch.ops.aten.convolution.default:
            self.forward.append(tuple(args[1].shape))
        if function is torch.ops.aten.convolution_backward.default:
            self.wanted.append(tuple(args[10]))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", CASES)
def test_values_and_derivatives_of_any_order_are_those_of_a_convolution(case: str) -> None:
    ours, torchs, shape, settings = CASES[case]
    x = torch.randn(2, 4, 5, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    outputs = shape[1] if ours is conv_transpose2d else shape[0]
    bias = torch.randn(outputs, dtype=torch.float64, requires_grad=True)
    y = ours(x, weight, bias, **settings)
    torch.testing.assert_close(y, torchs(x, weight, bias, **settings))

    def first(*arguments: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(ours(*arguments, **settings).square().sum(), arguments, create_graph=True)

    assert gradcheck(lambda *a: ours(*a, **settings), (x, weight, bias))
    assert gradgradcheck(lambda *a: ours(*a, **settings), (x, weight, bias))
    assert gradgradcheck(lambda *a: first(*a)[0], (x, weight, bias))  # the third derivative


def test_layers_are_torchs_with_the_same_names_and_bits() -> None:
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    for ours, torchs in (
        (Conv2d(3, 5, 4, 2, 1), nn.Conv2d(3, 5, 4, 2, 1)),
        (ConvTranspose2d(3, 5, 4, 2, 1), nn.ConvTranspose2d(3, 5, 4, 2, 1)),
    ):
        torchs.load_state_dict(ours.state_dict())
        grads = [torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()]) for layer in (ours, torchs)]
        assert all(torch.equal(a, b) for a, b in zip(*grads))
        with torch.no_grad():
            assert torch.equal(ours(x), torchs(x))
    same = Conv2d(3, 3, 3, padding="same", padding_mode="reflect")
    assert same(x).shape == x.shape


def penalty_gradients(convolution: Callable[..., Tensor], x: Tensor, weights: list[Tensor]) -> list[Tensor]:
    """Gradients by the weights of a gradient penalty on two 3x3 convolutions."""
    x = x.detach().requires_grad_()
    weights = [w.detach().requires_grad_() for w in weights]
    hidden = functional.leaky_relu(convolution(x, weights[0], padding=1), 0.2)
    scores = convolution(hidden, weights[1], padding=1).float().square().mean((1, 2, 3))
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return list(torch.autograd.grad(gradient.float().square().sum(), weights))


def distance(ours: list[Tensor], right: list[Tensor]) -> float:
    """Distance of all numbers, relative to the length of the right ones."""
    a, b = (torch.cat([part.double().flatten() for part in parts]) for parts in (ours, right))
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("batch", [1, 2, 3, 8, 15, 16])
def test_a_penalty_in_bf16_is_right_for_every_batch(batch: int) -> None:
    x = torch.randn(batch, 8, 8, 8).to(memory_format=torch.channels_last)
    weights = [torch.randn(16, 8, 3, 3) / 8, torch.randn(8, 16, 3, 3) / 12]
    right = penalty_gradients(functional.conv2d, x.double(), [w.double() for w in weights])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = penalty_gradients(conv2d, x, weights)
    assert distance(ours, right) < 0.02  # bf16 has 8 bits: steps of 0.4 %


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("amx_bf16"), reason="the fault is of oneDNN on AMX")
def test_torchs_own_penalty_in_bf16_is_wrong_on_amx() -> None:
    x = torch.randn(8, 16, 16, 16).to(memory_format=torch.channels_last)
    weights = [torch.randn(32, 16, 3, 3) / 12, torch.randn(16, 32, 3, 3) / 17]
    right = penalty_gradients(functional.conv2d, x.double(), [w.double() for w in weights])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert distance(penalty_gradients(functional.conv2d, x, weights), right) > 0.3  # else this module may go
        assert distance(penalty_gradients(conv2d, x, weights), right) < 0.02


def test_gradients_by_weights_are_left_out_where_only_images_are_asked_for() -> None:
    layer = Conv2d(3, 4, 3)
    x = torch.randn(2, 3, 5, 5, requires_grad=True)
    with Calls() as calls:
        torch.autograd.grad(layer(x).sum(), x)
    assert calls.wanted == [(True, True, True)]  # a function is not told what is asked for
    with Calls() as calls:
        gradient = input_gradient(lambda batch: (layer(batch.images).sum((1, 2, 3)),), Batch(x))
    assert calls.wanted == [(True, False, False)]
    with Calls() as calls:
        gradient.square().sum().backward()
    assert calls.wanted == [(False, True, False)]
    assert layer.weight.grad is not None
    assert layer.bias is not None
    assert layer.bias.grad is None  # the gradient by the images does not depend on it
    with pytest.raises(RuntimeError), input_gradients_only():
        raise RuntimeError
    with Calls() as calls:
        layer(x.detach()).sum().backward()
    assert calls.wanted == [(False, True, True)]  # also after an error in the block


def test_a_penalty_on_a_critic_of_rectifiers_costs_four_convolutions_for_each_of_its_layers() -> None:
    """With a second derivative of the rectifiers they would be six."""
    model = zoo.WGANGP(resolution=16, width=4)
    layers = sum(isinstance(part, nn.Conv2d) for part in model.discriminator.modules())
    real, fake = (Batch(torch.randn(2, 3, 16, 16)) for _ in range(2))
    with Calls() as calls:
        model.objective.gradient_penalty(model.scores, real, fake).backward()
    by_maps, by_weight = (sum(wanted[i] for wanted in calls.wanted) for i in (0, 1))
    assert (len(calls.forward), by_maps, by_weight) == (2 * layers, layers, layers)


@pytest.mark.parametrize(
    "model",
    [
        lambda: zoo.WGANGP(resolution=32, width=4),
        lambda: zoo.WGANGP(resolution=64, width=4),
        lambda: zoo.WGANGP(resolution=28, width=4, channels=1, architecture="convolutional", batch_norm=False),
        lambda: zoo.ProGAN(resolution=16, width=8, latent_dim=8, initial_resolution=16),
        lambda: zoo.DCGAN(resolution=16, width=4, r1=1.0),
        lambda: zoo.DCGAN(resolution=16, width=4, kernel_size=5, r1=1.0),
        lambda: zoo.BigGAN(resolution=16, width=8, num_classes=3, attention=8, r1=1.0),
        lambda: zoo.BigGANDeep(resolution=16, width=8, num_classes=3, attention=8, r1=1.0),
        lambda: zoo.R3GAN(resolution=16, width=8, num_classes=3),
    ],
    ids=["resnet", "layer norm", "convolutional", "progan", "dcgan", "dcgan 5x5", "biggan", "biggan deep", "r3gan"],
)
def test_no_penalty_of_a_variant_uses_torchs_second_derivative(model: Callable[[], zoo.GAN]) -> None:
    """torch's convolves with maps as kernels, which are larger than any kernel of ours."""
    gan = model()
    labels = torch.zeros(4, dtype=torch.long) if gan.num_classes else None
    real, fake = (Batch(torch.randn(4, gan.channels, gan.resolution, gan.resolution), labels) for _ in range(2))
    with Calls() as calls:
        torch.stack(list(gan.discriminator_loss(real, fake).values())).sum().backward()
    assert calls.forward
    assert max(shape[-1] for shape in calls.forward) <= 5


PATCHES: dict[str, tuple[bool, int, list[int], list[int], list[int]]] = {
    "plain": (False, 3, [1, 1], [1, 1], [0, 0]),
    "strided, a row and a column left over": (False, 4, [2, 2], [0, 1], [0, 0]),
    "strides that differ": (False, 5, [1, 3], [2, 0], [0, 0]),
    "transposed": (True, 4, [2, 2], [1, 1], [0, 0]),
    "transposed, with more output": (True, 5, [2, 3], [2, 1], [1, 2]),
    "the whole map": (False, 4, [1, 1], [0, 0], [0, 0]),
}


@pytest.mark.parametrize("case", PATCHES)
def test_the_gradient_by_patches_is_that_by_the_weight(case: str) -> None:
    transposed, kernel, stride, padding, more = PATCHES[case]
    settings = stride, padding, [1, 1], transposed, more, 1
    x = torch.randn(3, 2, 4, 5, dtype=torch.float64)
    weight = torch.randn(*((2, 6) if transposed else (6, 2)), kernel, kernel, dtype=torch.float64)
    gradient = torch.randn_like(torch.convolution(x, weight, None, *settings))
    only = False, True, False
    right = torch.ops.aten.convolution_backward(gradient, x, weight, None, *settings, only)[1]
    torch.testing.assert_close(gradient_by_patches(gradient, x, weight, settings), right)


@pytest.mark.parametrize("transposed", [False, True])
def test_small_maps_in_bf16_have_their_gradient_by_patches(transposed: bool) -> None:
    """Each of the three gradients is that in float64, and torch computes that by the maps alone."""
    ours, torchs = (conv_transpose2d, functional.conv_transpose2d) if transposed else (conv2d, functional.conv2d)
    x = torch.randn(8, 16, *((4, 4) if transposed else (8, 8)))
    weight, bias = torch.randn(16, 16, 4, 4) / 16, torch.randn(16)

    def gradients_of(convolution: Callable[..., Tensor], dtype: torch.dtype) -> list[Tensor]:
        leaves = [t.to(dtype).requires_grad_() for t in (x, weight, bias)]
        outputs = convolution(*leaves, stride=2, padding=1)
        return list(torch.autograd.grad(outputs.double().square().sum(), leaves))

    with Calls() as calls:
        found = gradients_of(ours, torch.bfloat16)
    assert calls.wanted == [(True, False, False)]
    assert all(distance([a], [b]) < 0.01 for a, b in zip(found, gradients_of(torchs, torch.float64)))
    with Calls() as calls:
        gradients_of(ours, torch.float32)
    assert calls.wanted == [(True, True, True)]


def test_large_maps_groups_and_single_positions_are_left_to_torch() -> None:
    def is_faster(*shape: int, outputs: int = 8, kernel: int = 3, stride: int = 1, groups: int = 1) -> bool:
        x, weight = torch.zeros(shape).bfloat16(), torch.zeros(outputs, shape[1] // groups, kernel, kernel).bfloat16()
        settings = [stride] * 2, [kernel // 2] * 2, [1, 1], False, [0, 0], groups
        gradient = torch.convolution(x, weight, None, *settings)
        return by_patches_is_faster(gradient, x, weight, settings)

    assert is_faster(2, 8, 4, 4)
    assert is_faster(2, 8, 16, 16, outputs=256, stride=2)
    assert not is_faster(2, 8, 16, 16, outputs=128, stride=2)
    assert not is_faster(2, 8, 8, 8, outputs=256)
    assert not is_faster(2, 8, 4, 4, kernel=1)
    assert not is_faster(2, 8, 4, 4, groups=2)


@pytest.mark.parametrize("transposed", [False, True])
def test_from_or_to_one_position_a_convolution_in_bf16_is_a_product(transposed: bool) -> None:
    """Values and both gradients are those in float64; torch convolves in float32, with a bias, and with padding."""
    ours, torchs = (conv_transpose2d, functional.conv_transpose2d) if transposed else (conv2d, functional.conv2d)
    x = torch.randn(8, 16, *((1, 1) if transposed else (4, 3))).to(memory_format=torch.channels_last)
    weight = (torch.randn(16, 16, 4, 3) / 14).to(memory_format=torch.channels_last)

    def found(convolution: Callable[..., Tensor], dtype: torch.dtype) -> list[Tensor]:
        leaves = [t.to(dtype).requires_grad_() for t in (x, weight)]
        outputs = convolution(*leaves)
        return [outputs, *torch.autograd.grad(outputs.double().square().sum(), leaves)]

    with Calls() as calls:
        results = found(ours, torch.bfloat16)
    assert not calls.forward
    assert all(distance([a], [b]) < 0.01 for a, b in zip(results, found(torchs, torch.float64)))
    assert results[0].is_contiguous(memory_format=torch.channels_last)
    with Calls() as calls:
        found(ours, torch.float32)
        ours(x.bfloat16(), weight.bfloat16(), torch.zeros(16).bfloat16())
        ours(x.bfloat16(), weight.bfloat16(), padding=1, stride=2)
    assert len(calls.forward) == 3


def test_a_batch_without_images_has_no_maps_and_a_gradient_of_zeros() -> None:
    for convolution, size, settings in (
        (conv_transpose2d, 1, {}),
        (conv2d, 4, {}),
        (conv2d, 8, {"stride": 2, "padding": 1}),
    ):
        weight = torch.randn(6, 6, 4, 4).bfloat16().requires_grad_()
        outputs = convolution(torch.zeros(0, 6, size, size).bfloat16(), weight, **settings)
        side = 1 if (convolution, size) == (conv2d, 4) else 4
        assert outputs.shape == (0, 6, side, side)
        (gradient,) = torch.autograd.grad(outputs.sum(), weight)
        assert torch.equal(gradient, torch.zeros_like(weight))
