"""Compile the methods of dataclasses when they are first called.

Python writes the source of five or six methods for each dataclass and compiles it. A run imports two hundred
dataclasses but calls few of their methods, so compiling them takes a fifth of the time of all imports.

`dataclasses` has no interface for this. Therefore, the function that compiles is replaced only for versions of Python
for which `tests/system/test_lazy_methods.py` compares the classes. For other versions, nothing changes.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_PROVEN = ((3, 11), (3, 12))
"""Versions of Python in which `dataclasses._create_fn` compiles each method."""
_COMPILER = "_create_fn"
_Function = Callable[..., Any]


@contextmanager
def methods_compiled_on_first_use(package: str) -> Iterator[None]:
    """Compile the methods of the dataclasses of a package that is imported in the `with` block when they are called.

    Until its first call, such a method states no parameters of its own (`inspect.signature`).

    Parameters
    ----------
    package : str
        Name of the package. The methods of other dataclasses are compiled at once.
    """
    original: _Function | None = getattr(dataclasses, _COMPILER, None)
    if sys.version_info[:2] not in _PROVEN or original is None:
        yield
        return
    setattr(dataclasses, _COMPILER, _later(original, f"{package}."))
    try:
        yield
    finally:
        setattr(dataclasses, _COMPILER, original)


def _later(compile_method: _Function, modules: str) -> _Function:
    """Return a substitute for a function that compiles a method from its source.

    Parameters
    ----------
    compile_method : callable
        The function. Its argument `globals` holds the names of the module of the class.
    modules : str
        Beginning of the names of the modules whose methods are compiled later.
    """

    def create(name: str, *source: Any, **names: Any) -> _Function:
        if not str((names.get("globals") or {}).get("__name__", "")).startswith(modules):
            at_once: _Function = compile_method(name, *source, **names)
            return at_once
        compiled: _Function | None = None

        def method(self: object, *arguments: Any, **named: Any) -> Any:
            nonlocal compiled
            if compiled is None:
                compiled = compile_method(name, *source, **names)
                compiled.__qualname__ = method.__qualname__
                for owner in type(self).__mro__:
                    if vars(owner).get(name) is method:
                        type.__setattr__(owner, name, compiled)
            return compiled(self, *arguments, **named)

        method.__name__ = name
        return method

    return create
