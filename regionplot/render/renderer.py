"""Draw maps of shared data. The frame is drawn once. The raster and the layers are drawn for each region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from regionplot.errors import ConfigError
from regionplot.geo.region import Region
from regionplot.render.agg import Canvas, Painter, RgbPainter
from regionplot.render.artists import DrawnMarks
from regionplot.render.figure import draw_figure
from regionplot.render.palette import PalettePainter, palette_for
from regionplot.render.sheets import Style, make_sheet
from regionplot.render.style import plain_style
from regionplot.render.vector import draw_vectors
from regionplot.shared.data import SharedData, crs_name
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import FigurePicture, Picture, encode, make_writer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MapRenderer:
    """Draw the maps of one `SharedData` into memory.

    A renderer writes no file and keeps no global state. A program can use several renderers.

    Parameters
    ----------
    shared : SharedData
        The data to draw.
    maps : int
        Expected number of maps. If there are many maps, the renderer classifies all cells once instead of the pixels of
        each map. This changes the speed, but not the maps.

    Raises
    ------
    ConfigError
        If the data are not `SharedData`, or the settings do not suit the raster, such as `mode = "palette"` in
        `[output.png]` for a continuous scale.

    Examples
    --------
    >>> import regionplot
    >>> config = regionplot.read_config({"raster": {"path": "sample:relief"}, "map": {"size": [300, 200]}})
    >>> renderer = MapRenderer(regionplot.SharedData.load(config))
    >>> picture = renderer.render(regionplot.Region("nc", regionplot.Extent(-84.5, -75.3, 33.8, 36.7)))
    >>> picture.pixels.shape
    (200, 300, 3)
    >>> renderer.encode(picture)[1:4]
    b'PNG'
    """

    def __init__(self, shared: SharedData, maps: int = 1) -> None:
        if not isinstance(shared, SharedData):
            kind = type(shared).__name__
            raise ConfigError(f"the data are of type {kind}; pass SharedData from regionplot.SharedData.load")
        with plain_style():
            style = Style.of(shared, maps)
            self.style = style
            self.canvas = Canvas(style)
            palette = palette_for(style)
            self._in_rgb = RgbPainter(self.canvas, style)
            self._in_palette = PalettePainter(self.canvas, palette) if palette else None

    def __repr__(self) -> str:
        """Return the raster, the size of the maps and their CRS."""
        shared = self.style.shared
        width, height = self.style.layout.size
        return f"<MapRenderer {shared.info.path.name}: {width} x {height} pixels in {crs_name(shared.crs)}>"

    def render(self, region: Region, watch: Stopwatch | None = None) -> Picture:
        """Draw one region.

        Parameters
        ----------
        region : Region
            The region to draw.
        watch : Stopwatch, optional
            Stopwatch that records the time of each stage.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster.
        RegionError
            If the region cannot be projected, or its row lacks a field of the title.
        """
        watch = watch or Stopwatch()
        with plain_style():
            sheet = make_sheet(region, self.style)
            self.canvas.show(sheet.view)
            watch.lap("sample")
            marks = DrawnMarks.of(self.style.layers, sheet)
            watch.lap("clip")
            painter: Painter = self._in_palette if self._in_palette and not sheet.no_data else self._in_rgb
            return painter.paint(sheet, marks, watch)

    def figure(self, region: Region) -> Figure:
        """Draw one region as a matplotlib figure. Its first axes is a `cartopy.mpl.geoaxes.GeoAxes`.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster.
        RegionError
            If the region cannot be projected, or its row lacks a field of the title.
        """
        with plain_style():
            return draw_figure(make_sheet(region, self.style), self.style)

    def render_vectors(self, region: Region) -> FigurePicture:
        """Draw one region for a vector format, such as PDF and SVG.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster.
        RegionError
            If the region cannot be projected, or its row lacks a field of the title.
        """
        with plain_style():
            return draw_vectors(make_sheet(region, self.style), self.style)

    def encode(
        self,
        picture: Picture | FigurePicture,
        format: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """Encode a picture. Return the content of the file.

        Parameters
        ----------
        picture : Picture or FigurePicture
            The picture, from `render` or `render_vectors`.
        format : str, optional
            Name of the file format, such as `"png"`. The default is the format of `[output] filename`.
        metadata : mapping of str to str, optional
            Text to store in the file, such as `{"Title": "Ohio"}`.

        Raises
        ------
        ConfigError
            If the format is unknown, or if it cannot store this kind of picture.
        """
        return encode(picture, make_writer(self.style.shared.config.output, format), metadata or {})
