"""Contexts that switch off reduced precision. Metrics and extractors use them too, so this file imports only torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which autocast is off; TF32 stays as it is.

    Args:
        device: device of the computation; the meta device, which has no autocast, is accepted.
    """
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def autocast_dtype(device: torch.device) -> torch.dtype | None:
    """Return the type that autocast computes products in on a device; None where it is off, or there is none."""
    if not torch.amp.is_autocast_available(device.type) or not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Compute products and convolutions of a block in full float32, without autocast, TF32 or bfloat16.

    Args:
        device: device of the computation.
    """
    backends: Any = torch.backends  # its annotations lack `mkldnn.matmul`
    products = (backends.cuda.matmul, backends.mkldnn.matmul)
    precisions = [product.fp32_precision for product in products]
    try:
        for product in products:
            product.fp32_precision = "ieee"
        with without_autocast(device), _full_float32_convolutions(device):
            yield
    finally:
        for product, precision in zip(products, precisions):
            product.fp32_precision = precision


def _full_float32_convolutions(device: torch.device) -> AbstractContextManager[object]:
    flags: AbstractContextManager[object] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return flags if device.type == "cuda" else nullcontext()
