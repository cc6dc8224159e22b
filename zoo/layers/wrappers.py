"""Names of tensors without the prefixes of wrappers, such as `torch.compile`, around a network.

`model.generator = torch.compile(model.generator)` registers the generator a level deeper: the state dict has
`generator._orig_mod.stem.weight`. A checkpoint or release with such names would fit a wrapped model only, and the
model's own constructor does not wrap.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

COMPILED = "_orig_mod."


def plain_name(name: str) -> str:
    """Return the name of a tensor or module as it would be without `torch.compile`."""
    return name.replace(COMPILED, "")


def plain_names(model: object, names: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of a model's tensors, each by its name without wrappers.

    Args:
        model: the model, whose modules tell a DataParallel from a network that has a part called `module`; also
            anything that is no module, which has no wrappers of this kind.
        names: state dict, or names, of the model with its wrappers.
    """
    modules = model.named_modules() if isinstance(model, nn.Module) else ()
    parallel = [name for name, part in modules if isinstance(part, DataParallel | DistributedDataParallel)]
    plain = {}
    for name in names:
        short = name
        for outer in sorted(parallel, key=len, reverse=True):  # inner wrappers first
            if short.startswith(f"{outer}.module."):
                short = f"{outer}.{short.removeprefix(f'{outer}.module.')}"
        plain[plain_name(short)] = name
    return plain


class PlainlyNamed(nn.Module):
    """Base class of a module whose state dict has the same names with and without wrappers around its parts."""

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return `nn.Module.state_dict` without the prefixes of wrappers."""
        state: dict[str, Any] = super().state_dict(*args, **kwargs)
        names = plain_names(self, state)
        if all(plain == name for plain, name in names.items()):
            return state
        for plain, name in names.items():  # in place, which keeps the type, its metadata and the order
            state[plain] = state.pop(name)
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Load a state dict with or without the prefixes of wrappers, see `nn.Module.load_state_dict`."""
        own = plain_names(self, super().state_dict())
        state = OrderedDict((own.get(plain_name(name), name), value) for name, value in state_dict.items())
        if hasattr(state_dict, "_metadata"):
            state._metadata = state_dict._metadata  # type: ignore[attr-defined]
        return super().load_state_dict(state, *args, **kwargs)
