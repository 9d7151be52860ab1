"""Hash the code that draws the maps of a run: its source files, the versions of the libraries that it imports, fonts.

The source files and libraries are found automatically. Digests of maps and the keys of kept ink contain this hash.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pyproj
import shapely

from regionplot.errors import InputError
from regionplot.inputs.gdal import gdal_version
from regionplot.shared.data import SharedData
from regionplot.system.cache import ArrayCache
from regionplot.system.code_records import code_records, known_file, known_sources
from regionplot.writers.base import make_writer

_RENDERER = "regionplot.render.renderer"
_CHOICE = "regionplot.render.choose"
"""Module that imports the renderers for functions of the user."""
_FREETYPE = b"libfreetype"
"""Part of the file name of FreeType's library. The module contains this name if it loads FreeType from a separate
file."""


def code_modules(data: SharedData) -> tuple[str, ...]:
    """Return the modules that draw the maps: the renderer, and the plug-ins, which the renderer does not import."""
    plugins = [make_writer(data.config.output), data.source, *data.layers]
    renderers = {_RENDERER, _CHOICE} if data.config.map.functions else {_RENDERER}
    return tuple(sorted({*renderers, *(type(plugin).__module__ for plugin in plugins)}))


def code_digest(data: SharedData) -> bytes:
    """Return a digest of the source files that draw the maps, and of the versions of their libraries.

    Raises
    ------
    InputError
        If a source file cannot be read.
    """
    gdal = data.plan.opened.gdal if data.plan.opened else ""
    return digest_of_modules(code_modules(data), code_records() if data.config.run.cache else None, gdal)


@cache
def digest_of_modules(modules: tuple[str, ...], records: ArrayCache | None, gdal: str = "") -> bytes:
    """Return a digest of the source files of modules, and of the versions of their libraries.

    Files are read once per process, because a process keeps the code that it has imported.

    Parameters
    ----------
    modules : tuple of str
        Names of modules.
    records : ArrayCache or None
        Cache of what is known about source files. See `code_records`.
    gdal : str
        Version of GDAL, if this process may not have loaded GDAL.

    Raises
    ------
    InputError
        If a source file cannot be read.
    """
    with _code_errors():
        sources = known_sources(modules, records)
        total = hashlib.sha256(json.dumps([*sources.versions(), *_c_libraries(gdal, records)]).encode())
        total.update(sources.digest)
    return total.digest()


@contextmanager
def _code_errors() -> Iterator[None]:
    """Raise InputError if a source file cannot be read, for example because too many files are open."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _c_libraries(gdal: str, records: ArrayCache | None) -> list[str]:
    """Return the versions of the C libraries."""
    if not gdal or "rasterio" in sys.modules:
        gdal = gdal_version()
    return [pyproj.proj_version_str, shapely.geos_version_string, gdal, *_freetype(records)]


def _freetype(records: ArrayCache | None) -> Iterator[str]:
    """Yield texts that change with the FreeType that matplotlib uses, without importing matplotlib.

    Usually, matplotlib's module `ft2font` contains FreeType. Otherwise, the module is imported, and FreeType is asked
    for its version.
    """
    spec = importlib.util.find_spec("matplotlib")
    folder = Path((spec and spec.origin) or "").parent
    for path in sorted([*folder.glob("ft2font.*.so"), *folder.glob("ft2font.*.pyd")]):
        file = known_file(path, _FREETYPE, records)
        yield file.digest
        if file.has_word:
            yield _freetype_version()


def _freetype_version() -> Any:
    from matplotlib import ft2font  # noqa: PLC0415 (only if matplotlib is linked with a library of the system)

    return ft2font.__freetype_version__


def font_files(text: str) -> list[tuple[str, int]]:
    """Return the file and the file size of each font that a text needs in addition to the default font."""
    if text.isascii():
        return []
    from regionplot.render.fonts import FALLBACKS  # noqa: PLC0415 (imports matplotlib)

    return FALLBACKS.files(text)
