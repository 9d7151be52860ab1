"""Draw sheets with several panels.

::

    panels ─► a renderer for each, with the size of a panel ─► pictures ─► pasted into one picture
                                                       └─► marks ─► shifted, in one figure
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from regionplot.geo.region import Region
from regionplot.layers.base import Layer
from regionplot.layers.colorbar import ColorBarLayer
from regionplot.layers.legend import Legend
from regionplot.layers.title import Title, title_of
from regionplot.render.artists import sheet_artist
from regionplot.render.canvases import Canvases
from regionplot.render.figure import MapFigure, add_map
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, make_sheet
from regionplot.render.style import plain_style
from regionplot.render.vector import vectors_of
from regionplot.shared.data import SharedData
from regionplot.shared.panels import PanelGrid
from regionplot.sheet.layout import Box, Layout, Page
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import Bytes, FigurePicture, Picture, encode, make_writer
from regionplot.writers.georeference import Georeference


@dataclass(frozen=True)
class _Panel:
    """One panel of a sheet."""

    renderer: MapRenderer
    offset: tuple[int, int]
    """Pixels from the lower left corner of the sheet to that of the panel."""


class PanelsRenderer:
    """Draw the sheets of one `SharedData` with several panels. It has the methods of `MapRenderer`.

    Panels with equal color scales and units share the color bar of the first of these panels. All panels have
    the same size, so that they show the same area.

    Parameters
    ----------
    shared : SharedData
        The data of all panels.
    maps : int
        Expected number of sheets.
    canvases : Canvases, optional
        Sheets and frames that renderers share.
    """

    kept = None
    """Nothing is kept for later runs."""

    def __init__(self, shared: SharedData, maps: int = 1, canvases: Canvases | None = None) -> None:
        self._shared = shared
        rows = shared.panels
        self._grid = PanelGrid.of(shared.config, len(rows), max(map(len, rows)))
        styles = [Style.of(each, maps) for row in rows for each in row]
        offsets = [self._grid.offset(row, column) for row, each in enumerate(rows) for column in range(len(each))]
        canvases = canvases or Canvases()
        self._panels = [
            _Panel(MapRenderer(style.shared, maps, canvases, style), offset)
            for style, offset in zip(_aligned(_with_equal_titles([*_sharing_bars(styles)])), offsets, strict=True)
        ]

    @property
    def style(self) -> Style:
        """Data, layout and colors of the first panel."""
        return self._panels[0].renderer.style

    def prepare(self, regions: Sequence[Region]) -> None:
        """Read or draw the frames of all panels. See `MapRenderer.prepare`."""
        for panel in self._panels:
            panel.renderer.prepare(regions)

    def __repr__(self) -> str:
        """Return the number of panels, and the size of the sheet."""
        width, height = self._grid.size
        return f"<PanelsRenderer of {len(self._panels)} panels: {width} x {height} pixels>"

    def render(self, region: Region, watch: Stopwatch | None = None) -> Picture:
        """Draw one region in all panels.

        Parameters
        ----------
        region : Region
            The region.
        watch : Stopwatch, optional
            Stopwatch that records the time of each stage.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster of a panel.
        RegionError
            If the region cannot be projected, or its row lacks a field of a title.
        """
        width, height = self._grid.size
        image = np.full((height, width, 3), 255, np.uint8)
        title, no_data = self._title(region), True
        image[: self._grid.heading] = self._heading(title)
        first: Georeference | None = None
        for panel in self._panels:
            picture = panel.renderer.render(region, watch)
            no_data &= picture.no_data
            (left, bottom), (rows, columns) = panel.offset, picture.pixels.shape[:2]
            top = height - bottom - rows
            image[top : top + rows, left : left + columns] = picture.pixels
            if first is None and picture.georeference is not None:
                first = picture.georeference.shifted(top, left)
        return Picture(image, None, title, no_data, georeference=first)

    def figure(self, region: Region) -> Figure:
        """Draw one region in all panels as a matplotlib figure with a `GeoAxes` for each panel.

        Raises
        ------
        NoOverlapError, RegionError
            As for `render`.
        """
        with plain_style():
            figure = self._new_figure(self._grid.size, MapFigure)
            for panel in self._panels:
                style = panel.renderer.style
                add_map(figure, make_sheet(region, style), style, panel.offset, self._layout)
            self._add_heading(figure, self._title(region), 0)
        return figure

    def render_vectors(self, region: Region) -> FigurePicture:
        """Draw one region in all panels for a vector format, such as PDF and SVG.

        Raises
        ------
        NoOverlapError, RegionError
            As for `render`.
        """
        figure = self.figure(region)
        with plain_style():
            sheet = make_sheet(region, self.style)
            return vectors_of(figure, replace(sheet, title=self._title(region)), self.style)

    def encode(
        self, picture: Picture | FigurePicture, format: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> bytes:
        """Encode a picture. See `MapRenderer.encode`."""
        return encode(picture, make_writer(self._shared.config.output, format), metadata or {})

    def _title(self, region: Region) -> str:
        return title_of(region, self._shared.config.map, self._shared.description)

    @cached_property
    def _layout(self) -> Layout:
        """The sheet: the heading, and below it a box for all panels."""
        page, (width, height) = Page(self._shared.config), self._grid.size
        left = self.style.layout.panel.left
        return Layout(page, Box(left, 0, width - 2 * left, height - self._grid.heading))

    def _heading(self, title: str) -> Bytes:
        """Return the pixels of the heading, shape (heading, width, 3)."""
        width, heading = self._grid.size[0], self._grid.heading
        with plain_style():
            canvas = FigureCanvasAgg(self._new_figure((width, heading), Figure))
            self._add_heading(canvas.figure, title, heading - self._grid.size[1])
            canvas.draw()
            return np.array(canvas.buffer_rgba())[..., :3]

    def _add_heading(self, figure: Figure, title: str, up: int) -> None:
        mark = Title("").mark(title, self._layout)
        figure.add_artist(sheet_artist(replace(mark, y=mark.y + up), figure))

    def _new_figure(self, size: tuple[int, int], kind: type[Figure]) -> Figure:
        dpi = self._layout.dpi
        figure = kind(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi, facecolor="white")
        figure.set_layout_engine("none")
        FigureCanvasAgg(figure)
        return figure


def _sharing_bars(styles: Sequence[Style]) -> Iterator[Style]:
    """Yield styles without the color bars and legends that an earlier style has."""
    seen: set[str] = set()
    for style in styles:
        config = style.shared.config
        bar = repr((style.scale.digest_items(), config.colors.units or style.shared.info.units, config.colors.label))
        kept = tuple(layer for layer in style.layers if bar not in seen or not _is_bar(layer))
        seen.add(bar)
        yield replace(style, shared=replace(style.shared, layers=kept))


def _is_bar(layer: Layer) -> bool:
    return isinstance(layer, ColorBarLayer | Legend)


def _with_equal_titles(styles: Sequence[Style]) -> Iterator[Style]:
    """Yield styles whose titles are equally high."""
    is_raised = any(layer.texts for style in styles for layer in style.layers if isinstance(layer, Title))
    for style in styles:
        layers = (replace(each, is_raised=is_raised) if isinstance(each, Title) else each for each in style.layers)
        yield replace(style, shared=replace(style.shared, layers=tuple(layers)))


def _aligned(styles: Iterator[Style]) -> Iterator[Style]:
    """Yield styles whose panels have the same box."""
    every = list(styles)
    boxes = [style.layout.panel for style in every]
    left, bottom = max(box.left for box in boxes), max(box.bottom for box in boxes)
    right, top = min(box.right for box in boxes), min(box.top for box in boxes)
    panel = Box(left, bottom, right - left, top - bottom)
    return (replace(style, layout=replace(style.layout, panel=panel)) for style in every)
