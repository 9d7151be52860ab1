"""Load the compiled modules of matplotlib that draw and render letters, without the rest of matplotlib.

Importing `matplotlib.backends.backend_agg` takes 0.17 s of CPU time. The two compiled modules take 0.01 s. They are not
a documented interface. Therefore, only versions of matplotlib are used for which tests prove that the pixels are equal.
For other versions, maps are drawn with matplotlib's documented interfaces.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from regionplot.system.code import library_version

_PROVEN = ("3.11.",)
"""Beginnings of the versions for which `tests/render/test_bare_canvas.py` compares the pixels."""
_PACKAGE = "matplotlib"
_AGG, _FREETYPE = f"{_PACKAGE}.backends._backend_agg", f"{_PACKAGE}.ft2font"
_FONT = Path("mpl-data", "fonts", "ttf", "DejaVuSans.ttf")


class CompiledModules(NamedTuple):
    """The compiled modules of matplotlib, and its default font."""

    agg: ModuleType
    freetype: ModuleType
    font: bytes
    """Content of the font file."""


def compiled_modules() -> CompiledModules | None:
    """Return the compiled modules. Return None if matplotlib is imported anyway, or if its version is not proven."""
    return None if _PACKAGE in sys.modules else _load()


def imported_modules() -> CompiledModules | None:
    """Return the compiled modules of an imported matplotlib. Return None if its version is not proven."""
    agg, freetype = (sys.modules.get(name) for name in (_AGG, _FREETYPE))
    if agg is None or freetype is None or not library_version(_PACKAGE).startswith(_PROVEN):
        return None
    return CompiledModules(agg, freetype, _font())


@cache
def _font() -> bytes:
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None and spec.origin is not None, "matplotlib is imported"  # noqa: PT018
    return (Path(spec.origin).parent / _FONT).read_bytes()


@cache
def _load() -> CompiledModules | None:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None or not library_version(_PACKAGE).startswith(_PROVEN):
        return None
    folder = Path(spec.origin).parent
    try:
        font = (folder / _FONT).read_bytes()
        sys.meta_path.insert(0, _AttributeFinder())
        return CompiledModules(_module(_AGG, folder / "backends"), _module(_FREETYPE, folder), font)
    except (OSError, ImportError):
        return None


def _module(name: str, folder: Path) -> ModuleType:
    """Load a compiled module under its own name, because a second initialization by a later import would fail."""
    files = (folder / f"{name.rpartition('.')[2]}{suffix}" for suffix in EXTENSION_SUFFIXES)
    path = next((file for file in files if file.exists()), None)
    spec = None if path is None else importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder}: there is no module {name}")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class _AttributeFinder(MetaPathFinder):
    """Give the package matplotlib its attribute `ft2font`, if the package is imported after the compiled module.

    Python sets such an attribute only when it loads a module after its package.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the package, whose loader then also sets the attribute."""
        if fullname != _PACKAGE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        loader = None if spec is None else spec.loader
        if loader is not None:
            execute = loader.exec_module

            def execute_with_attribute(module: ModuleType) -> None:
                if _FREETYPE in sys.modules:
                    module.ft2font = sys.modules[_FREETYPE]  # type: ignore[attr-defined]
                execute(module)

            loader.exec_module = execute_with_attribute  # type: ignore[method-assign]
        return spec
