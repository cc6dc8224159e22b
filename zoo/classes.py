"""Names in recipes and the classes they stand for: the zoo's public names, or import paths of a user's own."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.errors import UserError, nearest


def find_class(name: str) -> Any:
    """The class that a recipe names: a public name of the zoo, or the import path of a user's own.

    Raises:
        UserError: when there is none, or its module cannot be imported.
    """
    if "." not in name:
        found = _public(name)
        if found is None:
            import zoo.callbacks
            import zoo.data

            known = [
                known for module in (zoo, zoo.data, zoo.callbacks) for known in module.__all__ if known[0].isupper()
            ]
            raise UserError(f"the zoo has no class {name}.{nearest(name, known)} One of your own is named by its path: "
                            f"my_ideas.{name}")  # fmt: skip
        return found
    module_name, _, class_name = name.rpartition(".")
    if str(Path.cwd()) not in sys.path:  # a user's own file lies where the command is given
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(f"there is no module {error.name} to import {name} from (looked in {Path.cwd()} and among the "
                        "installed packages)") from error  # fmt: skip
    except Exception as error:  # the user's own file has a fault: say where, without our frames
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(f"importing {module_name} fails at {Path(frame.filename).name}, line {frame.lineno}: "
                        f"{type(error).__name__}: {error}") from error  # fmt: skip
    if not hasattr(module, class_name):
        raise UserError(f"{module_name} has no {class_name}.{nearest(class_name, vars(module))}")
    return getattr(module, class_name)


def class_path(target: Callable[..., Any]) -> str:
    """How a recipe names a class: by its bare name if it is the zoo's, else by its import path."""
    if target.__module__.startswith("zoo.") and _public(target.__name__) is target:
        return str(target.__name__)
    return f"{target.__module__}.{target.__qualname__}"


def _public(name: str) -> Any:
    import zoo.callbacks
    import zoo.data

    for module in (zoo, zoo.data, zoo.callbacks):
        if name in module.__all__:
            return getattr(module, name)
    return None
