"""Parse CRS definitions from tables and data files, which must not name other files.

PROJ opens the files that a CRS definition names: grids of datum shifts, init files and the steps of a pipeline.
Therefore, a table can only name a CRS by its code. All names of files are removed from the
definition in a data file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pyproj

from regionplot.errors import ConfigError
from regionplot.geo.crs import is_drawable, shortened

_MAX_LENGTH = 100_000
"""Maximum length of a definition, in characters. Definitions in practice have less than 10,000 characters."""
_MAX_DEPTH = 32
"""Maximum number of nested brackets. Definitions in practice nest about 10 brackets."""
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}:[A-Za-z0-9_]{1,31}", re.ASCII)
_QUOTED = r'"(?:[^"]|"")*"'
_PROJ_NODE = re.compile(
    rf'(,\s*)?\b(EXTENSION\s*[\[(]\s*"PROJ4"\s*,|REMARK\s*[\[(])\s*({_QUOTED})\s*[\])]', re.IGNORECASE
)
"""A WKT node that can hold a PROJ string."""
_PROJ_STRING = re.compile(r"\b(proj|init|type)\s*=|^\s*\+", re.IGNORECASE)
_NULL_GRID = re.compile(r"nadgrids\s*=\s*@?null\b", re.IGNORECASE)
_UNSAFE_WORDS = re.compile(r"grid|init|file|model|catalog|pipeline|step|[/\\~]", re.IGNORECASE)
"""Words in PROJ strings that name files or chain operations (https://proj.org/en/stable/operations/index.html)."""


def is_code(text: str) -> bool:
    """Return True for a text that has the form of a code, such as `EPSG:5070`."""
    return _CODE.fullmatch(text) is not None


def parse_code(text: str) -> pyproj.CRS:
    """Return the CRS for a code such as `EPSG:5070` or `OGC:CRS84`, the only form that a table may contain.

    Raises
    ------
    ConfigError
        If the text is not a code, or PROJ does not know the code.
    """
    if not _CODE.fullmatch(text):
        raise ConfigError(f"{shortened(text)} is not the code of a CRS; write AUTHORITY:CODE, such as EPSG:5070")
    return _parsed(text, text)


@lru_cache(maxsize=64)
def parse_file_crs(text: str) -> pyproj.CRS:
    """Return the CRS for a definition in a data file, without names of files.

    The definition is a code, WKT, PROJJSON or a PROJ string. Names of grids are removed. PROJ strings in WKT that name
    files are also removed. Shifts of the datum by numbers are kept.

    Raises
    ------
    ConfigError
        If the definition is too long or too deeply nested, if PROJ does not know the CRS, or if its projection cannot
        be used without the removed names.
    """
    if _CODE.fullmatch(text):
        return _parsed(text, text)
    if problem := _size_problem(text):
        raise ConfigError(f"its CRS {problem}; correct the file")
    if "[" not in text and "(" not in text and not _is_safe(text):
        raise ConfigError(f"its CRS {shortened(text)} names a file or a pipeline; use a code such as EPSG:5070")
    crs = _parsed(_without_proj_strings(text), text)
    definition = crs.to_json_dict()
    cleaned = _without_files(definition)
    for method in _methods(cleaned):
        if method.startswith("PROJ") and _UNSAFE_WORDS.search(method):
            raise ConfigError(f"its CRS {shortened(crs.name)} uses {shortened(method)}, which is not allowed in a file")
    return crs if cleaned == definition else pyproj.CRS.from_json_dict(cleaned)


def drawable_crs(text: str) -> pyproj.CRS:
    """Return the CRS for a definition in a data file that is drawn on a map. See `parse_file_crs`.

    Raises
    ------
    ConfigError
        If the definition cannot be used, or the CRS is neither geographic nor projected.
    """
    crs = parse_file_crs(text)
    if not is_drawable(crs):
        raise ConfigError(
            f"its CRS {shortened(crs.name)} ({crs.type_name}) has no relation to the earth; correct the file"
        )
    return crs


def _parsed(text: str, original: str) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(text)
    except (pyproj.exceptions.CRSError, ValueError, RecursionError, UnicodeError):
        raise ConfigError(f"{shortened(original)} is not a CRS that PROJ knows; use a code such as EPSG:5070") from None


def _size_problem(text: str) -> str:
    """Return the problem of a definition that is too long or nested too deeply, or an empty string."""
    if len(text) > _MAX_LENGTH:
        return f"has {len(text):,} characters, more than {_MAX_LENGTH:,}"
    depth = 0
    for bracket in re.findall(r"[\[(\])]", re.sub(_QUOTED, "", text)):
        depth += 1 if bracket in "[(" else -1
        if depth > _MAX_DEPTH:
            return f"nests more than {_MAX_DEPTH} brackets"
    return ""


def _without_proj_strings(wkt: str) -> str:
    """Return WKT without the PROJ strings that name files or chain operations."""
    return _PROJ_NODE.sub(lambda node: node[0] if _is_safe(node[3]) else "", wkt)


def _is_safe(text: str) -> bool:
    """Return True for a text that is not a PROJ string, and for a PROJ string that names no files."""
    return not _PROJ_STRING.search(text.strip('"')) or not _UNSAFE_WORDS.search(_NULL_GRID.sub("", text))


def _without_files(node: Any) -> Any:
    """Return a copy of PROJJSON without datum shifts that need a file, and without names of geoid models."""
    if isinstance(node, list):
        return [_without_files(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "BoundCRS" and any(map(_is_file, node["transformation"].get("parameters", ()))):
        return _without_files(node["source_crs"])
    return {key: _without_files(value) for key, value in node.items() if key not in ("geoid_model", "geoid_models")}


def _is_file(parameter: dict[str, Any]) -> bool:
    """Return True for a parameter that is a text, except for the name of the empty grid."""
    value = parameter.get("value")
    return isinstance(value, str) and value not in ("null", "@null")


def _methods(node: Any) -> Iterator[str]:
    """Yield the names of the methods of all conversions. A method with a parameter that names a file is `PROJ file`."""
    if isinstance(node, list):
        for item in node:
            yield from _methods(item)
    elif isinstance(node, dict):
        conversion = node.get("conversion")
        if isinstance(conversion, dict):
            has_files = any(map(_is_file, conversion.get("parameters", ())))
            yield "PROJ file" if has_files else str(conversion.get("method", {}).get("name", ""))
        for value in node.values():
            yield from _methods(value)
