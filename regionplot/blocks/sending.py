"""Test that the arguments of a run can be sent to worker processes, before anything starts."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any, Protocol

from regionplot.errors import UnpicklableError
from regionplot.executors.choose import executor_class
from regionplot.executors.main_guard import script_is_importable


class _Nothing:
    """File that keeps nothing."""

    def write(self, data: Any) -> int:
        """Return the size of the data."""
        return len(data)


class _Pickler(Protocol):
    def dump(self, obj: object, /) -> None: ...


class _NoScriptError(Exception):
    """A function or class is defined in a script that other processes cannot import."""


class _PlainPickler(pickle.Pickler):
    """Pickler that finds functions and classes of a script that other processes cannot import."""

    def reducer_override(self, obj: Any) -> Any:
        """Refuse functions and classes of such a script. Leave all other objects to pickle."""
        if isinstance(obj, FunctionType | type) and obj.__module__ == "__main__" and not script_is_importable():
            raise _NoScriptError
        return NotImplemented


def check_sendable(executor: str, **arguments: object) -> None:
    """Raise UnpicklableError if an argument cannot be sent to the workers of an executor.

    Arrays are not copied. Executors whose workers share the memory of this process need no pickling.

    Parameters
    ----------
    executor : str
        Name of the executor.
    **arguments
        The arguments, by name.
    """
    abilities = executor_class(executor).abilities
    if abilities.shares_memory:
        return
    pickler = _cloud_pickler() if abilities.distributed else _PlainPickler
    for name, value in arguments.items():
        try:
            _dump(pickler, value)
        except _NoScriptError:
            raise UnpicklableError(
                f"{_subject(pickler, name, value)} cannot be sent to processes started by {executor}, because its "
                "script is not a file; save the script as a file, or use executor='threads'"
            ) from None
        except Exception as error:
            problem = f"{_subject(pickler, name, value)} cannot be sent to processes started by {executor}"
            raise UnpicklableError(f"{problem}: {error}; {_cure(name)}") from error


def _cloud_pickler() -> Callable[..., _Pickler]:
    """Return the pickler of dask, which also pickles lambdas and functions of scripts."""
    import cloudpickle  # noqa: PLC0415 (an optional dependency)

    pickler: Callable[..., _Pickler] = cloudpickle.Pickler
    return pickler


def _dump(pickler: Callable[..., _Pickler], value: object) -> None:
    """Pickle a value. `buffer_callback` keeps the cells of arrays out of the stream."""
    pickler(_Nothing(), protocol=5, buffer_callback=lambda _: None).dump(value)


def _subject(pickler: Callable[..., _Pickler], name: str, value: object) -> str:
    if name != "function":
        return f"{name} {value!r:.80}"
    return next(
        (f"{part} of the function" for part in _parts(value) if _fails(pickler, getattr(value, part))), "the function"
    )


def _parts(value: object) -> list[str]:
    return [part.name for part in fields(value)] if is_dataclass(value) and not isinstance(value, type) else []


def _fails(pickler: Callable[..., _Pickler], value: object) -> bool:
    try:
        _dump(pickler, value)
    except Exception:
        return True
    return False


def _cure(name: str) -> str:
    if name == "function":
        return "define it at the top of a module, or use executor='threads'"
    return "pass only objects that pickle, or use executor='threads'"
