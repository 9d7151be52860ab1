"""Choose how a raster is drawn: as numbers, as classes, or in true color.

::

    color table, class names, RGB bands (RasterInfo) ─┐
                                                      ├─► Classes | RgbBands | None (numbers)
    [colors], [raster] band, resampling ──────────────┘
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from regionplot.colors.classes import Classes, ValueClass
from regionplot.colors.classifier import Classifier, LevelClassifier, ValueClassifier
from regionplot.colors.units import needed_conversion
from regionplot.errors import ConfigError
from regionplot.inputs.color_tables import RgbBands
from regionplot.inputs.source import RasterInfo
from regionplot.settings.colors import ClassSettings, ColorSettings
from regionplot.settings.raster import RasterSettings
from regionplot.text import plain_text

Coloring = Classes | RgbBands | None
"""How a raster is drawn: as classes, in true color, or as numbers (None)."""
_KEEPS_CLASSES = ("nearest", "mode", "max")
"""Resampling methods that produce no new values."""
_FILLER = 4
"""If at least this many entries of a color table share the most common color, these entries are padding, not
classes.
"""
_MAX_LEGEND = 64
"""Maximum number of classes in a legend. A raster with more classes is probably an image with a color table."""


def coloring_of(info: RasterInfo, raster: RasterSettings, colors: ColorSettings) -> Coloring:
    """Choose how a raster is drawn.

    Parameters
    ----------
    info : RasterInfo
        Metadata of the raster.
    raster, colors : RasterSettings, ColorSettings
        Settings of the user.

    Returns
    -------
    Classes, RgbBands or None
        None if the raster is drawn as numbers.

    Raises
    ------
    ConfigError
        If the raster holds classes and the settings do not suit classes.
    """
    if colors.is_numeric_scale:
        return None
    if info.color_table or colors.classes:
        if problem := resampling_problem(raster, f"{raster.path} holds classes"):
            raise ConfigError(problem)
        return _classes(info, colors.classes or ())
    if info.has_bit_flags:
        raise ConfigError(
            f"{info.path}: each bit of the values is a flag (flag_masks), so the values are neither numbers nor "
            "classes; extract a flag with a [[prepare]] step, or draw the numbers with [colors] colormap"
        )
    return info.rgb if raster.band is None else None


def classifier_of(coloring: Coloring, colors: ColorSettings, units: str = "") -> Classifier | None:
    """Return the classifier of a raster. Return None if its scale is continuous or true color.

    Parameters
    ----------
    coloring : Classes, RgbBands or None
        How the raster is drawn.
    colors : ColorSettings
        Settings of the colors.
    units : str
        Units of the cells.
    """
    if isinstance(coloring, Classes):
        return ValueClassifier.of(coloring.values_and_colors)
    if coloring is not None or colors.levels is None:
        return None
    return LevelClassifier(needed_conversion(units, colors.units).stored(np.asarray(colors.levels)), colors.closed)


def resampling_problem(raster: RasterSettings, reason: str) -> str | None:
    """Return the reason why `[raster] resampling` does not suit classes. Return None if the method suits classes.

    Parameters
    ----------
    raster : RasterSettings
        The settings to check.
    reason : str
        The reason why the raster is drawn as classes, for the message.
    """
    if raster.resampling in _KEEPS_CLASSES:
        return None
    return (
        f"[raster] resampling: {raster.resampling!r} produces values between the classes, but {reason}; use one of "
        f"{', '.join(_KEEPS_CLASSES)}, or draw the raster as numbers with [colors] colormap"
    )


def _classes(info: RasterInfo, configured: tuple[ClassSettings, ...]) -> Classes:
    """Return the classes of the file. Classes of the settings override them."""
    names = {} if configured else info.class_names
    own = {
        value: ValueClass(value, "#{:02x}{:02x}{:02x}{:02x}".format(*color), names.get(value, ""))
        for value, color in info.color_table.items()
    }
    named = {item.value: _configured_class(item, number, own) for number, item in enumerate(configured, 1)}
    drawn = own | named
    shown = tuple(named.values()) or _legend_classes(own, info.nodata)
    return Classes(tuple(drawn[value] for value in sorted(drawn)), shown)


def _configured_class(item: ClassSettings, number: int, own: Mapping[int, ValueClass]) -> ValueClass:
    """Return a class of the settings. If the settings give no color, use the color in the file."""
    if item.color is None and item.value not in own:
        raise ConfigError(
            f"[colors] classes #{number} color is missing, and the raster has no color for {item.value}; add a color"
        )
    color = own[item.value].color if item.color is None else item.color
    return ValueClass(item.value, color, plain_text(item.name))


def _legend_classes(own: Mapping[int, ValueClass], nodata: float | None) -> tuple[ValueClass, ...]:
    """Return the classes with names, for the legend. If no class has a name, return all entries except padding."""
    visible = [item for item in own.values() if not item.color.endswith("00") and item.value != nodata]
    named = [item for item in visible if item.name]
    colors = Counter(item.color for item in visible)
    filler, count = colors.most_common(1)[0] if colors else ("", 0)
    shown = named or [item for item in visible if count < _FILLER or item.color != filler]
    return tuple(shown) if len(shown) <= _MAX_LEGEND else ()
