"""Find the source files and the libraries that a module imports, so that digests change when code changes."""

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


@cache
def library_version(name: str) -> str:
    """Return the version of the package with this import name; `-` if the package is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # the distribution has another name, such as pillow for PIL
        pass
    try:
        return str(getattr(importlib.import_module(name), "__version__", "-"))
    except ImportError:
        return "-"


def _scan(modules: tuple[str, ...]) -> Mapping[str, tuple[Path, tuple[str, ...]]]:
    """Return the file and the imported names of each module, for some modules and the modules that they import."""
    packages = frozenset(map(_top, modules))
    found: dict[str, tuple[Path, tuple[str, ...]]] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = None if module in found else _path_of(module, packages)
        if path is not None:
            found[module] = path, _imported_by(path, packages)
            waiting += found[module][1]
    return found


def _top(module: str) -> str:
    return module.partition(".")[0]


@cache
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
def _path_of(module: str, packages: frozenset[str]) -> Path | None:
    folder = _folder_of(_top(module)) if _top(module) in packages else None
    if folder is None:
        return None
    path = folder.joinpath(*module.split("."))
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@cache
def _imported_by(path: Path, packages: frozenset[str]) -> tuple[str, ...]:
    """Return the modules that a file imports. The result is cached, so a watcher reads a file once for all runs."""
    return tuple(_imports(path, packages))


def _imports(path: Path, packages: frozenset[str]) -> Iterator[str]:
    """Yield the modules that a file imports. `from a import b` imports `a.b` if `a.b` is a module, otherwise `a`."""
    for source, names, modules in _IMPORT.findall(path.read_text(encoding="utf-8")):
        if modules:
            yield from (name.split(" as ")[0].strip() for name in modules.split(","))
            continue
        for name in filter(None, (name.split(" as ")[0].strip() for name in names.strip("()").split(","))):
            submodule = f"{source}.{name}"
            yield source if _path_of(submodule, packages) is None else submodule
