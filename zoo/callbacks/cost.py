"""Estimate before the first round whether a run on a CPU will take very long."""

from __future__ import annotations

import time

from zoo.gan import GAN

DRAWN = 2  # images
LONG = 7.0  # days
SHARE = 13
"""Cost of training on an image over that of drawing one, if both networks cost the same and a backward pass costs two
forward passes: 1 to generate and 6 to score a real and a generated image for the discriminator, 6 for the generator."""


def note_on_cost(model: GAN, images: int) -> str | None:
    """Return a line that warns of a run of many days on a CPU; None for shorter runs and on other devices.

    It draws two images, twice if the first time says that the run is long: the first drawing also sets things up.

    Args:
        model: the model, at the start of its training.
        images: images that are left to train on.
    """
    if model.device.type != "cpu":
        return None
    days = 0.0
    for _ in range(2):
        began = time.perf_counter()
        model.sample(DRAWN, seed=0)
        days = (time.perf_counter() - began) / DRAWN * SHARE * images / 86_400
        if days < LONG:
            return None
    return (
        f"note: on this CPU the run may take about {days:,.0f} days (estimated from the time of drawing an image). A "
        "GPU or a smaller images=, model.resolution= or model.width= shortens it"
    )
