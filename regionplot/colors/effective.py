"""Replace names in `[colors]` by the keys of color files, of scales of the package, and of scales of fields.

::

    file = "temperature.cpt" ──► files ───────┐
    colormap = "nws:temperature" ► shipped ───┼─► levels, colors, stops, classes, units ... ─► choose, scales
    nothing: the field of the raster ► fields ┘
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from regionplot.colors.choose import coloring_of
from regionplot.colors.shipped import is_scale, scale_settings
from regionplot.colors.units import SAME, Conversion, conversion, unit_name
from regionplot.inputs.source import RasterInfo
from regionplot.settings.colors import ColorSettings
from regionplot.settings.config import Config

_VALUES = ("levels", "vmin", "vmax", "diverging", "ticks")
"""Keys that hold values in the units of the scale."""


def effective_config(config: Config, info: RasterInfo) -> Config:
    """Return settings whose `[colors]` name no file and no scale of the package.

    Keys of the user have priority over the keys of a scale. If nothing is replaced, the same object is returned.

    Parameters
    ----------
    config : Config
        The settings.
    info : RasterInfo
        Metadata of the raster.

    Raises
    ------
    ConfigError
        If the color file cannot be used, or the units cannot be converted.
    """
    own = config.colors
    found = _effective(config, info)
    return config if found is own else config.model_copy(update={"colors": found})


def _effective(config: Config, info: RasterInfo) -> ColorSettings:
    own = config.colors
    if own.file is not None:
        from regionplot.colors.files import read_color_file  # noqa: PLC0415 (most runs read no color file)

        return _with_keys(own, read_color_file(own.file, own))
    if own.colormap is not None and is_scale(own.colormap):
        if own.levels is not None and _has_stops(own.colormap):
            return _with_stops(own, own.colormap, info)
        return own if _has_limits(own) else _with_scale(own, own.colormap, info)
    if own.is_numeric_scale or not own.field or coloring_of(info, config.raster, own) is not None:
        return own
    from regionplot.colors.fields import field_scale  # noqa: PLC0415 (a run with levels needs no fields)

    name = field_scale(info)
    return own if name is None else _with_scale(own, name, info)


def _has_limits(own: ColorSettings) -> bool:
    """Return True if the user sets limits, so that only the colors of a scale are used."""
    return any(value is not None for value in (own.levels, own.vmin, own.vmax, own.norm, own.diverging))


def _has_stops(name: str) -> bool:
    """Return True if the colors of a scale of the package belong to values, such as blue to heights below 0."""
    return any("stops" in fragment for fragment in scale_settings(name).values())


def _with_stops(own: ColorSettings, name: str, info: RasterInfo) -> ColorSettings:
    """Return the user's levels with the stops of a scale, in the units of the levels."""
    units = own.units or str(info.description.get("units", "")) or None
    return _with_keys(own, {"colormap": None, **_scale_keys(name, units, units or "")})


def _with_scale(own: ColorSettings, name: str, info: RasterInfo) -> ColorSettings:
    units = str(info.description.get("units", ""))
    return _with_keys(own, {"colormap": None, **_scale_keys(name, own.units, units)})


def _with_keys(own: ColorSettings, keys: Mapping[str, Any]) -> ColorSettings:
    """Return the settings of the user, with further keys. Keys that the user has set are kept."""
    kept = own.model_fields_set - {"colormap", "file"}
    return own.model_copy(update={"file": None} | {key: value for key, value in keys.items() if key not in kept})


def _scale_keys(name: str, wanted: str | None, units: str) -> dict[str, Any]:
    """Return the keys of a scale, in the units that the user wants, or in its own units that suit the raster."""
    choices = scale_settings(name)
    default = next(iter(choices))
    chosen = unit_name(wanted or units)
    if chosen in choices:
        return _as_keys(choices[chosen], SAME, wanted or (chosen if conversion(units, chosen) else None))
    if wanted is not None:
        return _as_keys(choices[default], conversion(default, wanted) or SAME, wanted)
    return _as_keys(choices[default], SAME, default if default and conversion(units, default) else None)


def _as_keys(fragment: Mapping[str, Any], change: Conversion, units: str | None) -> dict[str, Any]:
    """Return keys of `[colors]`, with their values in other units."""
    keys = {key: tuple(value) if isinstance(value, list) else value for key, value in fragment.items()}
    for key in set(keys) & set(_VALUES):
        keys[key] = _changed(keys[key], change)
    if "stops" in keys:
        keys["stops"] = tuple((_changed(value, change), color) for value, color in keys["stops"])
    return keys | ({} if units is None else {"units": units})


def _changed(value: Any, change: Conversion) -> Any:
    shown = change.shown(np.asarray(value, dtype=float)).tolist()
    return tuple(shown) if isinstance(shown, list) else shown
