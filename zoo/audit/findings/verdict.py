"""The verdict of an audit, and its summary in a sentence, from the findings."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.audit.findings.finding import VERDICTS, Finding

REQUIRED = {"copying", "support", "coverage"}
"""Questions that must be answered before a subject is called healthy."""


def verdict_of(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return the verdicts that were flagged, most severe first.

    Returns:
        The verdicts; ("healthy",) if nothing was flagged and all `REQUIRED` questions were answered; () if nothing was
        flagged and one of these was not: a question that was skipped is no evidence of health.
    """
    flagged = {flag for finding in findings for flag in finding.flags}
    if flagged:
        own = sorted(flagged - set(VERDICTS))  # those of a question of the user's own
        return (*(verdict for verdict in VERDICTS if verdict in flagged), *own)
    answered = {finding.name for finding in findings if finding.status != "skipped"}
    return ("healthy",) if answered >= REQUIRED else ()


def summary_of(verdict: tuple[str, ...], findings: Sequence[Finding]) -> str:
    """Return the verdict in a sentence, with the reasons for it."""
    if not verdict:
        return "No fault was found, but too few questions could be answered to call it healthy."
    if verdict == ("healthy",):
        answered = [finding for finding in findings if finding.status != "skipped"]
        unknown = any(finding.protocol.get("classes") == "unknown" for finding in findings)
        caveat = " Classes were unknown: a class or an attribute that is missing need not show." if unknown else ""
        return f"Healthy: none of the {len(answered)} questions that could be answered found a fault.{caveat}"
    parts = []
    for name in verdict:
        reasons = [finding.flags[name] for finding in findings if name in finding.flags]
        parts.append(f"{name} ({'; '.join(dict.fromkeys(reasons))})")
    text = ", and ".join(parts) if len(parts) < 3 else ", ".join(parts)
    return text[0].upper() + text[1:] + "." + _caveat(verdict)


def _caveat(verdict: tuple[str, ...]) -> str:
    """Return a caveat for dropped classes of blurred or noisy images, which the classifier was not fitted to."""
    degraded = [name for name in ("blurred", "noisy") if name in verdict]
    if not degraded or "dropping classes" not in verdict:
        return ""
    return (
        f" The dropped classes may be a consequence of the images being {' and '.join(degraded)}: the classifier was "
        "fitted to clean images."
    )
