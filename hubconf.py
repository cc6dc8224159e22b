"""Entry points of `torch.hub`: `torch.hub.load(CHECKOUT, "dcgan_digits", source="local")` loads a release."""

import sys as _sys
from functools import partial as _partial
from pathlib import Path as _Path

dependencies = ["torch", "pytorch_lightning", "safetensors", "omegaconf"]

_sys.path.insert(0, str(_Path(__file__).parent))  # for a checkout that was not installed
import zoo  # noqa: E402

_sys.path.pop(0)

for _name in zoo.pretrained():
    _entry = _partial(zoo.from_pretrained, f"zoo:{_name}")
    _entry.__doc__ = zoo.from_pretrained.__doc__
    globals()[_name] = _entry


def from_pretrained(where, revision=None):
    """Load a release by its name, ORG/NAME of the Hugging Face Hub, a path, or an address with a digest."""
    return zoo.from_pretrained(where, revision)
