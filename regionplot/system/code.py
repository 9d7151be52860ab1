"""Find the source files and the libraries that a module imports, so that digests change when code changes."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

_IMPORT = re.compile(r"\n[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([\w. \t,]+))")
"""An import statement and the line break before it. `re` finds a line break much faster than `^`."""


@cache
def source_files(*modules: str) -> tuple[Path, ...]:
    """Return the sorted source files of some modules, and of the modules that they import from their own packages.

    Import statements are read as text. This takes milliseconds and imports no module. Imports inside functions and
    imports for type checking are included.

    Parameters
    ----------
    *modules : str
        Dotted names, such as `regionplot.render.renderer`. For a plug-in of another package, the result also contains
        the modules that the plug-in imports from that package.

    Examples
    --------
    >>> [path.name for path in source_files("regionplot.errors")]
    ['errors.py']
    """
    return tuple(sorted(path for path, _ in _scan(modules).values()))


@cache
def imported_libraries(*modules: str) -> tuple[str, ...]:
    """Return the sorted names of the other packages that some modules import. The standard library is left out.

    Imports are followed as in `source_files`.

    Examples
    --------
    >>> imported_libraries("regionplot.system.code")
    ()
    """
    own = {_top(module) for module in modules}
    found = {_top(name) for _, names in _scan(modules).values() for name in names}
    return tuple(sorted(found - own - sys.stdlib_module_names))


def library_version(name: str) -> str:
    """Return the version of the package with this import name; `-` if the package is not installed."""
    if version := _installed_versions(tuple(sys.path)).get(name.casefold()):
        return version
    from importlib import metadata  # noqa: PLC0415 (imports email; most versions are in the names of folders)

    with suppress(metadata.PackageNotFoundError):  # the distribution has another name, such as pillow for PIL
        return metadata.version(name)
    try:
        return str(getattr(importlib.import_module(name), "__version__", "-"))
    except ImportError:
        return "-"


@cache
def _installed_versions(folders: tuple[str, ...]) -> Mapping[str, str]:
    """Return the versions of the installed packages by name, with `_` for `-`.

    The names of the folders for metadata contain the versions. Reading the metadata of a package would take 0.5 ms.
    """
    found: dict[str, str] = {}
    for folder in folders:
        with suppress(OSError):
            for name in os.listdir(folder or "."):  # noqa: PTH208 (a folder may hold hundreds of packages)
                package, _, version = name.removesuffix(".dist-info").partition("-")
                if version and name.endswith(".dist-info"):
                    found.setdefault(package.casefold(), version)
    return found


@cache
def _scan(modules: tuple[str, ...]) -> Mapping[str, tuple[Path, tuple[str, ...]]]:
    """Return the file and the imported names of each module, for some modules and the modules that they import."""
    packages = {_top(module): _folder_of(_top(module)) for module in modules}
    found: dict[str, tuple[Path, tuple[str, ...]]] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = None if module in found else _path_of(module, packages.get(_top(module)))
        if path is not None:
            found[module] = path, tuple(_imported_by(path, packages))
            waiting += found[module][1]
    return found


def _top(module: str) -> str:
    return module.partition(".")[0]


def _folder_of(package: str) -> Path | None:
    """Return the folder that holds a package or a module; None if it has no file."""
    if package == _top(__name__):
        return Path(__file__).parents[2]
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a script, such as `__main__`
        return None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parents[1 if spec.submodule_search_locations else 0]


@cache
def _path_of(module: str, folder: Path | None) -> Path | None:
    """Return the source file of a module; None if a folder is missing or does not hold the module."""
    if folder is None:
        return None
    *parents, name = module.split(".")
    place = "/".join([str(folder), *parents])
    names = _names_in(place)
    if name in names and "__init__.py" in _names_in(f"{place}/{name}"):
        return Path(place, name, "__init__.py")
    return Path(place, f"{name}.py") if f"{name}.py" in names else None


@cache
def _names_in(folder: str) -> frozenset[str]:
    """Return the names of the files and folders in a folder. To list folders is faster than to look for 2,000 files."""
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return frozenset()


def _imported_by(path: Path, packages: Mapping[str, Path | None]) -> Iterator[str]:
    """Yield the modules that a file imports. `from a import b` imports `a.b` if `a.b` is a module, otherwise `a`."""
    for source, name in _import_statements(path):
        folder = packages.get(_top(source)) if name else None
        submodule = f"{source}.{name}"
        yield source if folder is None or _path_of(submodule, folder) is None else submodule


@cache
def _import_statements(path: Path) -> tuple[tuple[str, str], ...]:
    """Return the pairs (a, b) for each `from a import b` in a file, and (a, "") for each `import a`."""
    found: list[tuple[str, str]] = []
    for source, names, modules in _IMPORT.findall("\n" + path.read_bytes().decode()):
        if modules:
            parts = [name.split(" as ")[0].strip() for name in modules.split(",")]
            found += [(name, "") for name in parts if " " not in name]  # a line of text can begin with "import", too
        else:
            found += [(source, name.split(" as ")[0].strip()) for name in names.strip("()").split(",") if name.strip()]
    return tuple(found)
