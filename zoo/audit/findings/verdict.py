"""From findings to a verdict for the whole, in words."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.audit.findings.finding import VERDICTS, Finding


def verdict_of(findings: Sequence[Finding]) -> tuple[str, ...]:
    """What is wrong, the gravest first; ("healthy",) when nothing is, and () when too little could be asked.

    A subject is called healthy only if copying, support and coverage could all be asked: silence of questions that were
    never put is no health.
    """
    raised = {flag for finding in findings for flag in finding.flags}
    if raised:
        return tuple(verdict for verdict in VERDICTS if verdict in raised)
    answered = {finding.name for finding in findings if finding.status != "skipped"}
    return ("healthy",) if {"copying", "support", "coverage"} <= answered else ()


def sentence_of(verdict: tuple[str, ...], findings: Sequence[Finding]) -> str:
    """The verdict with the reasons that led to it."""
    if not verdict:
        return "No fault was found, but not enough was asked to call it healthy."
    if verdict == ("healthy",):
        asked = [finding for finding in findings if finding.status != "skipped"]
        return f"Healthy: none of the {len(asked)} questions that could be asked found a fault."
    parts = []
    for name in verdict:
        reasons = [finding.flags[name] for finding in findings if name in finding.flags]
        parts.append(f"{name} ({'; '.join(dict.fromkeys(reasons))})")
    whole = ", and ".join(parts) if len(parts) < 3 else ", ".join(parts)
    return whole[0].upper() + whole[1:] + "." + _doubt(verdict)


def _doubt(verdict: tuple[str, ...]) -> str:
    """Classes are told apart as real images show them; a fault of all images may look like one of classes."""
    spoilt = [name for name in ("blurred", "noisy") if name in verdict]
    if not spoilt or "dropping classes" not in verdict:
        return ""
    why = " and ".join(spoilt)
    return f" That classes are named may come of images being {why}: the judge learnt them from clean ones."
