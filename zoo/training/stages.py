"""The stages of a run: parts of it in which images have one resolution, and how long they take.

A network that grows is trained at one resolution after another, and an image at 64 px takes many times as long as one
at 4 px. How long a run takes is therefore a sum over its stages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

POINTS = 1000
"""Points of a run at which its resolution is asked; the ends of stages are exact to a thousandth of the run."""


@dataclass(frozen=True)
class Stage:
    """A part of a run with one resolution.

    Args:
        first: progress at which it begins, in images.
        last: progress at which it ends, in images.
        resolution: height and width of the images in pixels.
        seconds: seconds for one image; 0 if they have not been measured.
    """

    first: int
    last: int
    resolution: int
    seconds: float = 0.0

    def images_after(self, progress: int) -> int:
        """Return how many images of the stage are left at a progress."""
        return max(0, self.last - max(self.first, progress))


def stages_of(resolution_at: Callable[[int], int], images: int) -> list[Stage]:
    """Return the stages of a run in order.

    Args:
        resolution_at: function from progress, in images, to the resolution in pixels.
        images: length of the run, in images.
    """
    count = min(POINTS, images)
    starts = [images * i // count for i in range(count)]
    stages: list[Stage] = []
    for first, last in zip(starts, [*starts[1:], images]):
        resolution = resolution_at(first)
        if stages and stages[-1].resolution == resolution:
            stages[-1] = replace(stages[-1], last=last)
        else:
            stages.append(Stage(first, last, resolution))
    return stages


def seconds_left(stages: Sequence[Stage], progress: int, rate: float) -> float:
    """Return the seconds that a run still takes.

    The measured costs say how the stages compare with each other, the present speed how fast the machine is now.

    Args:
        stages: the stages of the run.
        progress: progress in images.
        rate: present images per second.
    """
    left = sum(stage.images_after(progress) for stage in stages)
    now = next((stage for stage in stages if progress < stage.last), None)
    if not rate or now is None:
        return 0.0
    if not all(stage.seconds for stage in stages):
        return left / rate
    return sum(stage.images_after(progress) * stage.seconds for stage in stages) / now.seconds / rate
