"""Derive the rasterio profile of an output from its inputs."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from regionplot.blocks.sources import Labels
from regionplot.errors import RasterError
from regionplot.geo.dtypes import fits_dtype

_LABELS = ("descriptions", "units", "scales", "offsets", "band_tags", "tags")

_LABEL_TYPES: dict[str, Any] = {
    "descriptions": str | None,
    "units": str | None,
    "scales": numbers.Real,
    "offsets": numbers.Real,
    "band_tags": Mapping,
}
_LABEL_KINDS = {
    "descriptions": "a text",
    "units": "a text",
    "scales": "a number",
    "offsets": "a number",
    "band_tags": "a mapping",
}
_NONE_IS_A_VALUE = ("nodata", "crs", "dtype", "transform", "count", "height", "width", *_LABELS)
"""Keys for which None is a value. Other keys are left out with None, such as `compress`."""


def derive_profile(
    function: object, first: Mapping[str, Any], labels: Labels, given: Mapping[str, Any] | None
) -> tuple[dict[str, Any], Labels | None]:
    """Return the profile and the labels of an output.

    The function changes the profile of the first input. The caller's changes are then applied to profile and labels.

    Parameters
    ----------
    function : object
        Function over blocks. Its method `profile`, if there is one, gets the profile of the first input and returns the
        profile of the output.
    first : mapping
        Profile of the first input.
    labels : Labels
        Labels of the first input. They are kept if the output has the same number of bands.
    given : mapping, optional
        Changes by the caller: keys of rasterio, and `descriptions`, `units`, `scales`, `offsets`, `tags` and
        `band_tags`.

    Raises
    ------
    RasterError
        If the data type does not exist.
    TypeError, ValueError
        If the profile of the function is not a whole profile, or labels do not fit the number of bands.
    """
    derive = getattr(function, "profile", None)
    derived = _declared(derive(dict(first))) if callable(derive) else dict(first)
    changed = {**derived, **(given or {})}
    profile = {name: value for name, value in changed.items() if value is not None or name in _NONE_IS_A_VALUE}
    requested = {name: profile.pop(name) for name in _LABELS if name in profile}
    if profile["dtype"] == "complex_int16":
        raise RasterError("the output cannot have the data type 'complex_int16', which GDAL rounds; use 'complex64'")
    try:
        profile["dtype"] = np.dtype(profile["dtype"]).name  # rasterio does not know names such as "f4"
    except TypeError as error:
        raise RasterError(f"the output cannot have the data type {profile['dtype']!r}: {error}") from None
    if "predictor" in profile and "predictor" not in (given or {}) and profile["dtype"] != first["dtype"]:
        profile["predictor"] = 3 if np.dtype(profile["dtype"]).kind == "f" else 2
    nodata = profile.get("nodata")
    if "nodata" not in (given or {}) and nodata is not None and not fits_dtype(np.dtype(profile["dtype"]), nodata):
        profile["nodata"] = None
    return profile, _labels(profile["count"], labels, requested)


def _declared(profile: Any) -> dict[str, Any]:
    """Return the profile that a function declares. Raise TypeError or ValueError if it is not a whole profile."""
    if not isinstance(profile, Mapping):
        raise TypeError(f"the method profile of the function must return a profile, not {profile!r}")
    missing = [name for name in ("dtype", "count", "height", "width", "transform", "crs") if name not in profile]
    if missing:
        raise ValueError(
            f"the profile that the function declares lacks {', '.join(missing)}; change a copy of its argument"
        )
    return dict(profile)


def _labels(count: int, first: Labels, requested: Mapping[str, Any]) -> Labels:
    _check_labels(count, requested)
    same = count == len(first.descriptions)
    kept = first if same else Labels((None,) * count, (None,) * count, (1.0,) * count, (0.0,) * count, first.tags)
    values: dict[str, Any] = {name: tuple(requested.get(name, getattr(kept, name))) for name in _LABELS[:-1]}
    return Labels(**values, tags={**kept.tags, **requested.get("tags", {})})


def _check_labels(count: int, requested: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError if labels are not one value per band, or tags are not a mapping."""
    for name, value in requested.items():
        if name == "tags":
            if not isinstance(value, Mapping):
                raise TypeError(f"tags in profile must be a mapping of names and texts, not {value!r}")
            continue
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise TypeError(f"{name} in profile must be a sequence with one value per band, not {value!r}")
        listed = list(value)
        if len(listed) != count and not (name == "band_tags" and not listed):
            raise ValueError(f"{name} in profile has {len(listed)} value(s), but the output has {count} band(s)")
        wrong = [item for item in listed if not isinstance(item, _LABEL_TYPES[name])]
        if wrong:
            raise TypeError(f"{name} in profile has the value {wrong[0]!r}, which is not {_LABEL_KINDS[name]}")
