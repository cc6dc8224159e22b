"""The rule of which of Lightning's precisions can train two players."""

from __future__ import annotations

PRECISIONS = ("bf16-mixed", "32-true")
"""The precisions that can."""


def precision_fault(precision: str) -> str | None:
    """Return why a precision of Lightning cannot train two players; None if it can.

    Args:
        precision: the precision as Lightning names it, such as "bf16-mixed".
    """
    if precision in PRECISIONS:
        return None
    if precision in ("bf16-true", "transformer-engine"):
        reason = "weights and their average would be bf16, whose 8 significant bits lose small steps of Adam"
    elif precision in ("64", "64-true"):
        reason = "latents and images are float32"
    elif "16" in precision and precision != "bf16":
        reason = "one loss scaler cannot serve two players and gradient penalties underflow"
    else:
        return f"{precision!r} is not known"
    return f"{precision} is refused: {reason}"
