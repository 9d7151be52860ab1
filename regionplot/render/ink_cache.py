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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from regionplot.errors import RegionplotError
from regionplot.geo.region import Region
from regionplot.layers.base import Layer
from regionplot.layers.colorbar import end_of_short_bar
from regionplot.layers.stack import ignore_raster, layers_with_ink
from regionplot.layers.title import Title, title_of
from regionplot.render.code import code_digest, font_files
from regionplot.render.ink import Covered, PanelInk, panel_type
from regionplot.render.ink_files import ink_folder, read_frame, read_panel_ink, read_sheet_ink
from regionplot.render.palette import has_dark_colors, hatch_of, layers_with_light
from regionplot.render.sheets import Style
from regionplot.render.sparse import SparseImage
from regionplot.settings.base import digest_items
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View
from regionplot.system.cache import ArrayCache, Arrays
from regionplot.system.cache_turn import CacheTurn
from regionplot.writers.base import Bytes

if TYPE_CHECKING:
    from hashlib import _Hash

    from regionplot.render.palette import Palette

logger = logging.getLogger(__name__)
_DIGITS = 32
_RGB = "-rgb"
_OF_THE_RASTER = {"raster", "prepare", "publish", "statistics", "output", "run"}
"""Sections of the settings that ink does not depend on."""
_OF_THE_FRAME = {"colors"}
"""Sections of the settings on which the frame depends, but not the ink of layers of this package."""
_PACKAGE = Title.__module__.rpartition(".")[0]


class InkTypes(NamedTuple):
    """Types of the values of ink, in panels and on sheets."""

    panel: type[np.unsignedinteger[Any]]
    sheet: type[np.unsignedinteger[Any]]


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
    """Key of the frame. The frame of RGB maps has the same key with a suffix."""
    _colors: int
    """Number of colors of the palette. 0 if the maps are RGB images."""
    types: InkTypes

    @classmethod
    def of(cls, style: Style, palette: Palette | None) -> Self | None:
        """Return the cache for a style. Return None if the user has no cache, or if the settings turn it off.

        Parameters
        ----------
        style : Style
            The style.
        palette : ShadedPalette or MixedPalette, optional
            The palette of the style. None if its maps are RGB images, whose ink is not kept.
        """
        if not style.shared.config.run.cache:
            return None
        try:
            folder = ink_folder()
            common = hashlib.sha256(json.dumps(_common(style), default=str).encode() + code_digest(style.shared))
        except (OSError, RegionplotError) as error:
            logger.debug("ink is not kept: %s", error)
            return None
        colors = palette.colors.tolist() if palette else []
        types = InkTypes(panel_type(palette), palette.sheet_type) if palette else InkTypes(np.uint8, np.uint8)
        frame = hashlib.sha256(json.dumps(_of_frame(style), default=str).encode() + common.digest())
        frame.update(repr(("frame", style.scale.digest_items(), _names(style), colors, hatch_of(style))).encode())
        common.update(repr(("ink", palette and palette.channel, tuple(types), has_dark_colors(style))).encode())
        keeps_ink = palette is not None and ignore_raster(layers_with_light(style)[1])
        return cls(style, folder, keeps_ink, common, frame.hexdigest()[:_DIGITS], len(colors), types)

    def rgb_frame(self, draw: Callable[[], SparseImage]) -> SparseImage:
        """Return the sheet without a map. If it is not known, draw it and store it for later runs.

        Only one of the workers draws it. The others wait, and do not need matplotlib, which takes 60 MB.
        """
        key = self._frame + _RGB
        with CacheTurn(self.folder, lambda: key) as entries:
            arrays = entries.read(key)
            frame = None if arrays is None else self._rgb_frame(arrays)
            if frame is None:
                frame = draw()
                entries.write(key, frame.arrays())
        return frame

    def _rgb_frame(self, arrays: Arrays) -> SparseImage | None:
        try:
            return SparseImage.from_arrays(arrays, self.style.layout.size)
        except (KeyError, ValueError) as error:
            logger.debug("the frame is drawn again: %s", error)
            return None

    @property
    def _frame_entry(self) -> str:
        return self._frame if self.types.sheet == np.uint8 else self._frame + _RGB

    @property
    def frame_key(self) -> str:
        """Key of the frame of palette maps."""
        return self._frame

    def frame(self) -> Bytes | None:
        """Return the sheet without a map as rows of the palette, shape (height, width). Return None if unknown."""
        return read_frame(self.folder, self._frame, self.style.layout.size, self._colors)

    def keep_frame(self, rows: Bytes) -> None:
        """Store the frame for later runs."""
        self.folder.write(self._frame, {"rows": rows})

    def entry(self, sheet: Sheet) -> InkEntry | None:
        """Return the kept ink of a map. Return None if no ink is kept."""
        if not self.keeps_ink:
            return None
        return InkEntry(self, sheet, self.keys(sheet.region, sheet.view, sheet.title))

    def knows_all(self, regions: Sequence[Region]) -> bool:
        """Return True if there are entries for the frame and for the ink of all regions. Entries are not read."""
        return self.keeps_ink and self.folder.has(self._frame_entry) and all(map(self._knows, regions))

    def _knows(self, region: Region) -> bool:
        shared = self.style.shared
        try:
            view = View.of(region, shared.crs_of(region), self.style.layout.panel, shared.config.map.fit)
            title = title_of(region, shared.config.map, shared.description)
        except RegionplotError:  # the worker reports the error, and draws nothing
            return True
        return all(map(self.folder.has, self.keys(region, view, title)))

    def keys(self, region: Region, view: View, title: str) -> InkKeys:
        """Return the keys of the ink of a map. The key of the panel leaves out the title, which is not drawn there."""
        panel = self._ink.copy()
        panel.update(repr((replace(region, attributes=dict(region.attributes), origin=""), view)).encode())
        crs = self.style.shared.crs_of(region)
        if crs is not self.style.shared.crs:
            panel.update(crs.to_wkt().encode())
        on_sheet = panel.copy()
        marks = [each.mark(title, self.style.layout) for each in self.style.layers if isinstance(each, Title)]
        on_sheet.update(repr(("sheet", title, marks, font_files(title))).encode())
        return InkKeys(panel.hexdigest()[:_DIGITS], on_sheet.hexdigest()[:_DIGITS])


class InkKeys(NamedTuple):
    """The keys of the two entries of a map. A title with a new time does not change the ink of the panel."""

    panel: str
    sheet: str


class InkEntry(NamedTuple):
    """The kept ink of one map."""

    cache: InkCache
    map: Sheet
    keys: InkKeys

    def panel(self) -> PanelInk | None:
        """Return the ink in the panel. Return None if it is not known."""
        return read_panel_ink(self.cache.folder, self.keys.panel, self.map.codes.size, self.cache.types.panel)

    def sheet(self) -> Covered | None:
        """Return the ink on the sheet. Return None if it is not known."""
        width, height = self.map.layout.size
        return read_sheet_ink(self.cache.folder, self.keys.sheet, width * height, self.cache.types.sheet)

    def keep_panel(self, ink: PanelInk) -> None:
        """Store the ink in the panel for later runs."""
        self.cache.folder.write(self.keys.panel, ink.arrays())

    def keep_sheet(self, ink: Covered) -> None:
        """Store the ink on the sheet for later runs."""
        self.cache.folder.write(self.keys.sheet, ink.arrays("sheet"))


def _common(style: Style) -> list[Any]:
    """Return everything that the frame and the ink of all maps depend on, except code."""
    shared, layout = style.shared, style.layout
    left_out = _OF_THE_RASTER | (_OF_THE_FRAME if _are_builtin(style.layers) else set())
    settings = {name: items for name, items in digest_items(shared.config).items() if name not in left_out}
    settings["map"] = {name: value for name, value in settings.get("map", {}).items() if name not in ("title", "empty")}
    layers = [_identity(layer) for layer in layers_with_ink(style.layers) if not isinstance(layer, Title)]
    boxes = repr((layout.size, layout.dpi, layout.panel, sorted(layout.rooms.items()), end_of_short_bar(layout)))
    letters = (getattr(layer, "letters", "") for layer in style.layers)
    fonts = font_files("".join([shared.config.colors.label or "", *_names(style), *letters]))
    return [settings, layers, boxes, shared.crs.to_wkt(), fonts]


def _of_frame(style: Style) -> list[Any]:
    """Return what the frame depends on in addition to `_common`."""
    return [digest_items(style.shared.config.colors), [_identity(layer) for layer in style.layers]]


def _identity(layer: Layer) -> tuple[str, str, str]:
    return type(layer).__module__, type(layer).__qualname__, layer.key


def _are_builtin(layers: Sequence[Layer]) -> bool:
    """Return True if all layers are from this package. Their marks do not depend on the colors of the raster."""
    return all(type(layer).__module__.startswith(f"{_PACKAGE}.") for layer in layers)


def _names(style: Style) -> list[str]:
    """Return the texts of the raster that a frame can show: its name and units, and the names of its classes."""
    description = style.shared.description
    classes = getattr(style.layout.page.key, "names", ())
    return [*(str(description.get(key, "")) for key in ("long_name", "units", "variable")), *classes]
