"""Import a module of the user by name, from a folder or from `sys.path`, and find what the module imports.

::

    folder/plots.py ─► load_module ─► module
          └─► imports, read as text ─► code_files: its own source files, and the names of libraries
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

_MARK = "__settings_folder__"
"""Attribute of a module that `load_module` has imported from a folder: the folder, and a digest of the source files."""
_LIBRARY_FOLDERS = frozenset({"site-packages", "dist-packages"})


class ModuleNameTakenError(ImportError):
    """The name of a module in a folder is the name of another module that this process has already imported."""


def load_module(name: str, folder: Path | None) -> ModuleType:
    """Import a module. A module in the folder is preferred to other modules of the same name.

    If a source file of the module has changed since it was imported, the modules of the folder are imported again.

    Parameters
    ----------
    name : str
        Dotted name of the module.
    folder : Path or None
        Folder to search first. The folder becomes the last entry of `sys.path`. The module can then import other
        modules of the folder, but these modules cannot replace installed packages.

    Raises
    ------
    ModuleNameTakenError
        If the folder holds the module, but another module of this name is already imported.
    Exception
        Any error that the module raises.
    """
    top = name.partition(".")[0]
    if folder is None or module_file(top, folder) is None:
        _append_to_path(folder)
        return importlib.import_module(name)
    mark = str(folder), source_digest(name, folder)
    _forget_outdated(mark)
    loaded = sys.modules.get(top)
    if loaded is not None and not is_own_code(getattr(loaded, "__file__", None) or "", folder):
        raise ModuleNameTakenError(f"{module_file(top, folder)} has the name of another module; rename the file")
    is_new = loaded is None
    with _first_on_path(folder):
        module = importlib.import_module(name)
    if is_new:
        vars(sys.modules[top])[_MARK] = mark
    return module


def _append_to_path(folder: Path | None) -> None:
    if folder is not None and str(folder) not in sys.path:
        sys.path.append(str(folder))


@contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """Make a folder the first entry of `sys.path`, and the last entry afterwards. Write no bytecode.

    Python would use the bytecode of an older source file that has the same size and the same second of change.
    """
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_none
        sys.path.remove(str(folder))
        _append_to_path(folder)


def _forget_outdated(mark: tuple[str, str]) -> None:
    """Remove modules that have changed, and modules from the folders of other settings that may have the same name."""
    marks = {vars(module)[_MARK] for module in list(sys.modules.values()) if _MARK in vars(module)}
    for folder, _ in marks - {mark}:
        if folder in sys.path:
            sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and is_own_code(file, Path(folder)):
                del sys.modules[name]


def source_digest(module: str, folder: Path) -> str:
    """Return a digest of the source files that a module imports.

    Raises
    ------
    OSError
        If a source file cannot be read.
    """
    total = hashlib.sha256()
    for path in code_of(module, folder).files:
        total.update(f"{path}\n".encode(errors="surrogateescape") + path.read_bytes())
    return total.hexdigest()


def is_own_code(file: str, folder: Path) -> bool:
    """Return True if a file lies in a folder, and not in a folder of installed packages below it."""
    try:
        inside = Path(os.path.abspath(file)).relative_to(os.path.abspath(folder))  # noqa: PTH100 (keeps links)
    except ValueError:
        return False
    return _LIBRARY_FOLDERS.isdisjoint(inside.parts)


def module_file(name: str, folder: Path) -> Path | None:
    """Return the source file of a module in a folder, or None."""
    start = folder.joinpath(*name.split("."))
    candidates = (start / "__init__.py", start.parent / f"{start.name}.py")
    return next((path for path in candidates if path.is_file()), None)


@dataclass(frozen=True)
class Code:
    """The code that a function of the user can run."""

    files: tuple[Path, ...]
    """Source files outside of installed packages, sorted."""
    libraries: tuple[str, ...]
    """Import names of installed packages, sorted. The standard library is left out."""


def code_of(module: str, folder: Path) -> Code:
    """Return the code that a module imports, directly and indirectly. No module is imported.

    Import statements inside functions are included. Imports by name, such as `importlib.import_module`, are not found.

    Parameters
    ----------
    module : str
        Dotted name of the module.
    folder : Path
        Folder that holds the module.

    Raises
    ------
    OSError
        If a source file cannot be read.
    """
    own = module.partition(".")[0]
    files: dict[Path, None] = {}
    libraries: set[str] = set()
    waiting = [(module, folder)]
    while waiting:
        name, home = waiting.pop()
        for path in _files_of(name, home):
            if path not in files:
                files[path] = None
                for imported in _imports(path, home):
                    place = _place_of(imported, home, own)
                    if place is not None:
                        waiting.append((imported, place))
                    elif (top := imported.partition(".")[0]) not in sys.stdlib_module_names:
                        libraries.add(top)
    return Code(tuple(sorted(files)), tuple(sorted(libraries)))


def _files_of(name: str, folder: Path) -> Iterator[Path]:
    """Yield the files that are run when a module is imported: the packages that contain it, and the module."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        path = module_file(".".join(parts[:count]), folder)
        if path is not None:
            yield path


def _holds_libraries(folder: Path) -> bool:
    return not _LIBRARY_FOLDERS.isdisjoint(folder.parts)


def _place_of(name: str, folder: Path, own: str) -> Path | None:
    """Return the folder that holds a module which is not installed. Return None for installed packages.

    Parameters
    ----------
    name : str
        Name of the module.
    folder : Path
        Folder of the module that imports it.
    own : str
        Package of the function. Its modules count as own code, even if the package is installed.
    """
    top = name.partition(".")[0]
    if module_file(top, folder) is not None and (top == own or not _holds_libraries(folder)):
        return folder
    try:
        spec = importlib.util.find_spec(top)
    except (ValueError, ImportError):
        return None
    if spec is None or spec.origin is None or top in sys.stdlib_module_names or top == __name__.partition(".")[0]:
        return None
    home = Path(spec.origin).parents[1 if spec.submodule_search_locations else 0]
    return None if _holds_libraries(home) or module_file(top, home) is None else home


def _imports(path: Path, folder: Path) -> Iterator[str]:
    """Yield the modules that a file imports. `from a import b` yields both `a` and `a.b`."""
    package = path.relative_to(folder).parent.parts
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # the import reports the error
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*start, *([node.module] if node.module else [])])
            if source:
                yield source
            yield from (".".join(filter(None, (source, alias.name))) for alias in node.names)
