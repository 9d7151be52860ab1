"""Functions of the user: named in the settings as `module:function`, or passed as objects.

Checking the settings imports no module of the user. `shared.functions` imports and calls the functions.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"


@dataclass(frozen=True)
class UserFunction:
    """A function of the user."""

    name: str
    """`module:function`."""
    folder: Path | None = None
    """Folder in which the module is looked for first: the folder of the settings file."""
    function: Callable[..., Any] | None = None
    """The function, if it was passed as an object."""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> UserFunction:
        """Return a user function for a function object."""
        inner = innermost(function)
        return cls(f"{inner.__module__}:{inner.__qualname__}", None, function)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        """Return a text that is the same in each process."""
        return f"UserFunction({self.name!r})"


def innermost(function: Any) -> Any:
    """Return the function inside partial objects, methods and decorators. For other objects, return the class."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__func__"):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            return function if hasattr(function, "__qualname__") else type(function)


def parse_function(value: Any) -> UserFunction:
    """Return a user function for a value of the settings: text, a function object, or a user function.

    Raises
    ------
    ValueError
        If the value is not of this kind.
    """
    if callable(value):
        return UserFunction.of(value)
    found = UserFunction(value) if isinstance(value, str) else value
    if not isinstance(found, UserFunction):
        raise ValueError("must be the name of a function as 'module:function'")
    if found.function is None and not re.match(_PATTERN, found.name):
        raise ValueError("must name a function as 'module:function', such as 'plots:draw' for plots.py")
    return found


FunctionSetting = Annotated[
    UserFunction,
    PlainValidator(parse_function),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": _PATTERN}),
]
"""Name of a function of the user, `module:function`. The module is looked for beside the settings file and on
`sys.path`."""
