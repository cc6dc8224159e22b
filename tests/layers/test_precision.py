"""Tests of the contexts that switch off reduced precision."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch

from zoo.layers.precision import full_float32, without_autocast

CPU = torch.device("cpu")


def precisions() -> list[Any]:
    backends: Any = torch.backends
    matmul = [backends.cuda.matmul.fp32_precision, backends.mkldnn.matmul.fp32_precision]
    return [*matmul, backends.cudnn.conv.fp32_precision, torch.backends.cudnn.allow_tf32]


def test_autocast_is_off_inside_and_on_again_outside() -> None:
    x = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        with without_autocast(CPU):
            assert (x @ x).dtype == torch.float32
        with full_float32(CPU):
            assert (x @ x).dtype == torch.float32
        assert (x @ x).dtype == torch.bfloat16


def test_the_meta_device_has_no_autocast_and_is_accepted() -> None:
    with without_autocast(torch.device("meta")):
        assert torch.empty(2, device="meta").shape == (2,)


@pytest.mark.parametrize("matmul", ["highest", "high", "medium"])
@pytest.mark.parametrize("convolutions", [True, False])
@pytest.mark.parametrize("device", ["cpu", "cuda"])  # the settings exist without a GPU
def test_every_backend_is_exact_inside_and_restored_outside(matmul: str, convolutions: bool, device: str) -> None:
    before, allowed = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolutions
        outside = precisions()
        with suppress(KeyError), full_float32(torch.device(device)):
            assert precisions()[:2] == ["ieee", "ieee"]
            assert precisions()[3] is (convolutions and device == "cpu")
            raise KeyError
        assert precisions() == outside
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = allowed
