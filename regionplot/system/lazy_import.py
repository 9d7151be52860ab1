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


class _Substitute(ModuleType):
    """A module that finds each of its attributes in the package of the same name."""

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), attribute)
