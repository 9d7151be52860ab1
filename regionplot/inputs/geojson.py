"""Check a GeoJSON file before GDAL opens it: its `crs` member can be a link or an unknown name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from regionplot.errors import FeaturesError
from regionplot.geo.crs_paths import path_in_crs
from regionplot.inputs.crs_texts import refuse_reference

_MAYBE_CRS = re.compile(rb"crs|\\u00[4-7]", re.IGNORECASE)
"""Pattern that occurs in each GeoJSON with a `crs` member: the text `crs`, or an escaped ASCII letter."""
_OVERLAP = 8
"""Overlap of two consecutive parts of a file in bytes. With the overlap, each match lies within one part."""
_PART = 2**24
_CRS_KEYS = frozenset({"crs", "type", "properties", "name", "code"})
"""Keys of a `crs` member, of the object that holds it, and of its `properties`."""
_DEFINITIONS = ("name", "crs", "code", "wkt", "definition")
"""Keys whose value can be the definition of a CRS."""
_LINK = object()
"""Placeholder for a JSON object that is a link."""


def crs_member(path: Path) -> str | None:
    """Return the text of the `crs` member of a GeoJSON, or None if there is no such member.

    The file is parsed only if it may have a `crs` member. Without a `crs` member, coordinates are longitudes and
    latitudes on WGS 84 (RFC 7946, section 4).

    Raises
    ------
    FeaturesError
        If the file is not valid JSON, or its `crs` member is a link or names a file, because GDAL would open it.
    """
    if not _may_have_crs(path):
        return None
    try:
        parsed = json.loads(path.read_bytes(), object_pairs_hook=lambda pairs: _without_data(path, pairs))
    except (ValueError, RecursionError) as error:
        raise FeaturesError(f"{path}: cannot be read as vector data: not valid JSON: {error}") from None
    found = parsed.get("crs") if isinstance(parsed, dict) else None
    return None if found is None else json.dumps(found)


def _may_have_crs(path: Path) -> bool:
    """Return True if a file contains text that may be a `crs` member. Read the file in parts."""
    with path.open("rb") as file:
        rest = b""
        while part := file.read(_PART):
            if _MAYBE_CRS.search(rest + part):
                return True
            rest = part[-_OVERLAP:]
    return False


def _without_data(path: Path, pairs: list[tuple[str, Any]]) -> Any:
    """Return the parts of a JSON object that can belong to a `crs` member, or `_LINK` if the object is a link.

    Refuse a `crs` member that is a link. Other parts are dropped, so parsing a large file needs little additional
    memory. All pairs are checked, because a key can be repeated.
    """
    for key, value in pairs:
        if isinstance(value, str) and key.casefold() in _DEFINITIONS:
            refuse_reference(path, path_in_crs(value))
    if any(key.casefold() == "crs" and value is _LINK for key, value in pairs):
        raise FeaturesError(f"{path}: its CRS is a link, which is not followed; give the CRS by name")
    if any(key.casefold() == "type" and str(value).casefold() in ("link", "url") for key, value in pairs):
        return _LINK
    kept = {key: value for key, value in pairs if key in _CRS_KEYS and isinstance(value, str | dict | int)}
    return kept or None
