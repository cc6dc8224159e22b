"""References of a recipe, such as `lr_horizon: ${images}`, kept when the recipe is written out with every default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

KEPT_IN = ("model", "trainer", "callbacks", "loggers")
"""Sections whose references are kept. The settings of the data are also read outside their recipe, from a release, and
a resumed run keeps its data."""

Keys = tuple[Any, ...]


def references_in(recipe: DictConfig) -> dict[Keys, str]:
    """Return the references to other settings, by the keys that lead to them.

    References that call a resolver, such as `${oc.env:HOME}`, are left out: their value may differ at the next start.
    """
    found: dict[Keys, str] = {}
    for section in KEPT_IN:
        is_reference = OmegaConf.is_interpolation(recipe, section)
        if section in recipe and not is_reference and OmegaConf.is_dict(recipe[section]):
            found.update(_within(recipe[section], (section,)))
    return found


def _within(node: DictConfig, keys: Keys) -> Iterator[tuple[Keys, str]]:
    """Yield keys and text of each reference in a mapping and the mappings within it."""
    raw = OmegaConf.to_container(node, resolve=False)
    assert isinstance(raw, dict)
    for key, text in raw.items():
        if OmegaConf.is_interpolation(node, key):  # type: ignore[arg-type]  # takes every key that a mapping may have
            if isinstance(text, str) and ":" not in text:
                yield (*keys, key), text
        elif OmegaConf.is_dict(node[key]):
            yield from _within(node[key], (*keys, key))


def with_references(values: dict[str, Any], references: Mapping[Keys, str]) -> dict[str, Any]:
    """Return the sections of a recipe with their references in place of the values.

    A reference that does not lead to the value any more, because the value was changed after the recipe was read, is
    left out.

    Args:
        values: sections of a recipe, every value resolved.
        references: references by the keys that lead to them, as `references_in` returns them.
    """
    changed: Any = OmegaConf.to_container(OmegaConf.create(values), resolve=False)
    for keys, text in references.items():
        _put(changed, keys, text)
    resolved = OmegaConf.create(changed)
    for keys in references:
        if _find(resolved, keys) != _find(values, keys):
            _put(changed, keys, _find(values, keys))
    return changed  # type: ignore[no-any-return]


def _find(node: Any, keys: Keys) -> Any:
    """Return the value at these keys of nested mappings; None where there is none."""
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _put(node: dict[Any, Any], keys: Keys, value: Any) -> None:
    """Replace the value at these keys of nested mappings; nothing happens where there is none."""
    holder = _find(node, keys[:-1])
    if isinstance(holder, dict) and keys[-1] in holder:
        holder[keys[-1]] = value
