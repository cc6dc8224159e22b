"""The alarms, each a function from a reading to a reason in words, or None.

To add one, write a function below and decorate it with its name; every run then listens for it. It can ask for values
(`now["diversity"]`), for their usual level (`now.usual("diversity")`), and for what has changed beyond the run's own
habits (`now.rose("weight/", by=1.1)`). Sizes in `by` say what matters; whether a change is real, the habits decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from zoo.alarms.reading import Reading

Look = Callable[[Reading], str | None]
ALARMS: dict[str, Look] = {}
HUGE = 1e6
EXPLODES = 1.5
"""Times its usual level. Read only every few hundred rounds, in which a layer that still finds its size may grow by a
third: the class embedding of `biggan_fashion` did, after 40,000 images, and trained on in health."""
TWINS = 0.45
"""Share of fixed latents that must get near-duplicates. Of sixteen, up to six had one for a single reading while the
healthy `progan_earth` drew much the same forest; in collapses made on purpose at least nine (`studies/alarms.py`)."""

IMAGE = 1.0
"""Largest RMS of an image in [-1, 1]. Below it, a `to_rgb` layer that puts out twice as much draws brighter images: one
that had just grown did in `progan_earth`, back to the brightness of real ones, and trained on in health."""


def alarm(name: str) -> Callable[[Look], Look]:
    """Register an alarm."""

    def register(look: Look) -> Look:
        ALARMS[name] = look
        return look

    return register


@alarm("not finite")
def not_finite(now: Reading) -> str | None:
    """A value that is not finite, or so large that it soon will not be."""
    for name, value in now.values.items():
        if not math.isfinite(value) or (abs(value) > HUGE and name.startswith(("activation", "score", "gradient"))):
            return f"{name} is {value:.3g}; values that are not finite spread to every weight within a round"
    return None


@alarm("loss of diversity")
def loss_of_diversity(now: Reading) -> str | None:
    """Mode collapse: images of fixed latents become alike."""
    share, usual = now.get("duplicates"), max(now.usual("duplicates"), 0.0)
    rose = now.rose("duplicates", by=TWINS)  # beyond a forecast, which for a share that was falling may lie below 0
    if (rose and share - max(rose.before, 0.0) >= TWINS) or share - usual >= 0.5:
        return f"{share:.0%} of images of fixed latents have a near-duplicate among them, usually {usual:.0%}"
    moved = now.fell("diversity", by=1.6)
    if moved and moved.now < 0.7:
        return (
            f"images of fixed latents differ {moved.now:.2f} times as much as real ones do, {moved.before:.2f} before"
        )
    return None


@alarm("discriminator overshoot")
def discriminator_overshoot(now: Reading) -> str | None:
    """The discriminator wins outright and then loses its footing; ProGAN's and BigGAN's first sign of a collapse."""
    if moved := now.rose("score/scale", by=3):
        return f"the spread of the discriminator's scores rose {moved.factor:.1f}-fold, from {moved.before:.3g}"
    chance = now.get("loss/chance")  # the loss of one that cannot tell; Wasserstein's has no such value
    moved = now.rose("loss/d", by=0.4 * chance) if chance > 0 else None
    if moved and moved.before < 0.1 * chance:
        return f"the discriminator's loss had gone to {moved.before:.3g} and jumped to {moved.now:.3g}"
    return None


@alarm("signal escalation")
def signal_escalation(now: Reading) -> str | None:
    """Activations grow, or weights grow or shrink, far faster than the run's habit, in either network."""
    without_images = {name: value for name, value in now.values.items() if "/to_rgb" not in name or value > IMAGE}
    activation = Reading(without_images, now.tracks).rose("activation/", by=2)
    if moved := activation or now.rose("weight/", by=1.1) or now.fell("weight/", by=1.1):
        return f"the RMS of {moved}, which is {moved.factor:.2f} times its usual level"
    return None


@alarm("spectral explosion")
def spectral_explosion(now: Reading) -> str | None:
    """A weight's largest singular value grows far faster than before."""
    if moved := now.rose("sigma1/", by=EXPLODES):
        return f"the largest singular value of {moved}"
    return None


@alarm("dead gradient")
def dead_gradient(now: Reading) -> str | None:
    """What the discriminator tells the generator has all but vanished."""
    if moved := now.fell("gradient/g", by=10):
        return f"the norm of the generator's gradient fell from {moved.before:.3g} to {moved.now:.3g}"
    return None


@alarm("discriminator overfitting")
def discriminator_overfitting(now: Reading) -> str | None:
    """Held-out images score like generated ones: the discriminator knows its training images by heart."""
    r_v, certainty = now.get("overfitting/r_v"), now.get("overfitting/certainty")
    if r_v > 0.75 and certainty > 4 and now.usual("overfitting/r_v") > 0.6:
        return (
            f"held-out images score {r_v:.0%} of the way from training to generated images (r_v), and "
            f"{now['overfitting/r_t']:+.2f} is the mean sign of training images' scores (r_t)"
        )
    return None
