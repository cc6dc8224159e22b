"""How good a run is, in words: the verdict that the console and the page of a run show.

Every sentence follows from a record of the run (`Evidence`). Where nothing was measured, the sentence says so and names
the command that measures it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from zoo.alarms.named import CERTAIN, DUPLICATES, LITTLE_DIVERSITY, OVERFITTING
from zoo.alarms.reading import SETTLE
from zoo.releases.weakness import LOW_COVERAGE, MEANING_OF_LOW
from zoo.runs.comparing.readings import Reading
from zoo.runs.history import RunHistory
from zoo.runs.verdict.advice import Advice, Situation, advise
from zoo.runs.verdict.evidence import Evidence, read_evidence
from zoo.runs.verdict.trend import WORSE, State, Trend, trend_of

GOOD, FAIR, BAD, UNKNOWN = "good", "fair", "bad", "unknown"
RATIOS = ("fid", "mind", "cmmd", "mifid")
"""Distances whose value between two sets of real images is positive, so that a quotient with it means something."""
AT_FLOOR = 1.3
"""Quotient of a distance and that of real images up to which the two are called the same. `dcgan_digits`, whose digits
a classifier reads as well as real ones, has 0.7 in features of digits and 1.26 in effnet-lite0. Distances of so little
cannot be told from those of real images: their 95 % intervals are 14 to 54 % wide on each side there."""
FAR = 10.0
"""Quotient beyond which the distance counts as bad. The releases of photographs and drawings have 3.9 to 8.4, so a run
beyond it is worse than anything that was worth releasing. It depends on extractor and number of images, so it is a
rough guide, not a measure."""
AUTHENTIC = 0.8
"""Share of the authenticity of real images below which copies are suspected. It says nothing near 1: real images
themselves reach 1/3 to 1/2."""
COPYING_CT = -3.0
"""C_T below which images are closer to training images than held-out ones are: it has a deviation of 1 without copies,
so one run in 700 is below by chance."""
EARLY = 0.2
"""Share of a run in which images that look alike are no collapse: an untrained generator draws little else."""


@dataclass(frozen=True)
class Remark:
    """One statement of a verdict.

    Args:
        topic: what it is about: "distance", "coverage", "memorising", "alarms" or "progress".
        tone: "good", "fair", "bad" or "unknown".
        text: one or two sentences.
    """

    topic: str
    tone: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """How good a run is, and what to try next.

    Args:
        images_seen: images seen at the newest record.
        tone: "good", "fair", "bad" or "unknown".
        headline: the verdict in a sentence.
        remarks: its parts.
        advice: what to try next, the most promising first.
    """

    images_seen: int
    tone: str
    headline: str
    remarks: tuple[Remark, ...]
    advice: tuple[Advice, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def verdict_of(run: RunHistory) -> Verdict:
    """Judge a run by its records."""
    return judge(read_evidence(run))


def judge(evidence: Evidence) -> Verdict:
    """Judge a run by what is known about it."""
    curve = evidence.curve
    trend = trend_of(curve, bool(curve[-1].higher_is_better)) if curve else None
    collapsed = _collapsed(evidence)
    remarks = (
        _distance(evidence),
        _coverage(evidence),
        _memorising(evidence),
        _alarms(evidence, collapsed),
        _progress(evidence, trend),
    )
    situation = Situation(
        evidence,
        trend,
        collapsed,
        is_near=remarks[0].tone == GOOD,
        covers=remarks[1].tone in (GOOD, FAIR),
        overfits=_overfits(evidence),
    )
    tone, headline = _headline(evidence, trend, collapsed, remarks)
    return Verdict(evidence.images_seen, tone, headline, remarks, advise(situation))


def shown(value: float) -> str:
    """Format a number with three significant digits, and large ones in full."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def brief(ratio: float) -> str:
    """Format a quotient with two significant digits."""
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def ratio_of(reading: Reading) -> float | None:
    """Return a distance as a multiple of that between two sets of real images; None where that means nothing."""
    if reading.key not in RATIOS or reading.floor is None or reading.floor <= 0:
        return None
    return reading.value / reading.floor


def _headline(evidence: Evidence, trend: Trend | None, collapsed: bool, remarks: tuple[Remark, ...]) -> tuple[str, str]:
    """Return the tone and the sentence of the whole verdict."""
    if any(event.get("alarm") == "not finite" for event in evidence.events[-1:]):
        return BAD, "Broken: values were not finite at the last alarm."
    if collapsed:
        return BAD, "Collapsed: the images of different latents are nearly the same."
    if evidence.unreadable or trend is None:
        return UNKNOWN, _unmeasured(evidence)
    memorising = next(remark for remark in remarks if remark.topic == "memorising")
    last = evidence.curve[-1]
    ratio = ratio_of(last)
    if ratio is None:
        where = f"{last.name} is {shown(last.value)}" + _real(last)
        tone = remarks[0].tone
    elif ratio <= AT_FLOOR:
        where, tone = "About as near to the training images as real images are to each other", GOOD
    else:
        where = f"{brief(ratio)} times as far from the training images as real images are from each other"
        tone = BAD if ratio > FAR else FAIR
    if memorising.tone == BAD:
        return BAD, f"{where}, but it copies training images."
    if tone == GOOD and remarks[1].tone == BAD:
        return FAIR, f"{where}, but parts of the data are rarely drawn."
    if trend.state is State.FEW:
        return tone, f"{where}."
    joint = ", and" if trend.state is State.IMPROVING else ";"
    return tone, f"{where}{joint} {trend.words}." if tone != GOOD or trend.state is State.WORSE else f"{where}."


def _unmeasured(evidence: Evidence) -> str:
    """Say why nothing is known about the images."""
    if evidence.unreadable:
        return f"Unknown: the measurements of this run cannot be read ({evidence.unreadable})."
    if evidence.first_measurement:
        return f"Not measured yet: the first measurement comes at {evidence.first_measurement:,} images."
    return "Not measured: no number in this run says how good its images are."


def _real(reading: Reading) -> str:
    return f" (real images: {shown(reading.floor)})" if reading.floor is not None else ""


def _distance(evidence: Evidence) -> Remark:
    """Say how far generated images are from real ones, beside the distance of real images from each other."""
    if evidence.first_measurement:
        return Remark("distance", UNKNOWN, "Not measured yet.")
    if not evidence.curve:
        command = "python -m zoo.evaluate checkpoint=RUN"
        return Remark("distance", UNKNOWN, f"Not measured. `{command}` compares samples with held-out images.")
    last = evidence.curve[-1]
    ratio = ratio_of(last)
    if ratio is not None and last.floor is not None:
        tone = GOOD if ratio <= AT_FLOOR else BAD if ratio > FAR else FAIR
        text = (
            f"{last.label} to training images is {shown(last.value)}; between two sets of real images it is "
            f"{shown(last.floor)}, so {brief(ratio)} times as much."
        )
    else:
        tone, text = _by_floor(last), f"{last.label} is {shown(last.value)}{_real(last)}."
    held_out = evidence.held_out.get(last.key)
    if held_out is not None:
        text += f" On held-out images, after {held_out.images_seen:,}: {shown(held_out.value)}{_real(held_out)}."
    best = trend_of(evidence.curve, bool(last.higher_is_better))
    if abs(best.best - last.value) > WORSE * abs(best.best):
        text += f" The best measurement of the run was {shown(best.best)}."
    return Remark("distance", tone, text)


def _by_floor(reading: Reading) -> str:
    """Return the tone of a number of which a high value is good, by the value of real images."""
    if reading.floor is None or not reading.floor or not reading.higher_is_better:
        return FAIR
    return GOOD if reading.value >= LOW_COVERAGE * reading.floor else BAD


def _coverage(evidence: Evidence) -> Remark:
    """Say how much of the data is drawn, and whether samples look like real images."""
    found = {**evidence.held_out, **evidence.latest}  # those on training images are of the newest measurement
    covered = next((found[key] for key in ("coverage", "recall", "modes") if key in found), None)
    if covered is None and evidence.first_measurement:
        return Remark("coverage", UNKNOWN, "Not measured yet.")
    if covered is None:
        command = "python -m zoo.evaluate checkpoint=RUN metrics=prdc"
        return Remark("coverage", UNKNOWN, f"Not measured. `{command}` measures coverage and precision.")
    tone = _by_floor(covered)
    text = f"{covered.name} is {shown(covered.value)}{_real(covered)}"
    text += f": {MEANING_OF_LOW.get(covered.key, 'some modes are missing')}." if tone == BAD else "."
    recall = found.get("recall")
    if recall is not None and recall is not covered and _by_floor(recall) == BAD:
        tone = FAIR if tone == GOOD else tone
        text += f" Recall, which is stricter, is {shown(recall.value)}{_real(recall)}."
    precision = found.get("precision")
    if precision is not None:
        low = _by_floor(precision) == BAD
        tone = FAIR if low and tone == GOOD else tone
        text += f" Precision is {shown(precision.value)}{_real(precision)}"
        text += f": {MEANING_OF_LOW['precision']}." if low else "."
    return Remark("coverage", tone, text[0].upper() + text[1:])


def _memorising(evidence: Evidence) -> Remark:
    """Say whether the generator copies training images, only from what was measured."""
    finding = _copying_finding(evidence.audit)
    if finding is not None:
        tone = {"passed": GOOD, "alarm": BAD}.get(str(finding.get("status")), FAIR)
        return Remark("memorising", tone, f"By the audit of this run: {finding.get('answer', '')}")
    found = {**evidence.held_out, **evidence.latest}
    parts, tones = [], []
    for key, limit in (("authenticity", None), ("ct", COPYING_CT)):
        if (reading := found.get(key)) is not None and isfinite(reading.value):
            least = AUTHENTIC * (reading.floor or 1 / 3) if limit is None else limit
            tones.append(BAD if reading.value < least else GOOD)
            parts.append(f"{reading.name} is {shown(reading.value)}{_real(reading)}")
    if not parts:
        text = "Not measured. `python -m zoo.audit checkpoint=RUN` tells copies from coincidence."
        if _overfits(evidence):
            text += " The discriminator has memorised its training images, which does not mean that the generator has."
        return Remark("memorising", UNKNOWN, text)
    copies = BAD in tones
    text = "; ".join(parts) + (
        ": images are closer to training images than real ones are." if copies else ": no sign of copies."
    )
    return Remark("memorising", BAD if copies else GOOD, text[0].upper() + text[1:])


def _copying_finding(audit: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the finding on copying of an audit; None if there is none, or it was skipped."""
    findings = (audit or {}).get("findings")
    found = [each for each in findings or [] if isinstance(each, dict) and each.get("name") == "copying"]
    return next((each for each in found if each.get("status") != "skipped"), None)


def _overfits(evidence: Evidence) -> bool:
    """Check whether the discriminator scored held-out images like generated ones at the last full reading."""
    certain = evidence.signals.get("overfitting/certainty", 0.0) > CERTAIN
    return certain and evidence.signals.get("overfitting/r_v", 0.0) > OVERFITTING


def _collapsed(evidence: Evidence) -> bool:
    """Check whether the images of fixed latents are alike at the last reading."""
    if _are_alike(evidence):
        return evidence.readings > SETTLE and evidence.images_seen > EARLY * evidence.images
    lost = [event for event in evidence.events if event.get("alarm") == "loss of diversity"]
    return bool(lost) and evidence.signals.get("diversity", 1.0) < LITTLE_DIVERSITY


def _are_alike(evidence: Evidence) -> bool:
    """Check whether most images of fixed latents have a near-duplicate at the last reading, be it early or late."""
    return evidence.signals.get("duplicates", 0.0) >= DUPLICATES


def _alarms(evidence: Evidence, collapsed: bool) -> Remark:
    """Say which alarms were raised, and what the signals were at the end."""
    if not evidence.events:
        if not evidence.has_alarms:
            return Remark("alarms", UNKNOWN, "Not watched: the recipe has no callback Alarms (`callbacks.Alarms={}`).")
        if not evidence.readings:
            return Remark("alarms", UNKNOWN, "No reading has been written yet.")
        text = "None was raised."
    else:
        last = evidence.events[-1]
        names = [str(event.get("alarm", "an alarm")) for event in evidence.events]
        counts = [
            f"{name} ({names.count(name)} times)" if names.count(name) > 1 else name for name in dict.fromkeys(names)
        ]
        text = f"{', '.join(counts)}; the last at {int(last.get('images_seen', 0)):,} images."
        text = text[0].upper() + text[1:]
    now = [
        f"{words.format(evidence.signals[name])}"
        for name, words in (
            ("diversity", "differ {:.2f} times as much as real ones"),
            ("duplicates", "{:.0%} have a near-duplicate"),
        )
        if name in evidence.signals
    ]
    if now:
        text += f" At the last reading, images of fixed latents {', and '.join(now)}."
    tone = BAD if collapsed else FAIR if evidence.events else GOOD
    if not collapsed and _are_alike(evidence):
        text += " That is too early to judge."
        tone = FAIR if evidence.events else UNKNOWN
    if _overfits(evidence):
        r_v = evidence.signals["overfitting/r_v"]
        text += f" The discriminator scores held-out images like generated ones (r_v {r_v:.2f}): it overfits."
        tone = BAD if collapsed else FAIR
    return Remark("alarms", tone, text)


def _progress(evidence: Evidence, trend: Trend | None) -> Remark:
    """Say whether the number that selects the best checkpoint still improves."""
    if trend is None:
        text = "Not known yet." if evidence.first_measurement else "Unknown: nothing was measured that could improve."
        return Remark("progress", UNKNOWN, text)
    tone = {State.IMPROVING: GOOD, State.WORSE: BAD}.get(trend.state, FAIR)
    gain = f", {trend.gain}" if trend.gain else ""
    return Remark("progress", tone, f"{evidence.curve[-1].label}: {trend.words}{gain}.")
