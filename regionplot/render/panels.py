"""Draw images that show only a panel: no title, no color bar, no margins. The map service draws them.

::

    box, CRS, size ─► View ─► codes of the pixels ─┐
    layers in this CRS ─► marks ─► ink ────────────┴─► palette image, or RGBA image
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.colors.base import PaletteScale, Scale, opaque_background
from regionplot.colors.classifier import Codes
from regionplot.colors.units import needed_conversion
from regionplot.geo.extent import PanelGrid
from regionplot.geo.region import Region
from regionplot.geo.sampling import sample
from regionplot.geo.warp import import_warper
from regionplot.layers.base import Layer
from regionplot.render.bare_canvas import BareCanvas, draws_usual_marks
from regionplot.render.compiled import compiled_modules
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.drawn_pixels import channel_of, pixels_except
from regionplot.render.ink import shaded_rows
from regionplot.render.ink_drawing import InkCanvas
from regionplot.render.palette import PACKED_WHITE, WHITE
from regionplot.render.panel_palette import PanelPalette, palette_of, used_palette
from regionplot.render.shading import change_colors
from regionplot.render.sheets import scale_for
from regionplot.shared.data import SharedData
from regionplot.sheet.layout import Box, Layout, Page
from regionplot.sheet.sheet import Sheet, Surroundings
from regionplot.sheet.view import View
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.picture import Bytes

_MAX_KEPT = 4_194_304
"""Number of pixels of the canvases that are kept, one per size of image."""
_MAX_PALETTES = _MAX_LAYOUTS = 16
_EVERY_PIXEL = 1 << 62
"""Number of pixels that a service draws. Classifying all cells once is always cheaper."""


@dataclass(frozen=True)
class PanelImage:
    """A finished image."""

    image: Bytes
    """Red, green, blue and opacity, shape (height, width, 4). With a palette: its rows, shape (height, width)."""
    palette: Bytes | None
    """Red, green, blue and opacity, shape (n, 4)."""

    @property
    def rgba(self) -> Bytes:
        """Red, green, blue and opacity of all pixels, shape (height, width, 4)."""
        return self.image if self.palette is None else self.palette[self.image]


@dataclass(frozen=True)
class PanelStyle:
    """The layers and the background of an image."""

    below: tuple[Layer, ...] = ()
    """Layers below the raster, in the CRS of the image."""
    has_raster: bool = True
    above: tuple[Layer, ...] = ()
    """Layers above the raster."""
    dpi: float = 96.0
    background: str | None = None
    """Color of pixels without data. None: they are transparent."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers except the raster."""
        return (*self.below, *self.above)


class PanelCanvases:
    """The canvases of a process. Those that were used last are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, tuple[int, int], float], Any] = OrderedDict()

    def ink(self, layout: Layout, layers: Sequence[Layer]) -> InkCanvas:
        """Return a canvas for the ink of layers: of matplotlib's compiled modules alone, if they suffice."""
        modules = compiled_modules()
        if modules is None or not draws_usual_marks(layers):
            full: InkCanvas = self.full(layout)
            return full
        canvas: InkCanvas = self._found(("bare", layout.size, layout.dpi), lambda: BareCanvas(layout, modules))
        return canvas

    def full(self, layout: Layout) -> Any:
        """Return a canvas of matplotlib."""
        from regionplot.render.agg import Canvas  # noqa: PLC0415 (imports matplotlib)

        return self._found(("full", layout.size, layout.dpi), lambda: Canvas(layout))

    def _found(self, key: tuple[str, tuple[int, int], float], make: Callable[[], Any]) -> Any:
        canvas = self._kept.pop(key, None) or make()
        pixels = key[1][0] * key[1][1]
        while self._kept and pixels + sum(width * height for _, (width, height), _ in self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        if pixels <= _MAX_KEPT:
            self._kept[key] = canvas
        return canvas


class PanelPainter:
    """Draw images of one field.

    Parameters
    ----------
    data : SharedData
        The field.
    canvases : PanelCanvases, optional
        Canvases that the painters of several fields share.

    Raises
    ------
    ConfigError
        If the settings do not suit the raster.
    """

    def __init__(self, data: SharedData, canvases: PanelCanvases | None = None) -> None:
        self.data = data
        self.scale: Scale = scale_for(data)
        self._canvases = canvases or PanelCanvases()
        self._layouts: dict[tuple[int, int, float], Layout] = {}
        self._palettes: OrderedDict[Any, PanelPalette | None] = OrderedDict()
        if data.config.raster.resampling != "nearest":
            import_warper()

    @cached_property
    def _codes(self) -> Codes | None:
        """The code of each cell. None if pixels must be classified."""
        data = self.data
        if data.config.raster.resampling != "nearest" or data.plan.reads_per_map:
            return None
        if data.codes is not None:
            return data.codes
        codes = self.scale.classify_cells(data.cells, _EVERY_PIXEL)
        return self.scale.codes(data.cells) if codes is None else codes

    def prepare(self) -> None:
        """Classify all cells, so that forked workers inherit the codes."""
        _ = self._codes

    def draw(self, panel: PanelGrid, crs: pyproj.CRS, style: PanelStyle, watch: Stopwatch | None = None) -> PanelImage:
        """Draw an image.

        Parameters
        ----------
        panel : PanelGrid
            Extent in the units of the CRS, and pixels.
        crs : pyproj.CRS
            CRS of the image, with the axes x and y.
        style : PanelStyle
            What the image shows.
        watch : Stopwatch, optional
            Stopwatch that records the time of each stage.

        Raises
        ------
        RasterError
            If cells must be read, and cannot be read.
        """
        watch = watch or Stopwatch()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            sheet = self._sheet(panel, crs, style)
            watch.lap("sample")
            palette = self._palette(style)
            if palette is not None:
                image = PanelImage(self._with_ink(sheet, style, palette), palette.colors)
            else:
                image = self._without_palette(sheet, style)
        watch.lap("draw")
        return image

    def _sheet(self, panel: PanelGrid, crs: pyproj.CRS, style: PanelStyle) -> Sheet:
        data, box = self.data, Box(0, 0, panel.width, panel.height)
        wants_values = any(layer.wants_values for layer in style.layers)
        codes, values, cells = self._sampled(panel, crs, wants_values=wants_values, has_raster=style.has_raster)
        return Sheet(
            region=Region("map", panel.extent, None),
            view=View(box, panel, panel.extent),
            layout=self._layout(panel.width, panel.height, style.dpi),
            crs=crs,
            description=data.description,
            title="",
            codes=codes,
            no_data=False,
            values=values,
            cells=cells,
            shown=None if cells is None else needed_conversion(data.info.units, data.config.colors.units).shown,
            colors=self.scale.rgba,
            surroundings=Surroundings(data.info.geometry, lambda part: self._values(part, crs)),
        )

    def _layout(self, width: int, height: int, dpi: float) -> Layout:
        """Return the layout of images of one size. The layouts that were used last are kept."""
        key = width, height, dpi
        if key not in self._layouts:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            size = {"size": (width, height), "dpi": dpi}
            config = self.data.config.model_copy(update={"map": self.data.config.map.model_copy(update=size)})
            self._layouts[key] = Layout(Page(config), Box(0, 0, width, height))
        return self._layouts[key]

    def _sampled(self, panel: PanelGrid, crs: pyproj.CRS, *, wants_values: bool, has_raster: bool) -> Any:
        """Return the codes of the pixels, and values and cells if a layer needs them."""
        data, scale = self.data, self.scale
        if not (has_raster or wants_values):
            return np.broadcast_to(np.uint8(scale.nodata), (panel.height, panel.width)), None, None
        if not wants_values and self._codes is not None:
            return sample(self._codes, data.geometry, panel, crs, fill=scale.nodata).values, None, None
        cells = data.read_panel(panel, crs)
        if cells is None:
            return np.full((panel.height, panel.width), scale.nodata, np.uint32), None, None
        resampling = data.config.raster.resampling
        if not wants_values or data.coloring is not None:
            return scale.sample_codes(*cells, panel, crs, resampling).values, None, None
        values = scale.sample(*cells, panel, crs, resampling).values
        return scale.codes(values), values, cells

    def _values(self, panel: PanelGrid, crs: pyproj.CRS) -> NDArray[Any]:
        """Return the values at the pixels of a panel, NaN if there are none."""
        cells = self.data.read_panel(panel, crs)
        if cells is None:
            return np.full((panel.height, panel.width), np.nan, np.float32)
        return np.asarray(self.scale.sample(*cells, panel, crs, self.data.config.raster.resampling).values)

    def _palette(self, style: PanelStyle) -> PanelPalette | None:
        if style.below and style.has_raster:
            return None
        key = tuple(layer.key for layer in style.layers), style.background
        if key not in self._palettes:
            while len(self._palettes) >= _MAX_PALETTES:
                self._palettes.popitem(last=False)
            self._palettes[key] = PanelPalette.of(self.scale, style.layers, style.background)
        return self._palettes[key]

    def _with_ink(self, sheet: Sheet, style: PanelStyle, palette: PanelPalette) -> Bytes:
        """Return the rows of the palette of an image."""
        image = np.array(sheet.codes, np.uint8).reshape(-1)
        if style.layers:
            canvas = self._canvases.ink(sheet.layout, style.layers)
            with canvas.style():
                marks = DrawnMarks.of(style.layers, sheet)
                if marks.in_panel:
                    canvas.buffer.view(np.uint32).fill(PACKED_WHITE)
                    canvas.draw_in_panel(marks.in_panel, sheet.view)
                    drawn, values = pixels_except(WHITE, channel_of(canvas.buffer, palette.channel))
                    image[drawn] = shaded_rows(palette.shaded, image.take(drawn), values)
        return image.reshape(sheet.codes.shape)

    def _without_palette(self, sheet: Sheet, style: PanelStyle) -> PanelImage:
        if not style.layers and isinstance(self.scale, PaletteScale):
            found = used_palette(self.scale, sheet.codes, style.background)
            if found is not None:
                return PanelImage(*found)
            return PanelImage(palette_of(self.scale, style.background)[sheet.codes], None)
        canvas = self._canvases.full(sheet.layout)
        buffer = canvas.buffer
        buffer[...] = _paper(style.background)
        with canvas.style():
            self._draw_layers(canvas, style.below, sheet)
            if style.has_raster:
                np.copyto(buffer, self.scale.rgba(sheet.codes), where=self._shows_data(sheet.codes)[..., None])
            self._draw_layers(canvas, style.above, sheet)
        return PanelImage(buffer.copy(), None)

    def _shows_data(self, codes: Codes) -> NDArray[np.bool_]:
        if isinstance(self.scale, PaletteScale):
            return np.asarray(~self.scale.clear_rows[codes])
        return np.asarray(codes != self.scale.nodata)

    def _draw_layers(self, canvas: Any, layers: Sequence[Layer], sheet: Sheet) -> None:
        if layers:
            marks = DrawnMarks.of(layers, sheet)
            change_colors(canvas.buffer, sheet.codes, self.scale.nodata, marks.shades)
            canvas.draw_in_panel(marks.in_panel, sheet.view)


def _paper(background: str | None) -> NDArray[np.uint8]:
    """Return the color of an empty image."""
    if background is None:
        return np.array([WHITE, WHITE, WHITE, 0], np.uint8)
    return np.append(np.rint(opaque_background(background) * WHITE), WHITE).astype(np.uint8)
