"""The alarms: functions from a reading to the reason for an alarm, or None.

To add an alarm, write a function and decorate it with `@alarm("its name")`; it is then checked in every run. It can ask
a reading for values (`now["diversity"]`), for their usual level (`now.usual("diversity")`), and for signals that have
left their baselines (`now.rose("weight/", by=1.1)`). The baselines decide whether a change is real, and `by` is the
smallest change that matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from zoo.alarms.reading import Reading

Check = Callable[[Reading], str | None]
ALARMS: dict[str, Check] = {}
"""All alarms by name."""
REMEDIES: dict[str, str] = {}
"""What usually helps against each alarm, by its name; empty where nothing general can be said."""
SLOWER = "a smaller model.generator_lr and model.discriminator_lr"
HUGE = 1e6
"""Absolute value of an activation, score or gradient that counts as not finite."""
EXPLOSION = 1.5
"""Factor of a singular value over its usual level. Singular values are read only every few hundred rounds, in which a
layer that has not settled may grow by a third without harm: the class embedding of `biggan_fashion` did, after 40,000
images."""
DUPLICATES = 0.45
"""Share of fixed latents whose images have near-duplicates. In the healthy `progan_earth`, whose forests look alike, up
to six of sixteen had one for a single reading; in collapses made on purpose at least nine (`studies/alarms.py`)."""
OVERFITTING, CERTAIN = 0.75, 4.0
"""r_v above which a discriminator scores held-out images like generated ones, and how many standard errors must lie
between the mean scores of training and held-out images."""
LITTLE_DIVERSITY = 0.7
"""Diversity, as a multiple of that of real images, below which a fall of it counts."""
IMAGE_RMS = 1.0
"""Largest RMS of an image in [-1, 1]. An output that doubles but stays below it is a `to_rgb` layer that draws brighter
images: in `progan_earth` a newly grown one did so without harm, until its images were as bright as real ones."""


def alarm(name: str, remedy: str = "") -> Callable[[Check], Check]:
    """Register the decorated function as the alarm of this name.

    Args:
        name: name of the alarm.
        remedy: what usually helps, for the console.
    """

    def register(check: Check) -> Check:
        ALARMS[name], REMEDIES[name] = check, remedy
        return check

    return register


@alarm("not finite", f"resume from the checkpoint before it with {SLOWER} or model.clip_norm=1")
def not_finite(now: Reading) -> str | None:
    """Return a reason for an alarm if a value is not finite, or so large that it soon will not be."""
    for name, value in now.values.items():
        if not math.isfinite(value) or (abs(value) > HUGE and name.startswith(("activation", "score", "gradient"))):
            return f"{name} is {value:.3g}; values that are not finite spread to every weight within a round"
    return None


@alarm("loss of diversity", f"resume from the checkpoint before it with {SLOWER}")
def loss_of_diversity(now: Reading) -> str | None:
    """Return a reason for an alarm if the images of fixed latents become alike, as in a mode collapse."""
    share, usual = now.get("duplicates"), max(now.usual("duplicates"), 0.0)
    rose = now.rose("duplicates", by=DUPLICATES)  # compared with a forecast, which can be negative for a falling share
    if (rose and share - max(rose.before, 0.0) >= DUPLICATES) or share - usual >= 0.5:
        return f"{share:.0%} of images of fixed latents have a near-duplicate among them, usually {usual:.0%}"
    moved = now.fell("diversity", by=1.6)
    if moved and moved.now < LITTLE_DIVERSITY:
        return (
            f"images of fixed latents differ {moved.now:.2f} times as much as real ones do, {moved.before:.2f} times "
            "before"
        )
    return None


@alarm("discriminator overshoot", "a smaller model.discriminator_lr, or a gradient penalty")
def discriminator_overshoot(now: Reading) -> str | None:
    """Return a reason for an alarm if the discriminator's scores or its loss jump.

    This is the first sign of a collapse in ProGAN and BigGAN.
    """
    if moved := now.rose("score/scale", by=3):
        return f"the spread of the discriminator's scores rose {moved.factor:.1f}-fold, from {moved.before:.3g}"
    chance = now.get("loss/chance")  # loss of a discriminator that scores all images 0; 0 for Wasserstein losses
    moved = now.rose("loss/d", by=0.4 * chance) if chance > 0 else None
    if moved and moved.before < 0.1 * chance:
        return f"the discriminator's loss had fallen to {moved.before:.3g} and then jumped to {moved.now:.3g}"
    return None


@alarm("signal escalation", f"{SLOWER}; model.clip_norm=1")
def signal_escalation(now: Reading) -> str | None:
    """Return a reason for an alarm if activations double, or weights grow or shrink by a tenth, against forecasts."""
    without_images = {name: value for name, value in now.values.items() if "/to_rgb" not in name or value > IMAGE_RMS}
    activation = Reading(without_images, now.tracks).rose("activation/", by=2)
    if moved := activation or now.rose("weight/", by=1.1) or now.fell("weight/", by=1.1):
        return f"the RMS of {moved}, which is {moved.factor:.2f} times its usual level"
    return None


@alarm("spectral explosion", f"{SLOWER}; spectral norm")
def spectral_explosion(now: Reading) -> str | None:
    """Return a reason for an alarm if the largest singular value of a weight grows far more than usual."""
    if moved := now.rose("sigma1/", by=EXPLOSION):
        return f"the largest singular value of {moved}"
    return None


@alarm("dead gradient", "a smaller model.discriminator_lr; another loss")
def dead_gradient(now: Reading) -> str | None:
    """Return a reason for an alarm if the norm of the generator's gradient falls to a tenth of its forecast."""
    if moved := now.fell("gradient/g", by=10):
        return f"the norm of the generator's gradient fell from {moved.before:.3g} to {moved.now:.3g}"
    return None


@alarm("discriminator overfitting", "more images, or model.augment=adaptive")
def discriminator_overfitting(now: Reading) -> str | None:
    """Return a reason for an alarm if the discriminator has memorised its training images.

    The sign is that it scores held-out images like generated ones.
    """
    r_v, certainty = now.get("overfitting/r_v"), now.get("overfitting/certainty")
    if r_v > OVERFITTING and certainty > CERTAIN and now.usual("overfitting/r_v") > 0.6:
        return (
            f"held-out images score {r_v:.0%} of the way from training to generated images (r_v); the mean sign of "
            f"training images' scores is {now['overfitting/r_t']:+.2f} (r_t)"
        )
    return None
