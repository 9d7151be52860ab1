"""Find the sources and the libraries that a module imports, so that digests change when code changes."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([\w. \t,]+))", re.MULTILINE
)


@cache
def source_files(*modules: str) -> tuple[Path, ...]:
    """Return the sources of some modules and of all that they import from their own packages, sorted.

    Import lines are read as text, so this costs milliseconds and imports nothing. Imports inside functions
    and imports for type checking count.

    Parameters
    ----------
    *modules : str
        Dotted names, such as `regionplot.render.renderer`. A plug-in of another package counts with the modules that
        it imports from that package.

    Examples
    --------
    >>> [path.name for path in source_files("regionplot.errors")]
    ['errors.py']
    """
    return tuple(sorted(path for path, _ in _scan(modules).values()))


@cache
def imported_libraries(*modules: str) -> tuple[str, ...]:
    """Return the packages that the sources of some modules import, apart from the modules' own, sorted.

    The standard library is left out.

    Examples
    --------
    >>> imported_libraries("regionplot.system.code")
    ()
    """
    own = {_top(module) for module in modules}
    found = {_top(name) for _, names in _scan(modules).values() for name in names}
    return tuple(sorted(found - own - sys.stdlib_module_names))


def library_version(name: str) -> str:
    """Return the version of the package that a program imports by a name; `-` if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # the distribution has another name, such as pillow for PIL
        pass
    try:
        return str(getattr(importlib.import_module(name), "__version__", "-"))
    except ImportError:
        return "-"


def _scan(modules: tuple[str, ...]) -> Mapping[str, tuple[Path, tuple[str, ...]]]:
    """Return the file of each module and the names that it imports, for modules and all they import."""
    packages = {_top(module): _folder_of(_top(module)) for module in modules}
    found: dict[str, tuple[Path, tuple[str, ...]]] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = None if module in found else _path_of(module, packages)
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
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parents[1 if spec.submodule_search_locations else 0]


def _path_of(module: str, packages: Mapping[str, Path | None]) -> Path | None:
    folder = packages.get(_top(module))
    if folder is None:
        return None
    path = folder.joinpath(*module.split("."))
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imported_by(path: Path, packages: Mapping[str, Path | None]) -> Iterator[str]:
    """Yield the modules that a file imports. `from a import b` imports `a.b` if that is a module, else `a`."""
    for source, names, modules in _IMPORT.findall(path.read_text(encoding="utf-8")):
        if modules:
            yield from (name.split(" as ")[0].strip() for name in modules.split(","))
            continue
        for name in filter(None, (name.split(" as ")[0].strip() for name in names.strip("()").split(","))):
            submodule = f"{source}.{name}"
            yield source if _path_of(submodule, packages) is None else submodule
