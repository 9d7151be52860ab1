"""Import and call the functions of the user, and compute a digest of their code.

::

    settings ─► check_functions: import, check the arguments ─► ConfigError
                 load_function ─► call_function(..., region) ─► result, or FunctionError with the user's line
                 functions_digest ─► digests of the maps
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import pickle
import signal
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from regionplot.errors import ConfigError, FunctionError, InputError, Place, Problem, RegionError, RegionplotError
from regionplot.settings.config import Config
from regionplot.settings.functions import UserFunction, innermost
from regionplot.shared.data import SharedData
from regionplot.shared.prints import PrintedLines
from regionplot.system.code import library_version, source_files
from regionplot.system.modules import ModuleNameTakenError, code_of, is_own_code, load_module, module_file
from regionplot.text import one_line

logger = logging.getLogger(__name__)
D = TypeVar("D", bound=Config | SharedData)
_PACKAGE = Path(__file__).parents[1]
_ARGUMENTS = {"draw": ("shared", "region"), "decorate": ("axes", "region", "shared"), "load": ("shared",)}
"""Arguments of each function."""


def with_functions(data: Config | SharedData, **functions: Callable[..., Any] | None) -> Config | SharedData:
    """Return settings or loaded data with functions of the user in `[map]`.

    Parameters
    ----------
    data : Config or SharedData
        Settings, or loaded data. They are not changed.
    **functions : callable or None
        Functions by key: `draw`, `decorate`, `load`. None keeps the function of the settings.

    Raises
    ------
    ConfigError
        If an argument is not a function, or draw and decorate are both given.
    """
    given = {key: function for key, function in functions.items() if function is not None}
    if not given:
        return data
    for key, function in given.items():
        if not callable(function):
            raise ConfigError(f"{key}: an object of type {type(function).__name__} is not a function; pass a function")
    if {"draw", "decorate"} <= given.keys():
        raise ConfigError("draw and decorate exclude each other; call one function from the other")
    other = {"draw": "decorate", "decorate": "draw"}
    cleared = {other[key]: None for key in given if key in other}
    update = {**cleared, **{key: UserFunction.of(function) for key, function in given.items()}}
    return _updated(data, update)


def _updated(data: D, update: Mapping[str, UserFunction | None]) -> D:
    """Return settings or loaded data with other functions, also for all products."""
    if isinstance(data, SharedData):
        products = {name: _updated(own, update) for name, own in data.products.items()}
        loaded: Any = replace(data, config=_updated(data.config, update), products=products)
        return cast(D, loaded)
    changed = data.model_copy(update={"map": data.map.model_copy(update=update)})
    return cast(D, changed.with_products({name: _updated(own, update) for name, own in data.products.items()}))


def function_problems(config: Config) -> Iterator[Problem]:
    """Yield a problem for each function that cannot be imported, or does not take the right arguments."""
    for key, function in config.map.functions.items():
        try:
            _check_arguments(key, function, load_function(function))
        except ConfigError as error:
            for problem in error.problems:
                yield replace(problem, place=problem.place.within(_place(key, function)))


def check_functions_pickle(config: Config, start_method: str) -> None:
    """Raise ConfigError if a function cannot be sent to workers that are not forked.

    Parameters
    ----------
    config : Config
        The settings.
    start_method : str
        `[run] start_method`, for the message.
    """
    for key, function in _all_functions(config):
        if not _can_be_sent(function):
            raise ConfigError(
                f"{key}: the function {function.name!r} cannot be sent to workers that start by {start_method!r}; "
                "define the function at the top of a module, or set start_method to fork, threads or serial in [run]"
            )


def can_be_sent(config: Config) -> bool:
    """Return True if all functions can be sent to workers that are not forked."""
    return all(_can_be_sent(function) for _, function in _all_functions(config))


def _all_functions(config: Config) -> Iterator[tuple[str, UserFunction]]:
    """Yield the key and the function, for all functions of the settings and of their products."""
    for own in (config, *config.products.values()):
        yield from own.map.functions.items()


def _can_be_sent(function: UserFunction) -> bool:
    """Return True if a function pickles, and a new process can import it: not from a notebook."""
    try:
        pickle.dumps(function)
    except Exception:
        return False
    module = None if function.function is None else innermost(function.function).__module__
    return module != "__main__" or hasattr(sys.modules["__main__"], "__file__")


def _place(key: str, function: UserFunction) -> Place:
    """Return the place of a function: its key in the settings, or the argument."""
    return Place(section="map" if function.function is None else "", key=key)


def load_function(function: UserFunction) -> Callable[..., Any]:
    """Import the module of a function, and return the function.

    Raises
    ------
    ConfigError
        If the module cannot be imported, or has no such function.
    """
    if function.function is not None:
        return function.function
    module, _, path = function.name.partition(":")
    loaded = _load_module(function, module)
    found: Any = loaded
    for name in path.split("."):
        found = getattr(found, name, None)
    if not callable(found):
        fault = (
            f"has no function {path!r}" if found is None else f"has no function {path!r}, but an object of this name"
        )
        raise ConfigError(f"{loaded.__file__ or module} {fault}; correct {function.name!r}, or define the function")
    return found  # type: ignore[no-any-return]


def _load_module(function: UserFunction, module: str) -> types.ModuleType:
    try:
        with PrintedLines(module):
            return load_module(module, function.folder)
    except (ModuleNameTakenError, OSError) as error:
        raise ConfigError(str(error)) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module}.".startswith(f"{missing}."):
            where = f"in {function.folder} or " if function.folder else ""
            raise ConfigError(
                f"there is no module {module!r} {where}on sys.path; put {module.replace('.', '/')}.py beside the "
                "settings file, or install its package"
            ) from None
        problem = problem_of(function, error)
        raise ConfigError(Problem(f"the module cannot be imported: {problem.message}", problem.place)) from None


def _check_arguments(key: str, function: UserFunction, loaded: Callable[..., Any]) -> None:
    names = _ARGUMENTS[key]
    try:
        signature = inspect.signature(loaded)
    except (ValueError, TypeError):  # a function in C
        return
    try:
        signature.bind(*names)
    except TypeError:
        raise ConfigError(
            f"the function {function.name!r} takes {signature}, but it is called as function({', '.join(names)}); "
            "change its arguments"
        ) from None


def call_function(key: str, function: UserFunction, loaded: Callable[..., Any], name: str, *arguments: Any) -> Any:
    """Call a function of the user for a region, and return its result.

    Text that the function prints is shown with the name of the region.

    Parameters
    ----------
    key : str
        `draw` or `decorate`, for messages.
    function : UserFunction
        The function.
    loaded : callable
        The function, from `load_function`.
    name : str
        Name of the region.
    *arguments
        Arguments of the function.

    Raises
    ------
    FunctionError
        If the function raises an error. The message has the file and the line in the user's code.
    RegionError
        If a method of `SharedData` raises it, for example because the region lies outside the raster.
    """
    try:
        with PrintedLines(name):
            return loaded(*arguments)
    except RegionError:
        raise
    except SystemExit as error:
        problem = problem_of(function, error)
        message = "the function ends the program (sys.exit); raise an error instead"
        raise FunctionError(Problem(message, problem.place.within(_place(key, function)))) from None
    except BaseException as error:  # a panic in a library in Rust is not an Exception
        if isinstance(error, KeyboardInterrupt) and callable(signal.getsignal(signal.SIGINT)):
            raise  # workers ignore Ctrl-C, so there the function itself has raised it
        problem = problem_of(function, error)
        raise FunctionError(replace(problem, place=problem.place.within(_place(key, function)))) from error


def load_extra(shared: SharedData) -> Any:
    """Call the function of `[map] load`, and return its result. Return None if there is no such function.

    Raises
    ------
    InputError
        If the function raises an error.
    """
    function = shared.config.map.load
    if function is None:
        return None
    try:
        return call_function("load", function, load_function(function), "load", shared)
    except RegionplotError as error:
        raise InputError(*error.problems) from error.__cause__


def problem_of(function: UserFunction, error: BaseException) -> Problem:
    """Return the line of the user's code that raised an error, and the message of the error."""
    file, line, text = _line_of(error, _is_code_of(function))
    if isinstance(error, RegionplotError):
        message = "; ".join(map(str, error.problems))
    else:
        message = ": ".join(filter(None, (type(error).__name__, str(error))))
    code = f", in the line {text!r}" if text else ""
    return Problem(f"{one_line(message)}{code}", Place(file=file, line=line))


def _line_of(error: BaseException, is_own: Callable[[str], bool]) -> tuple[str, int | None, str]:
    """Return the file, the number and the text of the innermost line in the user's own code."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno, (error.text or "").strip()
    frames = traceback.extract_tb(error.__traceback__)
    others = [
        frame for frame in frames if not is_own_code(frame.filename, _PACKAGE) and "<frozen" not in frame.filename
    ]
    found = [frame for frame in others if is_own(frame.filename)] or others
    return (found[-1].filename, found[-1].lineno, found[-1].line or "") if found else ("", None, "")


def _is_code_of(function: UserFunction) -> Callable[[str], bool]:
    """Return a function that says if a file belongs to the user's own code."""
    folder, file = function.folder, ""
    if function.function is not None:
        code = getattr(innermost(function.function), "__code__", None)
        file = code.co_filename if code else ""
        folder = Path(file).parent if os.path.isfile(file) else None  # noqa: PTH113 (a notebook has no valid path)
    return lambda path: path == file or (folder is not None and is_own_code(path, folder))


def function_files(config: Config) -> tuple[Path, ...]:
    """Return the source files of the functions in the settings, and `[map] files`. A watcher looks at these files.

    Files that cannot be read are left out.
    """
    settings = [own.map for own in (config, *config.products.values())]
    found: dict[Path, None] = dict.fromkeys(path for own in settings for path in own.files)
    for function in (function for own in settings for function in own.functions.values()):
        if function.folder is not None:
            with suppress(OSError):
                found |= dict.fromkeys(code_of(function.name.partition(":")[0], function.folder).files)
    return tuple(found)


def functions_digest(config: Config) -> bytes:
    """Return a digest of the functions of the user, of the modules that they import, and of `[map] files`.

    The modules are imported. If it is unknown what a function depends on, the digest is random, so that the maps are
    drawn again. This is the case for a function without a source file, a lambda, or a function inside another function.

    Raises
    ------
    InputError
        If a file cannot be read.
    ConfigError
        If a function cannot be imported.
    """
    total = hashlib.sha256()
    try:
        for key, function in config.map.functions.items():
            load_function(function)  # a module can change rcParams of matplotlib, which are part of the digest, too
            found = _digest_of(function)
            if found is None:
                logger.info("%s: it is unknown what %s depends on, so all maps are drawn", key, function.name)
            total.update(f"{key} {function.name}\n".encode() + (found or os.urandom(32)))
        for path in config.map.files:
            total.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return total.digest()


def _digest_of(function: UserFunction) -> bytes | None:
    """Return a digest of the code of a function. Return None if its source files are unknown."""
    total = hashlib.sha256()
    module, folder = function.name.partition(":")[0], function.folder
    if function.function is not None:
        state = _state_of(function.function)
        if state is None:
            return None
        total.update(state)
        module, folder = _source_of(innermost(function.function).__module__)
    elif folder is None or module_file(module.partition(".")[0], folder) is None:
        module, folder = _source_of(module)
    if folder is None:
        return None
    code = code_of(module, folder)
    own = source_files(_PACKAGE.name) if _PACKAGE.name in code.libraries else ()
    for path in (*code.files, *own):
        total.update(path.read_bytes())
    total.update(repr([(name, library_version(name)) for name in code.libraries]).encode())
    return total.digest()


def _state_of(function: Any) -> bytes | None:
    """Return bytes for a function object: its name, its compiled code, and the arguments of a partial object.

    Return None if the function does not pickle, such as a function that uses variables of another function.
    """
    try:
        state = pickle.dumps(function)
    except Exception:
        return None
    inner = innermost(function)
    items = list(_code_items(inner.__code__)) if isinstance(inner, types.FunctionType) else []
    return state + repr(items).encode(errors="surrogatepass")


def _code_items(code: types.CodeType) -> Iterator[Any]:
    """Yield what a compiled function does, without line numbers."""
    yield code.co_code, code.co_names, code.co_varnames
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            yield from _code_items(item)
        else:
            yield sorted(map(repr, item)) if isinstance(item, frozenset) else item


def _source_of(module: str) -> tuple[str, Path | None]:
    """Return the name of an imported module in its folder, and the folder. The folder is None if there is no file."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not Path(file).is_file():
        return module, None
    path = Path(file).absolute()
    if module == "__main__" or path.suffix != ".py":
        return path.stem, path.parent
    return module, path.parents[module.count(".") + (path.name == "__init__.py")]
