"""Keep the frame of a run, and the ink of its maps, on disk for later runs.

The key of an entry is a digest of everything that the ink depends on: the code and the libraries (`render.code`), the
layers, the layout, the CRS, the view and the title, and all settings that do not concern the raster. An entry is
therefore never outdated. A damaged entry is drawn again. Entries are not trusted: they hold no objects, and their
indices are checked (`render.ink`).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from regionplot.errors import RegionplotError
from regionplot.geo.region import Region
from regionplot.layers.base import Layer
from regionplot.layers.stack import ignore_raster, layers_with_ink
from regionplot.layers.title import Title, title_of
from regionplot.render.code import code_digest, font_files
from regionplot.render.ink import Covered
from regionplot.render.palette import ShadedPalette
from regionplot.render.sheets import Style
from regionplot.settings.base import digest_items
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View
from regionplot.system.cache import ArrayCache, user_cache_folder
from regionplot.writers.base import Bytes

if TYPE_CHECKING:
    from hashlib import _Hash

logger = logging.getLogger(__name__)
_MAX_BYTES = 256 * 2**20
"""Maximum size of the folder: about 1000 to 2500 maps of 1400 x 900 pixels."""
_WRITES_PER_TRIM = 64
_DIGITS = 32
Part = Literal["panel", "sheet"]
"""The ink of a map is kept in two entries, so that a title with a new time does not change the ink of the panel."""
_OF_THE_RASTER = {"raster", "prepare", "output", "run"}
"""Sections of the settings that ink does not depend on."""
_OF_THE_FRAME = {"colors"}
"""Sections of the settings on which the frame depends, but not the ink of layers of this package."""
_PACKAGE = Title.__module__.rpartition(".")[0]


@dataclass(frozen=True)
class InkCache:
    """The frame and the ink of the maps of one style, in the user's cache folder."""

    style: Style
    folder: ArrayCache
    keeps_ink: bool
    """False if the marks of a layer can depend on the raster. Then only the frame is kept."""
    _ink: _Hash
    """Hash of everything that the ink of all maps of the run depends on."""
    _frame: str
    """Key of the frame."""
    _colors: int
    """Number of colors of the palette."""

    @classmethod
    def of(cls, style: Style, palette: ShadedPalette) -> Self | None:
        """Return the cache for a style. Return None if the user has no cache, or if the settings turn it off.

        Parameters
        ----------
        style : Style
            The style.
        palette : ShadedPalette
            The palette of the style.
        """
        if not style.shared.config.run.cache:
            return None
        try:
            folder = ArrayCache(user_cache_folder() / "ink", _MAX_BYTES, _WRITES_PER_TRIM)
            common = hashlib.sha256(json.dumps(_common(style), default=str).encode() + code_digest(style.shared))
        except (OSError, RegionplotError) as error:
            logger.debug("ink is not kept: %s", error)
            return None
        frame = hashlib.sha256(json.dumps(_of_frame(style), default=str).encode())
        frame.update(common.digest())
        frame.update(repr(("frame", style.scale.digest_items(), _names(style), palette.colors.tolist())).encode())
        common.update(repr(("ink", palette.channel)).encode())
        return cls(style, folder, ignore_raster(style.layers), common, frame.hexdigest()[:_DIGITS], len(palette.colors))

    def frame(self) -> Bytes | None:
        """Return the sheet without a map as rows of the palette, shape (height, width). Return None if unknown."""
        width, height = self.style.layout.size
        rows = (self.folder.read(self._frame) or {}).get("rows")
        if rows is None or rows.dtype != np.uint8 or rows.shape != (height, width) or rows.max() >= self._colors:
            return None
        return rows

    def keep_frame(self, rows: Bytes) -> None:
        """Store the frame for later runs."""
        self.folder.write(self._frame, {"rows": rows})

    def panel(self, sheet: Sheet) -> Covered | None:
        """Return the ink in the panel of a map. Return None if it is not known."""
        return self._read("panel", sheet, sheet.codes.size)

    def sheet(self, sheet: Sheet) -> Covered | None:
        """Return the ink on the sheet of a map. Return None if it is not known."""
        width, height = sheet.layout.size
        return self._read("sheet", sheet, width * height)

    def keep_panel(self, sheet: Sheet, ink: Covered) -> None:
        """Store the ink in the panel of a map for later runs."""
        self._write("panel", sheet, ink)

    def keep_sheet(self, sheet: Sheet, ink: Covered) -> None:
        """Store the ink on the sheet of a map for later runs."""
        self._write("sheet", sheet, ink)

    def knows_all(self, regions: Sequence[Region]) -> bool:
        """Return True if there are entries for the frame and for the ink of all regions. Entries are not read."""
        return self.keeps_ink and self.folder.has(self._frame) and all(map(self._knows, regions))

    def _knows(self, region: Region) -> bool:
        shared = self.style.shared
        try:
            view = View.of(region, shared.crs, self.style.layout.panel, shared.config.map.fit)
            title = title_of(region, shared.config.map.title, shared.description)
        except RegionplotError:  # the worker reports the error, and draws nothing
            return True
        return all(self.folder.has(self._key(part, region, view, title)) for part in ("panel", "sheet"))

    def _read(self, part: Part, sheet: Sheet, size: int) -> Covered | None:
        key = self._key(part, sheet.region, sheet.view, sheet.title) if self.keeps_ink else None
        arrays = self.folder.read(key) if key else None
        try:
            return None if arrays is None else Covered.of(arrays, part, size)
        except (KeyError, ValueError) as error:
            logger.debug("the ink of %s is drawn again: %s", sheet.region.name, error)
            return None

    def _write(self, part: Part, sheet: Sheet, ink: Covered) -> None:
        if self.keeps_ink:
            self.folder.write(self._key(part, sheet.region, sheet.view, sheet.title), ink.arrays(part))

    def _key(self, part: Part, region: Region, view: View, title: str) -> str:
        """Return the key of an entry. The key of the panel leaves out the title, which is not drawn there."""
        total = self._ink.copy()
        total.update(repr((part, replace(region, attributes=dict(region.attributes), origin=""), view)).encode())
        if part == "sheet":
            total.update(repr((title, font_files(title))).encode())
        return total.hexdigest()[:_DIGITS]


def _common(style: Style) -> list[Any]:
    """Return everything that the frame and the ink of all maps depend on, except code."""
    shared, layout = style.shared, style.layout
    left_out = _OF_THE_RASTER | (_OF_THE_FRAME if _are_builtin(style.layers) else set())
    settings = {name: items for name, items in digest_items(shared.config).items() if name not in left_out}
    settings["map"] = {name: value for name, value in settings.get("map", {}).items() if name not in ("title", "empty")}
    layers = [_identity(layer) for layer in layers_with_ink(style.layers) if not isinstance(layer, Title)]
    boxes = repr((layout.size, layout.dpi, layout.panel, sorted(layout.rooms.items())))
    fonts = font_files("".join([shared.config.colors.label or "", *_names(style)]))
    return [settings, layers, boxes, shared.crs.to_wkt(), fonts]


def _of_frame(style: Style) -> list[Any]:
    """Return what the frame depends on in addition to `_common`."""
    return [digest_items(style.shared.config.colors), [_identity(layer) for layer in style.layers]]


def _identity(layer: Layer) -> tuple[str, str, str]:
    return type(layer).__module__, type(layer).__qualname__, layer.key


def _are_builtin(layers: Sequence[Layer]) -> bool:
    """Return True if all layers are from this package. They do not look at the colors of the raster."""
    return all(type(layer).__module__.startswith(f"{_PACKAGE}.") for layer in layers)


def _names(style: Style) -> list[str]:
    """Return the texts of the raster that a frame can show: its name and units, and the names of its classes."""
    description = style.shared.description
    classes = getattr(style.layout.page.key, "names", ())
    return [*(str(description.get(key, "")) for key in ("long_name", "units", "variable")), *classes]
