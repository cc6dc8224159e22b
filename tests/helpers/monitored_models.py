"""A small run with alarms, and tiny models for them to watch."""

from __future__ import annotations

from typing import Any

import torch

import zoo

SMALL: dict[str, Any] = {
    "images": 16 * 24,
    "model": {"width": 4},
    "data": {"batch_size": 16},
    "trainer": {"accelerator": "cpu", "log_every_n_steps": 6, "precision": "32-true"},
    "callbacks": {"SampleGrid": None, "SampleMetrics": None, "SaveEvery": {"every": 48, "keep": 100}},
}


def small(**alarms: Any) -> dict[str, Any]:
    return {**SMALL, "callbacks": {**SMALL["callbacks"], "Alarms": {"rounds": 2, **alarms}}}


def tiny_progan() -> zoo.ProGAN:
    torch.manual_seed(0)
    return zoo.ProGAN(8, 1, latent_dim=6, width=8, width_base=16, hold_images=64, fade_images=48)


def tiny_wgan() -> zoo.WGANGP:
    torch.manual_seed(0)
    return zoo.WGANGP(
        16, 1, latent_dim=6, width=4, architecture="convolutional", critic_steps=2, dequantise=True, generator_batch=1
    )


def tiny_mix() -> zoo.MixGAN:
    torch.manual_seed(0)
    base = {"class": "DCGAN", "resolution": 16, "channels": 1, "latent_dim": 5, "width": 4}
    return zoo.MixGAN(components=2, base=base)
