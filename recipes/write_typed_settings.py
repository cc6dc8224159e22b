"""Write the settings of a recipe as typed dictionaries: `python recipes/write_typed_settings.py`.

`zoo/runs/typed_settings.py` is to a call of `zoo.fit` what `recipes/schema.json` is to a recipe file: an editor
completes names of sections and settings, and a type checker finds a misspelt section. See `recipes/write_schema.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from write_schema import alternatives, classes_of, nested_in, trainer_settings

from zoo.config.settings import settings_of
from zoo.runs.recipes import KINDS

TYPED_SETTINGS = Path(__file__).resolve().parent.parent / "zoo" / "runs" / "typed_settings.py"
HEADER = '''"""Settings of a recipe as typed dictionaries, for completion in `zoo.fit("dcgan_digits", model={...})`.

Written by `recipes/write_typed_settings.py` from the signatures of the constructors; do not edit. A setting that only
some classes have is followed by their names. Whether the class of a run has a setting is checked by `zoo.fit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict
'''
OVERRIDES = '''
class Overrides(TypedDict, total=False):
    """Sections and values that `zoo.fit` puts in place of the recipe's. A mapping stands for your own classes."""

    seed: int
    images: int
    pretrained: str
    model: ModelSettings | Mapping[str, Any]
    data: DataSettings | Mapping[str, Any]
    trainer: TrainerSettings | Mapping[str, Any]
    callbacks: CallbackSections | Mapping[str, Any] | None
    loggers: Mapping[str, Any] | None
'''


def typed_settings() -> str:
    """Return the source of the module with typed settings."""
    models, sources = classes_of(KINDS.model), classes_of(KINDS.data)
    callbacks = {name: settings_of(target) for name, target in classes_of(KINDS.callback).items()}
    parts = [
        HEADER,
        named_class("Model", models) + merged_dict("Model", "all models", models),
        "\n" + named_class("Data", sources) + merged_dict("Data", "all sources of images", sources),
        typed_dict("TrainerSettings", "Arguments of Lightning's Trainer.", lines_of(trainer_settings())),
        *(
            typed_dict(f"{name}Settings", f"Settings of {name}.", lines_of(settings))
            for name, settings in callbacks.items()
        ),
        typed_dict(
            "CallbackSections",
            "Callbacks by name; None removes one.",
            [f"{name}: {name}Settings | Mapping[str, Any] | None" for name in callbacks],
        ),
        OVERRIDES,
    ]
    return "\n".join(parts)


def merged_dict(name: str, what: str, classes: dict[str, type]) -> str:
    """Return the source of a `TypedDict` with the settings of several classes."""
    owners: dict[str, list[str]] = {}
    types: dict[str, list[str]] = {}
    for owner, target in classes.items():
        for setting, (hint, _) in settings_of(target).items():
            owners.setdefault(setting, []).append(owner)
            kind = f"{name}Settings | str | Mapping[str, Any]" if setting in nested_in(target) else python_type(hint)
            types[setting] = [*types.get(setting, []), *([] if kind in types.get(setting, []) else [kind])]
    lines = []
    for setting, named in types.items():
        kinds = [kind for kind in named if f"{kind} | None" not in named]  # the longer one includes it
        lines.append(f"{setting}: {' | '.join(kinds)}{owners_comment(owners[setting], list(classes))}")
    return typed_dict(f"{name}Settings", f"Settings of {what}.", lines, base=f"{name}Class")


def owners_comment(owners: list[str], classes: list[str]) -> str:
    """Return a comment that names the classes that have a setting, or those that do not where these are fewer."""
    others = [name for name in classes if name not in owners]
    if not others:
        return ""
    return f"  # {', '.join(owners)}" if len(owners) <= len(others) else f"  # all but {', '.join(others)}"


def named_class(name: str, classes: Iterable[str]) -> str:
    """Return the source of a `TypedDict` with the key `class`, which is no name of Python."""
    choices = "".join(f'\n    "{each}",' for each in classes)
    return (
        f"{name}Name = Literal[{choices}\n]\n"
        f'{name}Class = TypedDict("{name}Class", {{"class": {name}Name | str | type}}, total=False)\n\n'
    )


def typed_dict(name: str, description: str, lines: list[str], base: str = "TypedDict") -> str:
    """Return the source of a `TypedDict`."""
    body = "".join(f"    {line}\n" for line in lines)
    return f'\nclass {name}({base}, total=False):\n    """{description}"""\n' + (f"\n{body}" if body else "")


def lines_of(settings: dict[str, tuple[Any, Any]]) -> list[str]:
    """Return a line with name and type for each setting."""
    return [f"{name}: {python_type(hint)}" for name, (hint, _) in settings.items()]


def python_type(hint: Any) -> str:
    """Return a type as source text; any sequence may be given for a tuple or list."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return "Any"
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(python_type(alternative) for alternative in alternatives(hint)))
    if origin is Literal:
        return "Literal[" + ", ".join(json.dumps(argument) for argument in arguments) + "]"
    if origin in (tuple, list):
        return f"Sequence[{' | '.join(dict.fromkeys(python_type(each) for each in arguments if each is not Ellipsis))}]"
    if origin is dict:
        return f"Mapping[{python_type(arguments[0])}, {python_type(arguments[1])}]"
    return "None" if hint is type(None) else str(hint.__name__)


if __name__ == "__main__":
    TYPED_SETTINGS.write_text(typed_settings(), encoding="utf-8")
