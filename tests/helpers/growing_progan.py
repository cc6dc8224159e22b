"""A tiny ProGAN that grows through three resolutions."""

from __future__ import annotations

from typing import Any

import torch

import zoo


def tiny(**settings: Any) -> zoo.ProGAN:
    """4, 8 and 16 px; each held for 32 images and faded in over 32."""
    torch.manual_seed(0)
    plain: dict[str, Any] = {
        "resolution": 16,
        "channels": 2,
        "latent_dim": 5,
        "width": 6,
        "width_base": 32,
        "hold_images": 32,
        "fade_images": 32,
    }
    return zoo.ProGAN(**{**plain, **settings})
