"""Derivation of seeds from a purpose and numbers, and seeding of torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(purpose: str, *parts: int) -> int:
    """Derive a 32-bit seed from a purpose and numbers, such as ("round", run seed, rank, images seen).

    Seeds depend on the order of the numbers. Neighbouring inputs give unrelated seeds, and so do two purposes:
    mirroring must be independent of the latents. 32 bits, because torch's CPU generator uses no more.

    Example:
        >>> from zoo.training.seeding import derive_seed
        >>> derive_seed("round", 0, 0, 64)
        22901912
        >>> derive_seed("round", 0, 64, 0) == derive_seed("round", 0, 0, 64)
        False
    """
    digest = hashlib.blake2b(repr((purpose, *parts)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def set_seed(seed: int, device: torch.device) -> None:
    """Seed the random generators that serve a device, like `torch.manual_seed`.

    On a CPU `torch.manual_seed` also queues a seeding call, with a formatted call stack, for each GPU library that may
    be loaded later: a quarter of a millisecond, which is too much for every round.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@contextmanager
def seeded(seed: int | None, device: torch.device, all_devices: bool = False) -> Iterator[None]:
    """Seed torch in a block and restore its random state afterwards.

    Args:
        seed: the seed; None changes nothing.
        device: device of the model, whose random state is restored beside that of the CPU.
        all_devices: whether to seed every device, for a generator of which it is not known where it draws. The default
            seeds `device` alone, which is faster.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices, enabled=seed is not None):
        if seed is not None and all_devices:
            torch.manual_seed(seed)
        elif seed is not None:
            set_seed(seed, device)
        yield
