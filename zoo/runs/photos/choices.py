"""Choices of a plan for photographs: what follows from the images, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.config.values import Word, flattened
from zoo.data.survey import Survey, fitting_resolution

GIVEN = "given"
FEW = {100: 32, 1000: 64, 5000: 128}
"""Largest resolutions in pixels for fewer images than a number."""
MOST_CLASSES, CLASS_SIZE = 100, 100
"""Largest number of subfolders that are taken for classes, and the smallest number of images that each must have."""
ADAPTIVE_BELOW = 20_000
"""Training images below which the augmentation is adaptive."""
TARGETS = {False: 0.6, True: 0.77}
"""Targets of adaptive augmentation: for scores that mean something alone, and for those that do so in pairs."""
ADA_SHARE = 0.2
"""Share of the run in which the strength of adaptive augmentation can rise from 0 to 1."""


@dataclass(frozen=True)
class Line:
    """A line of the plan.

    Args:
        what: what is decided, or estimated.
        value: the decision.
        reason: why, or how it is known.
    """

    what: str
    value: str
    reason: str


@dataclass
class Choices:
    """Settings that have been chosen so far, with their lines.

    Args:
        given: nested settings of the user, which stay.
    """

    given: Mapping[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flat = flattened(self.given)

    def choose(self, key: str, value: Any, reason: str, text: str = "") -> Any:
        """Choose the value of a setting, unless the user gave one, and return the value that counts.

        Args:
            key: dotted name of the setting, which is also its name in the plan.
            value: the choice.
            reason: why.
            text: the value in the plan; empty for the value itself.
        """
        if key in self.flat:
            reason = reason if reason.startswith(GIVEN) else GIVEN  # which may go on with a warning
            value, text = self.flat[key], ""
            value = plain(value)
        else:
            self.put(key, value)
        self.lines.append(Line(key, text or _shown(value), reason))
        return value

    def put(self, key: str, value: Any) -> None:
        """Put a setting into the nested settings of the plan."""
        *path, name = key.split(".")
        node = self.settings
        for part in path:
            node = node.setdefault(part, {})
        node[name] = value

    def say(self, what: str, value: str, reason: str) -> None:
        """Add a line that decides nothing."""
        self.lines.append(Line(what, value, reason))


def choose_channels(choices: Choices, found: Survey) -> int:
    """Choose colour or grey."""
    reason = (
        f"none of {found.decoded} images looked at has colour"
        if found.is_grey
        else f"{found.coloured:.0%} of {found.decoded} images looked at have colour"
    )
    channels = int(choices.choose("model.channels", 1 if found.is_grey else 3, reason))
    if "data.channels" not in choices.flat:
        choices.put("data.channels", channels)
    return channels


def choose_classes(choices: Choices, found: Survey) -> int:
    """Choose whether subfolders are classes; return their number, or 0."""
    sizes = found.class_sizes
    listed = choices.flat.get("data.classes")
    if listed:
        choices.say("data.labels", f"{len(listed)}", GIVEN)
        choices.put("data.labels", True)
    elif "data.labels" in choices.flat:
        labels = plain(choices.flat["data.labels"])
        choices.say("data.labels", f"{len(sizes)} subfolders" if labels else "none", GIVEN)
        if not labels:
            return int(choices.flat.get("model.num_classes", 0))
    else:
        text, reason = _classes(found)
        choices.say("data.labels", text, reason)
        choices.put("data.labels", text != "none")
        if text == "none":
            return int(choices.flat.get("model.num_classes", 0))
    number = int(choices.flat.get("model.num_classes", len(listed) if listed else len(sizes)))
    choices.put("model.num_classes", number)
    return number


def _classes(found: Survey) -> tuple[str, str]:
    """Return what is decided on classes, and why."""
    sizes = found.class_sizes
    if not sizes:
        return "none", "the images are not all in two or more subfolders; data.labels=true needs that"
    least = min(sizes.values())
    if len(sizes) > MOST_CLASSES or least < CLASS_SIZE:
        return "none", (
            f"{len(sizes):,} subfolders, the smallest with {least:,} images; up to {MOST_CLASSES} with {CLASS_SIZE} or "
            "more are taken for classes, data.labels=true takes all"
        )
    return f"{len(sizes)} subfolders", f"each has {least:,} images or more; data.labels=false draws without classes"


def largest_resolution(found: Survey) -> tuple[int, str]:
    """Return the largest resolution that the images allow, and why."""
    most = next((side for count, side in sorted(FEW.items()) if found.count < count), 256)
    fitting = fitting_resolution(found)
    if most < fitting:
        return (
            most,
            f"{found.count:,} images are too few for {fitting} px: few are soon learnt by heart",
        )
    below = found.share_below(fitting)
    enlarged = f", {below:.0%} of the images are smaller and are enlarged" if below else ""
    least, most = int(found.sides.min()), int(found.sides.max())
    sides = f"are {least:,} to {most:,}" if least < most else f"are {most:,}"
    return fitting, f"the shorter sides {sides} px{enlarged}"


def choose_augmentation(choices: Choices, train: int, relativistic: bool) -> None:
    """Choose the augmentation by the number of training images."""
    few = train < ADAPTIVE_BELOW
    studies = "studies/README.md#adaptive-augmentation"
    reason = (
        f"{train:,} training images are fewer than {ADAPTIVE_BELOW:,}, which a discriminator learns by heart "
        f"(progan_earth: it told 74 % of its 1,226 from others, 46 % with augmentation). Whether images become better "
        f"is open ({studies})"
        if few
        else f"{train:,} training images are enough to go without"
    )
    kinds = choices.choose("model.augment", ["adaptive"] if few else [], reason, "" if few else "none")
    if "adaptive" in str(kinds):
        if "model.augment_factors" not in choices.flat and not any(
            key.startswith("model.augment_factors.") for key in choices.flat
        ):
            choices.put("model.augment_factors", {"rotate90": 0, "lumaflip": 0})
        if "model.ada_target" not in choices.flat:
            choices.put("model.ada_target", TARGETS[relativistic])


def choose_mirroring(choices: Choices) -> None:
    """Choose mirroring, which suits photographs but not letters."""
    choices.choose("data.flip", True, "twice as many images; data.flip=false for letters, digits, maps")


def plain(value: Any) -> Any:
    """Return a value that was typed on the command line as what it stands for."""
    return value.value() if isinstance(value, Word) else value


def _shown(value: Any) -> str:
    """Return a value as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
