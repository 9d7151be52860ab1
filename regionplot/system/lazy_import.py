"""Keep another library from importing a package that it may never use."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def imported_on_first_use(name: str) -> Iterator[None]:
    """Let imports of a package in the `with` block return a substitute, which imports the package when it is used.

    If the package is imported already or is not installed, imports are as usual.

    Parameters
    ----------
    name : str
        Name of the package, without dots.
    """
    if name in sys.modules or importlib.util.find_spec(name) is None:
        yield
        return
    substitute = _Substitute(name)
    sys.modules[name] = substitute
    try:
        yield
    finally:
        if sys.modules.get(name) is substitute:
            del sys.modules[name]


@contextmanager
def functions_imported_on_first_use(*names: str) -> Iterator[None]:
    """Let imports of functions of some modules in the `with` block return functions that import the module when called.

    Modules that are imported already are imported as usual.

    Parameters
    ----------
    *names : str
        Names of modules of a package. The block imports the package, and from these modules it imports only functions.
    """
    substitutes = {name: _Functions(name) for name in names if name not in sys.modules}
    sys.modules.update(substitutes)
    try:
        yield
    finally:
        for name, substitute in substitutes.items():
            if sys.modules.get(name) is substitute:
                del sys.modules[name]
                package, _, module = name.rpartition(".")
                if package in sys.modules:  # an attribute of the package, as after an import
                    setattr(sys.modules[package], module, _Substitute(name))


class _Functions(ModuleType):
    """A module with any function. A function imports the module of the same name when it is called."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        name = self.__name__

        def function(*arguments: Any, **named: Any) -> Any:
            if sys.modules.get(name) is self:  # called in the `with` block
                del sys.modules[name]
            return getattr(importlib.import_module(name), attribute)(*arguments, **named)

        return function


class _Substitute(ModuleType):
    """A module that finds each of its attributes in the package of the same name."""

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)
