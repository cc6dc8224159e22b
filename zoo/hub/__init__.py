"""Pretrained models: load by name, verify, upload, and convert weights of other libraries.

A public name is imported when it is first used, so that `python -m zoo.hub --help` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.hub.converting import convert
    from zoo.hub.loading import from_pretrained, pretrained
    from zoo.hub.pushing import push
    from zoo.hub.verifying import verify
    from zoo.releases.audited import attach

_MODULES = {
    "attach": "zoo.releases.audited",
    "convert": "zoo.hub.converting",
    "from_pretrained": "zoo.hub.loading",
    "pretrained": "zoo.hub.loading",
    "push": "zoo.hub.pushing",
    "verify": "zoo.hub.verifying",
}

__all__ = ["attach", "convert", "from_pretrained", "pretrained", "push", "verify"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module 'zoo.hub' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
