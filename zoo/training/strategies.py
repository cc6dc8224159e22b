"""The rule of which of Lightning's strategies for several devices can train two players."""

from __future__ import annotations

SHARDED = {"fsdp": "FSDP", "deepspeed": "DeepSpeed", "modelparallel": "model parallelism"}
"""Words in the names of strategies that divide a network over devices, and what they are called."""


def strategy_fault(strategy: str) -> str | None:
    """Return why a strategy of Lightning cannot train two players; None if it may.

    Args:
        strategy: the strategy as Lightning names it, such as "fsdp", or the name of its class.
    """
    kind = next((name for word, name in SHARDED.items() if word in strategy.lower().replace("_", "")), None)
    if kind is None:
        return None
    return (
        f"{strategy} is refused: {kind} divides one network over devices and cannot train two players that take turns. "
        "GANs of this size do not need it: the largest recipe, biggan_imagenet256, has 181 million weights, which take "
        "3.2 GB with gradients, average and optimizers"
    )
