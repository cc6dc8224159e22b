"""Each named alarm is raised for its own reason, and by nothing else; alarms of one's own."""

from __future__ import annotations

import math

import pytest
import torch

from zoo.alarms import ALARMS, Reading, alarm
from zoo.alarms.reading import Baselines

HEALTHY = {
    "activation/g/a": 1.0,
    "weight/g/a": 0.02,
    "weight/d/a": 0.02,
    "sigma1/d/a": 3.0,
    "gradient/g": 5.0,
    "score/scale": 1.5,
    "loss/d": 0.9,
    "loss/chance": 1.386,
    "diversity": 0.9,
    "duplicates": 0.0,
    "overfitting/r_v": 0.1,
    "overfitting/r_t": 0.3,
    "overfitting/certainty": 1.0,
}


def raised(now: dict[str, float], before: dict[str, float] | None = None) -> dict[str, str]:
    """Return the alarms of one reading after forty of a run with a little noise, with their reasons."""
    baselines, generator = Baselines(), torch.Generator().manual_seed(0)
    usual = {**HEALTHY, **(before or {})}
    for _ in range(40):
        noise = 1 + 0.0001 * torch.randn(len(usual), generator=generator)
        baselines.read(dict(zip(usual, (noise * torch.tensor(list(usual.values()))).tolist())), "8 px", {})
    reading = baselines.read({**usual, **now}, "8 px", {})
    return {name: reason for name, check in ALARMS.items() if (reason := check(reading))}


@pytest.mark.parametrize(
    ("now", "before", "name", "reason"),
    [
        ({"duplicates": 0.75}, {}, "loss of diversity", "75% of images of fixed latents have a near-duplicate"),
        ({"diversity": 0.3}, {}, "loss of diversity", "differ 0.30 times as much as real ones do, 0.9"),
        ({"score/scale": 9.0}, {}, "discriminator overshoot", "scores rose 6.0-fold"),
        ({"loss/d": 2.0}, {"loss/d": 0.01}, "discriminator overshoot", "had fallen to 0.01 and then jumped to 2"),
        ({"activation/g/a": 2.5}, {}, "signal escalation", "activation/g/a went from 1 to 2.5"),
        ({"weight/d/a": 0.024}, {}, "signal escalation", "weight/d/a went from 0.02 to 0.024"),
        ({"sigma1/d/a": 5.0}, {}, "spectral explosion", "largest singular value of sigma1/d/a went from 3 to 5"),
        ({"gradient/g": 0.1}, {}, "dead gradient", "generator's gradient fell from 5 to 0.1"),
        (
            {"overfitting/r_v": 0.9, "overfitting/certainty": 9.0},
            {"overfitting/r_v": 0.85},
            "discriminator overfitting",
            "held-out images score 90% of the way",
        ),
        ({"score/real": math.nan}, {"score/real": 1.0}, "not finite", "score/real is nan"),
        ({"activation/g/a": 1e8}, {}, "not finite", "activation/g/a is 1e+08"),
    ],
)
def test_each_alarm_is_raised_for_its_own_reason(
    now: dict[str, float], before: dict[str, float], name: str, reason: str
) -> None:
    found = raised(now, before)
    assert name in found
    assert reason in found[name]
    assert raised({}) == {}


def test_a_share_that_fell_to_nothing_and_stays_there_raises_no_alarm() -> None:
    baselines = Baselines()
    first = [0.875, 0.3125, 0.0, 0.1875, 0.125]  # as generators begin: all images alike, then less and less
    for share in [*first, *[0.0] * 100]:
        reading = baselines.read({"duplicates": share}, "8 px", {})
        assert ALARMS["loss of diversity"](reading) is None, "no image has a near-duplicate"
    reading = baselines.read({"duplicates": 0.875}, "8 px", {})
    assert "88% of images" in str(ALARMS["loss of diversity"](reading))


def test_similar_images_in_one_reading_raise_no_alarm() -> None:
    """A healthy run on satellite images had as many, since forests look alike."""
    assert raised({"duplicates": 6 / 16}) == {}
    assert "loss of diversity" in raised({"duplicates": 8 / 16})


def test_images_that_get_brighter_are_no_escalation_until_no_image_is_as_bright() -> None:
    """A grown layer drew dim images while it faded in, then images as bright as real ones."""
    before = {"activation/g/to_rgb.4": 0.2}
    assert raised({"activation/g/to_rgb.4": 0.45}, before) == {}
    found = raised({"activation/g/to_rgb.4": 1.1, "activation/g/a": 2.5}, before)
    assert "activation/g/to_rgb.4 went from 0.2 to 1.1" in found["signal escalation"]
    found = raised({"activation/g/to_rgb.4": 0.9, "activation/g/a": 2.5}, before)
    assert "activation/g/a went from 1 to 2.5" in found["signal escalation"], "another layer is not hidden by it"


def test_every_alarm_is_planted_above() -> None:
    marks = test_each_alarm_is_raised_for_its_own_reason.pytestmark  # type: ignore[attr-defined]
    assert {case[2] for case in marks[0].args[1]} == set(ALARMS)


def test_an_alarm_of_ones_own_is_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.alarms.named.ALARMS", dict(ALARMS))
    import zoo.alarms.named as named

    @alarm("too bright")
    def too_bright(now: Reading) -> str | None:
        """Scores of real images fall."""
        moved = now.fell("score/real", by=1.0)
        return f"{moved}" if moved else None

    assert named.ALARMS["too bright"] is too_bright
