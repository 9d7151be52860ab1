"""Draw maps of shared data. The frame is drawn once. The raster and the layers are drawn for each region.

This module does not import matplotlib. A renderer imports matplotlib when it must draw ink, the frame or an RGB image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from regionplot.colors.base import PaletteScale
from regionplot.errors import ConfigError, RegionplotError
from regionplot.geo.region import Region
from regionplot.layers.title import title_of
from regionplot.render.bare_canvas import are_usual, draws_usual_marks, draws_usual_texts
from regionplot.render.canvases import Canvases
from regionplot.render.compiled import CompiledModules, compiled_modules, imported_modules
from regionplot.render.ink import Ink, PaletteMaps
from regionplot.render.ink_cache import InkCache
from regionplot.render.ink_drawing import InkDrawing
from regionplot.render.palette import ShadedPalette, hatch_of, layers_with_light, nearest_rows, palette_for
from regionplot.render.rgb import RgbDrawing
from regionplot.render.sheets import Style, crs_text, make_sheet, place_on_earth
from regionplot.render.sparse import SparseImage
from regionplot.shared.data import SharedData
from regionplot.sheet.projection import crs_name
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import AnyWriter, FigurePicture, Picture, encode, make_writer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from regionplot.render.agg import Canvas
    from regionplot.render.tones import ToneMaps


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
    canvases : Canvases, optional
        Sheets and frames that the renderers of several fields share.
    style : Style, optional
        Data, layout and colors of the maps, if the caller has already found them.

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

    def __init__(
        self, shared: SharedData, maps: int = 1, canvases: Canvases | None = None, style: Style | None = None
    ) -> None:
        if not isinstance(shared, SharedData):
            kind = type(shared).__name__
            raise ConfigError(f"the data are of type {kind}; pass SharedData from regionplot.SharedData.load")
        self.style = style or Style.of(shared, maps)
        self._canvases = canvases or Canvases()
        self._palette = palette_for(self.style)
        self._cache = InkCache.of(self.style, self._palette)
        self._bare: InkDrawing | None = None
        self._bare_rgb: RgbDrawing | None = None
        self._prepared: tuple[Region, ...] | None = None

    def prepare(self, regions: Sequence[Region]) -> None:
        """Read or draw the frame, and find the code of the CRS. If a map must be drawn, import what draws it.

        Forked workers inherit what this method imports and draws. Otherwise, each worker does the same when it draws
        its first map.

        Parameters
        ----------
        regions : sequence of Region
            The regions whose maps will be drawn.
        """
        if self._prepared != tuple(regions):
            self._prepare(regions)
            self._prepared = tuple(regions)

    def _prepare(self, regions: Sequence[Region]) -> None:
        crs_text(self.style.shared.crs)
        is_rgb = self._palette is None
        _ = self._maps
        if is_rgb:
            _ = self._frame
        elif self._cache is not None and self._cache.knows_all(regions):
            return
        titles = list(self._titles(regions))
        drawing = self._rgb_for(titles) if is_rgb else self._inks_for(titles)
        if drawing in (self._rgb, self._inks):
            from regionplot.render.agg import prepare_matplotlib  # noqa: PLC0415 (imports matplotlib)

            prepare_matplotlib(self.canvas, self.style, titles)
        else:
            drawing.prepare()

    @property
    def kept(self) -> tuple[PaletteMaps, InkCache] | None:
        """The common parts of palette maps, and the cache of their ink. None for other maps, and if no ink is kept."""
        if not isinstance(self._maps, PaletteMaps) or self._cache is None or not self._cache.keeps_ink:
            return None
        return self._maps, self._cache

    @property
    def canvas(self) -> Canvas:
        """The sheet on which matplotlib draws."""
        return self._canvases.canvas(self.style.layout)

    @cached_property
    def _rgb(self) -> RgbDrawing:
        return RgbDrawing(self.style, lambda: self._frame, lambda: self.canvas)

    def _rgb_for(self, titles: Iterable[str]) -> RgbDrawing:
        """Return an object that draws RGB maps with matplotlib, or with its compiled modules alone if they suffice."""
        modules = compiled_modules()
        if modules is None or not self._draws_usual_marks or not are_usual(titles, self.style):
            return self._rgb
        if self._bare_rgb is None:
            layout = self.style.layout
            self._bare_rgb = RgbDrawing(self.style, lambda: self._frame, lambda: self._canvases.bare(layout, modules))
        return self._bare_rgb

    @cached_property
    def _inks(self) -> InkDrawing:
        return InkDrawing(self.style, lambda: self.canvas, self._palette)

    def _inks_for(self, titles: Iterable[str]) -> InkDrawing:
        """Return an object that draws ink with matplotlib, or with its compiled modules alone if they suffice.

        If matplotlib is imported, it draws the ink of all maps.
        """
        modules = compiled_modules()
        if modules is None or not self._draws_usual_marks:
            return self._inks
        if not are_usual(titles, self.style):
            return self._inks
        return self._bare_inks(modules)

    def _sheet_inks(self, title: str) -> InkDrawing:
        """Return what draws the ink on the sheet. The compiled modules draw usual texts several times as fast."""
        modules = compiled_modules() or imported_modules()
        if modules is None or not are_usual((title,), self.style) or not self._draws_usual_texts:
            return self._inks_for((title,))
        return self._bare_inks(modules)

    @cached_property
    def _draws_usual_marks(self) -> bool:
        return draws_usual_marks(layers_with_light(self.style)[1])

    @cached_property
    def _draws_usual_texts(self) -> bool:
        return draws_usual_texts(self.style.layers)

    def _bare_inks(self, modules: CompiledModules) -> InkDrawing:
        if self._bare is None:
            layout = self.style.layout
            self._bare = InkDrawing(self.style, lambda: self._canvases.bare(layout, modules), self._palette)
        return self._bare

    def _titles(self, regions: Sequence[Region]) -> Iterator[str]:
        shared = self.style.shared
        for region in regions:
            with suppress(RegionplotError):  # the worker reports the error, and draws nothing
                yield title_of(region, shared.config.map, shared.description)

    @cached_property
    def _frame(self) -> SparseImage:
        """The sheet without a map: of another field, from an earlier run, or drawn now."""
        cache = self._cache
        return self._canvases.frame(
            self.style, self._new_frame if cache is None else lambda: cache.rgb_frame(self._new_frame)
        )

    def _new_frame(self) -> SparseImage:
        from regionplot.render.frame import draw_frame  # noqa: PLC0415 (imports matplotlib)

        return SparseImage.of(draw_frame(self.style))

    @cached_property
    def _maps(self) -> PaletteMaps | ToneMaps | None:
        """The common parts of all maps with a palette. None if the maps are RGB images."""
        if self._palette is None:
            return None
        if not isinstance(self._palette, ShadedPalette):
            from regionplot.render.tones import ToneMaps, TonePalette  # noqa: PLC0415 (few maps need it)

            if isinstance(self._palette, TonePalette):
                assert isinstance(self.style.scale, PaletteScale), "see `palette.adapts_palette`"
                return ToneMaps(self.style.scale, self._palette, self._frame.whole(), hatch_of(self.style))
        rows = self._cache.frame() if self._cache else None
        if rows is None:
            rows = nearest_rows(self._frame.whole(), self._palette.colors)
            if self._cache:
                self._cache.keep_frame(rows)
        return PaletteMaps(self._palette, rows)

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
        if (own := self._for(region)) is not self:
            return own.render(region, watch)
        sheet = make_sheet(region, self.style)
        watch.lap("sample")
        return self.render_sheet(sheet, watch)

    def render_sheet(self, sheet: Sheet, watch: Stopwatch | None = None) -> Picture:
        """Draw a sheet that `make_sheet` has sampled with the style of this renderer.

        Parameters
        ----------
        sheet : Sheet
            The sheet of a region.
        watch : Stopwatch, optional
            Stopwatch that records the time of each stage.
        """
        watch = watch or Stopwatch()
        return replace(self._picture(sheet, watch), georeference=place_on_earth(sheet.view, self.style, sheet.crs))

    def _picture(self, sheet: Sheet, watch: Stopwatch) -> Picture:
        if sheet.no_data:  # its note needs matplotlib
            return self._rgb.picture(sheet, watch)
        if self._palette is None or self._maps is None:
            return self._rgb_for((sheet.title,)).picture(sheet, watch)
        ink = self._ink(sheet, self._palette.channel, watch)
        if isinstance(self._maps, PaletteMaps):
            picture: Picture | None = self._maps.picture(sheet.codes, sheet.place, ink, sheet.title)
        else:
            light = next((mark for layer in layers_with_light(self.style)[0] for mark in layer.draw(sheet)), None)
            watch.lap("light")
            picture = self._maps.picture(sheet, light, ink)
        watch.lap("compose")
        return picture or self._rgb.picture(sheet, watch)

    def _for(self, region: Region) -> MapRenderer:
        """Return a renderer with the color scale of one region, or this renderer if all regions share the scale."""
        shared = self.style.shared
        if shared.config.colors.scale != "region" or not isinstance(region, Region):
            return self
        region = region.at(shared.description.get("time"))
        crs = shared.crs_of(region)
        view = View.of(region, crs, self.style.layout.panel, shared.config.map.fit)
        own = shared.with_scale_of(view.panel, crs)
        return self if own is shared else MapRenderer(own)

    def _ink(self, sheet: Sheet, channel: int | None, watch: Stopwatch) -> Ink:
        """Return the ink of a map: from an earlier run, or drawn now."""
        kept = self._cache.entry(sheet) if self._cache else None
        panel, on_sheet = (kept.panel(), kept.sheet()) if kept else (None, None)
        watch.lap("ink")
        if panel is None:
            panel = self._inks_for(()).ink_in_panel(sheet, channel, watch)
            if kept:
                kept.keep_panel(panel)
                watch.lap("ink")
        if on_sheet is None:
            on_sheet = self._sheet_inks(sheet.title).ink_on_sheet(sheet, watch)
            if kept:
                kept.keep_sheet(on_sheet)
                watch.lap("ink")
        return Ink(panel, on_sheet)

    def figure(self, region: Region) -> Figure:
        """Draw one region as a matplotlib figure. Its first axes is a `cartopy.mpl.geoaxes.GeoAxes`.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster.
        RegionError
            If the region cannot be projected, or its row lacks a field of the title.
        """
        from regionplot.render.figure import draw_figure  # noqa: PLC0415 (imports matplotlib)
        from regionplot.render.style import plain_style  # noqa: PLC0415

        style = self._for(region).style
        with plain_style():
            return draw_figure(make_sheet(region, style), style)

    def render_vectors(self, region: Region) -> FigurePicture:
        """Draw one region for a vector format, such as PDF and SVG.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster.
        RegionError
            If the region cannot be projected, or its row lacks a field of the title.
        """
        from regionplot.render.style import plain_style  # noqa: PLC0415 (imports matplotlib)
        from regionplot.render.vector import draw_vectors  # noqa: PLC0415

        style = self._for(region).style
        with plain_style():
            return draw_vectors(make_sheet(region, style), style)

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
        writer = self._writer if format is None else make_writer(self.style.shared.config.output, format)
        return encode(picture, writer, metadata or {})

    @cached_property
    def _writer(self) -> AnyWriter:
        return make_writer(self.style.shared.config.output)
