"""Find the source files that a module depends on, so that digests change when code changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGE = "regionplot"
_IMPORT = re.compile(
    rf"^\s*(?:from\s+({_PACKAGE}[\w.]*)\s+import\s+(\([^)]*\)|[^\n#]*)|import\s+({_PACKAGE}[\w.]*))", re.MULTILINE
)


@cache
def source_files(*modules: str) -> tuple[Path, ...]:
    """Return the sources of some modules and of all that they import from this package, sorted.

    Import lines are read as text, so this costs milliseconds and imports nothing. Imports inside functions
    and imports for type checking count.

    Parameters
    ----------
    *modules : str
        Dotted names, such as `regionplot.render.renderer`.

    Examples
    --------
    >>> [path.name for path in source_files("regionplot.errors")]
    ['errors.py']
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _path_of(module)
        if module not in found and path is not None:
            found[module] = path
            waiting += _imported_by(path)
    return tuple(sorted(found.values()))


def _path_of(module: str) -> Path | None:
    path = _ROOT.joinpath(*module.split("."))
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imported_by(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports; names that are no modules are yielded, too."""
    for source, names, module in _IMPORT.findall(path.read_text(encoding="utf-8")):
        if module:
            yield module
            continue
        yield source
        yield from (f"{source}.{name.split(' as ')[0].strip()}" for name in names.strip("()").split(","))
