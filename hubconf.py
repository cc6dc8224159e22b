"""`torch.hub.load(CHECKOUT, "dcgan_digits", source="local")`: every release of this zoo is an entry point."""

import sys as _sys
from functools import partial as _partial
from pathlib import Path as _Path

dependencies = ["torch", "pytorch_lightning", "safetensors", "omegaconf"]

_sys.path.insert(0, str(_Path(__file__).parent))  # a checkout that was not installed
import zoo  # noqa: E402

_sys.path.pop(0)

for _name in zoo.pretrained():
    _entry = _partial(zoo.from_pretrained, f"zoo:{_name}")
    _entry.__doc__ = zoo.from_pretrained.__doc__
    globals()[_name] = _entry


def from_pretrained(where, revision=None):
    """Any release: a name of ours, org/name of the Hugging Face hub, a path, or an address with a digest."""
    return zoo.from_pretrained(where, revision)
