"""Stand-ins: functions and classes that are read from their source files, so that nothing needs to be imported.

A stand-in has the name, the docstring, the parameters and the bases of what it stands for, and no code. The settings of
a command or of a recipe's class are read from it as from the real one (`zoo.config.settings`), in milliseconds, while
importing torch and Lightning takes seconds.
"""

from __future__ import annotations

import ast
import builtins
import copy
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

READ = ("zoo", "pytorch_lightning", "lightning_fabric")
"""Packages whose source is read. Of the standard library the real objects are used; a class of any other package is
empty here, since no recipe can express a value of it."""
KEPT = ("nested",)
"""Attributes of a class, beside its constructor, that tell which settings it takes."""


class NoStandInError(Exception):
    """A function or class that cannot be read from its source file."""


def stand_in(path: str) -> Any:
    """Return the stand-in of a function or class.

    Args:
        path: import path, such as `zoo.models.dcgan.DCGAN`.

    Raises:
        NoStandInError: if there is no source file, or it names something that can only be known by running it.
    """
    try:
        return _at(path)
    except (OSError, SyntaxError, ImportError, NameError, AttributeError, TypeError, ValueError) as error:
        raise NoStandInError(f"{path}: {error}") from error


def forget() -> None:
    """Free the memory of all files that were read, about 10 MB for a recipe. Later stand-ins are other objects."""
    _at.cache_clear()
    _source.cache_clear()


@cache
def _at(path: str) -> Any:
    """Return what an import path stands for: the real object of the standard library, or a stand-in."""
    package, (module, _, name) = path.partition(".")[0], path.rpartition(".")
    if package in sys.stdlib_module_names:
        return getattr(import_module(module), name)
    return _source(module).value(name) if package in READ else _empty_class(package, name)


@cache
def _empty_class(package: str, name: str) -> type:
    """Return the stand-in of a class whose source is not read; the same for every way to import it."""
    return type(name, (), {"__module__": package, "__class_getitem__": classmethod(lambda cls, _: cls)})


@cache
def _source(module: str) -> _Source:
    """Return a module that is read, not imported."""
    package, *rest = module.split(".")
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"there is no package {package}")
    path = Path(spec.submodule_search_locations[0], *rest)
    return _Source(module, path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


class _Source:
    """The functions, classes, assigned and imported names at the top of a source file.

    Args:
        module: dotted name of the module.
        file: its source file.
    """

    def __init__(self, module: str, file: Path) -> None:
        self.module = module
        self.nodes: dict[str, Any] = {}
        self.imported: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.nodes[node.name] = node
            elif isinstance(node, ast.Assign):
                self.nodes.update({target.id: node.value for target in node.targets if isinstance(target, ast.Name)})
            elif isinstance(node, ast.ImportFrom):
                self.imported.update({each.asname or each.name: f"{node.module}.{each.name}" for each in node.names})
            elif isinstance(node, ast.Import):
                self.imported.update({each.asname or each.name: each.name for each in node.names})

    def value(self, name: str) -> Any:
        """Return what a name of this module stands for, such as `Tensor`, `clock.ScheduleKind` or `int`.

        Raises:
            NameError: for a name that is not known when the module is imported, such as one for type checkers only.
        """
        if name not in self.values:
            self.values[name] = self._read(name)
        return self.values[name]

    def _read(self, name: str) -> Any:
        first, _, rest = name.partition(".")
        if first in self.imported:
            return _at(".".join(filter(None, (self.imported[first], rest))))
        node = self.nodes.get(name)
        if isinstance(node, ast.FunctionDef):
            return self._function(node)
        if isinstance(node, ast.ClassDef):
            return self._class(node)
        if node is not None:
            return self._evaluated(ast.Expression(node), "eval")[""]
        if not hasattr(builtins, name):
            raise NameError(f"{name} is not known in {self.module}")
        return getattr(builtins, name)

    def _known(self, name: str) -> Any:
        """Return the value of a name; in Lightning, a name that is imported inside an `if` is an empty class."""
        try:
            return self.value(name)
        except NameError:
            package = self.module.partition(".")[0]
            if package == "zoo":
                raise
            return _empty_class(package, name)

    def _function(self, node: ast.FunctionDef) -> Any:
        """Return the stand-in of a function, or of the function that it wraps (`functools.wraps`)."""
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "wraps":
                return self.value(ast.unparse(decorator.args[0]))
        return self._run(_without_code(node))

    def _class(self, node: ast.ClassDef) -> Any:
        """Return the stand-in of a class: its bases, its docstring, its constructor and the attributes in `KEPT`."""
        bare = copy.copy(node)
        bare.decorator_list, bare.keywords, bare.body = [], [], [_docstring(node)]
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                bare.body.append(_without_code(part))
            elif isinstance(part, ast.Assign | ast.AnnAssign) and ast.unparse(part).startswith(KEPT):
                bare.body.append(part)
        return self._run(bare)

    def _run(self, node: ast.FunctionDef | ast.ClassDef) -> Any:
        """Run the definition of a function or class that has no code, and return what it defines."""
        return self._evaluated(ast.Module([node], []), "exec")[node.name]

    def _evaluated(self, tree: ast.Module | ast.Expression, mode: str) -> dict[str, Any]:
        """Run a piece of source, and return its names; the value of an expression is that of the name ""."""
        tree = _Dotted().visit(copy.deepcopy(tree))
        names: dict[str, Any] = {"__name__": self.module}
        for part in ast.walk(tree):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                names[part.id] = self._known(part.id)
        code = compile(tree, self.module, mode, dont_inherit=True)  # annotations as values, not as texts
        names[""] = eval(code, names)
        return names


class _Dotted(ast.NodeTransformer):
    """Makes one name of `clock.ScheduleKind`, which is then looked up as a whole, without an object for `clock`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Return the name."""
        return ast.copy_location(ast.Name(ast.unparse(node), node.ctx), node)


def _without_code(node: ast.FunctionDef) -> ast.FunctionDef:
    """Return the definition of a function with its docstring as its only line, and without decorators."""
    bare = copy.copy(node)
    bare.decorator_list, bare.body = [], [_docstring(node)]
    return bare


def _docstring(node: ast.FunctionDef | ast.ClassDef) -> ast.stmt:
    """Return the docstring of a definition as a line of its body; `...` if it has none."""
    text = ast.get_docstring(node, clean=False)
    return ast.copy_location(ast.Expr(ast.copy_location(ast.Constant(... if text is None else text), node)), node)
