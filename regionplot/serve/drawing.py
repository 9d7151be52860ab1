"""Draw what requests ask for, from the data of one generation. Workers do this, one request at a time."""

from __future__ import annotations

import io
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj

from regionplot.errors import ConfigError, NoOverlapError, RegionError, RegionplotError
from regionplot.geo.crs import is_drawable
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.foreign_crs import parse_code
from regionplot.geo.project import project_extent
from regionplot.geo.sampling import sample
from regionplot.geo.upright import Upright, upright
from regionplot.inputs.color_tables import RgbBands
from regionplot.layers.base import Layer
from regionplot.render.choose import make_renderer
from regionplot.render.panels import PanelCanvases, PanelImage, PanelPainter, PanelStyle
from regionplot.runs.digests import MapDigests
from regionplot.runs.task import image_metadata
from regionplot.serve.catalog import FORMATS, SHEET_FORMATS, Box
from regionplot.serve.fields import LoadedField
from regionplot.serve.generation import Generation, is_north_first
from regionplot.serve.metatiles import MetatileRequest
from regionplot.serve.parameters import OWN_CRS, RequestError, check_pixels
from regionplot.serve.recolored import PixelPainter, recolored, recolored_for
from regionplot.serve.recoloring import Recoloring
from regionplot.serve.request import (
    RASTER,
    Drawing,
    LegendRequest,
    MapRequest,
    Point,
    RegionRequest,
    StackRequest,
    ValueRequest,
)
from regionplot.settings.serve import ServeSettings
from regionplot.shared.data import SharedData
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import make_writer
from regionplot.writers.png_format import encode_transparent_png

_COMPRESSION = 1
_QUALITY = 85
_MAX_SHEETS = 4
"""Number of renderers of whole sheets that are kept: for suffixes and sizes."""


@dataclass(frozen=True)
class Answer:
    """The content of an answer."""

    content: bytes
    media_type: str
    stages: Mapping[str, float]
    """Seconds of each stage."""
    parts: tuple[int, ...] = ()
    """Sizes of the contents of several tiles, which follow one another. Empty: there is one content."""


@dataclass(frozen=True)
class _RequestCrs:
    """The CRS that a request names."""

    upright: Upright
    is_north_first: bool
    """True if the authority defines the order latitude, longitude or northing, easting."""

    def point(self, x: float, y: float, *, authority_axes: bool) -> tuple[float, float]:
        """Return a point in the CRS with the axes x and y."""
        own = (y, x) if authority_axes and self.is_north_first else (x, y)
        if self.upright.change.is_identity:
            return own
        ((found_x, found_y),) = self.upright.points(np.array([own])).tolist()
        return found_x, found_y

    def extent(self, box: Box, *, authority_axes: bool) -> Extent:
        """Return a box in the CRS with the axes x and y."""
        (x0, y0), (x1, y1) = (self.point(*corner, authority_axes=authority_axes) for corner in (box[:2], box[2:]))
        return Extent(min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1))


@lru_cache(maxsize=32)
def _parsed_crs(code: str) -> _RequestCrs:
    try:
        crs = parse_code(code)
    except ConfigError:
        crs = None
    if crs is None or not is_drawable(crs):
        raise RequestError(f"the CRS {code} is unknown, or cannot be drawn", 400, "InvalidCRS", "crs")
    return _RequestCrs(upright(crs), is_north_first(crs))


class Drawer:
    """Draw for one generation.

    Parameters
    ----------
    generation : Generation
        The loaded data.
    """

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._canvases = PanelCanvases()
        self._painters = {key: PanelPainter(each.data, self._canvases) for key, each in generation.fields.items()}
        self._sheets: OrderedDict[Any, _Sheets] = OrderedDict()
        self._draw: dict[type, Callable[[Any, Stopwatch], tuple[bytes, str]]] = {
            MapRequest: self._map,
            StackRequest: self._stack,
            RegionRequest: self._region,
            ValueRequest: self._value,
            LegendRequest: self._legend,
        }

    def warm(self) -> None:
        """Draw and import what requests need, so that forked workers inherit it."""
        catalog = self._generation.catalog
        for painter in self._painters.values():
            painter.prepare()
        for product in catalog.products.values():
            xmin, ymin, xmax, ymax = product.own_bounds
            layers = (RASTER, *product.overlays)
            key = product.field("").key
            for code in dict.fromkeys((product.crs, *catalog.boxes[product.name])):
                box = catalog.boxes[product.name].get(code, (xmin, ymin, xmax, ymax))
                for name in FORMATS:
                    self(MapRequest(key, layers, box, code or OWN_CRS, 64, 64, name, name != "jpeg"))
        for region in list(catalog.regions)[:1]:
            with suppress(RequestError):  # the region may lie outside the raster
                self(RegionRequest(catalog.default_product.field("").key, region, "png"))

    def __call__(self, drawing: Drawing | MetatileRequest) -> Answer:
        """Draw one request.

        Raises
        ------
        RequestError
            If the request cannot be drawn.
        RegionplotError
            If the data cannot be read.
        """
        watch = Stopwatch()
        if isinstance(drawing, MetatileRequest):
            tiles = self._metatile(drawing, watch)
            return Answer(b"".join(tiles), FORMATS[drawing.whole.format], watch.seconds, tuple(map(len, tiles)))
        content, media_type = self._draw[type(drawing)](drawing, watch)
        return Answer(content, media_type, watch.seconds)

    def _map(self, request: MapRequest, watch: Stopwatch) -> tuple[bytes, str]:
        content = encode_image(self._panel(request, watch), request.format)
        watch.lap("encode")
        return content, FORMATS[request.format]

    def _stack(self, request: StackRequest, watch: Stopwatch) -> tuple[bytes, str]:
        from PIL import Image  # noqa: PLC0415 (few requests)

        first = request.maps[0]
        clear = [self._panel(replace(each, transparent=True), watch).rgba for each in request.maps]
        paper = "#ffffff00" if first.transparent else first.background or "#ffffff"
        image = Image.new("RGBA", clear[0].shape[1::-1], paper)
        for each in clear:
            image.alpha_composite(Image.fromarray(each))
        content = encode_image(PanelImage(np.asarray(image), None), first.format)
        watch.lap("encode")
        return content, FORMATS[first.format]

    def _metatile(self, request: MetatileRequest, watch: Stopwatch) -> list[bytes]:
        """Draw a metatile and return its tiles, row by row."""
        whole = self._panel(request.whole, watch)
        height, width = request.whole.height // request.rows, request.whole.width // request.columns
        tiles = [
            encode_image(PanelImage(np.ascontiguousarray(tile), whole.palette), request.whole.format)
            for row in np.split(whole.image, range(height, request.whole.height, height))
            for tile in np.split(row, range(width, request.whole.width, width), axis=1)
        ]
        watch.lap("encode")
        return tiles

    def _panel(self, request: MapRequest, watch: Stopwatch) -> PanelImage:
        field, crs = self._generation.fields[request.field], self._crs(request.field, request.crs)
        extent = _extent(request, crs)
        panel = PanelGrid(extent, *_size(request, extent, self._generation.catalog.settings))
        style = self._style(request, field, crs.upright.crs)
        watch.lap("prepare")
        painter = self._painter(request.field, request.recoloring, panel, crs.upright.crs)
        return painter.draw(panel, crs.upright.crs, style, watch)

    def _crs(self, field: str, code: str) -> _RequestCrs:
        """Return the CRS of a code, or the CRS of the maps of a field."""
        if code != OWN_CRS:
            return _parsed_crs(code)
        return _RequestCrs(upright(self._generation.fields[field].data.crs), is_north_first=False)

    def _painter(self, key: str, recoloring: Recoloring | None, panel: PanelGrid, crs: pyproj.CRS) -> PanelPainter:
        """Return the painter of a field. If the request chooses colors, it is made for this image."""
        if recoloring is None:
            return self._painters[key]
        data = recolored_for(self._generation.fields[key].data, recoloring, panel, crs)
        return PixelPainter(data, self._canvases)

    def _style(self, request: MapRequest, field: LoadedField, crs: pyproj.CRS) -> PanelStyle:
        names = request.layers
        layers: Mapping[str, Layer] = field.layers_in(crs) if set(names) - {RASTER} else {}
        place = names.index(RASTER) if RASTER in names else 0
        below = tuple(layers[name] for name in names[:place])
        above = tuple(layers[name] for name in names[place:] if name != RASTER)
        background = None if request.transparent else request.background or field.data.config.map.background
        return PanelStyle(below, RASTER in names, above, request.dpi, background)

    def _region(self, request: RegionRequest, watch: Stopwatch) -> tuple[bytes, str]:
        key = request.field, request.suffix, request.width, request.height
        sheets = self._sheets.pop(key, None) or _Sheets.of(self._generation.fields[request.field].data, request)
        while len(self._sheets) >= _MAX_SHEETS:
            self._sheets.popitem(last=False)
        self._sheets[key] = sheets
        region = self._generation.regions[request.region]
        try:
            return sheets.draw(region, watch), SHEET_FORMATS[request.suffix]
        except NoOverlapError:
            raise RequestError("the region lies outside the raster", 404, "NotFound") from None
        except RegionError:
            raise RequestError("the region cannot be drawn", 404, "NotFound") from None

    def _value(self, request: ValueRequest, watch: Stopwatch) -> tuple[bytes, str]:
        """Return the point in the order x, y, and the values of all fields as JSON."""
        crs = self._crs(request.fields[0], request.point.crs)
        x, y = _coordinates(request.point, crs)
        fields = [self._generation.fields[key].data for key in request.fields]
        values = [value_at(data, x, y, crs.upright.crs) for data in fields]
        watch.lap("sample")
        found = {"x": x, "y": y, "values": values, "units": fields[0].info.units}
        return json.dumps(found).encode(), "application/json"

    def _legend(self, request: LegendRequest, watch: Stopwatch) -> tuple[bytes, str]:
        from regionplot.render.key_image import draw_key  # noqa: PLC0415 (few requests)

        data = self._generation.fields[request.field].data
        if request.recoloring is not None:
            data = recolored(data, request.recoloring)
        image = draw_key(data, request.width, request.height, request.dpi)
        watch.lap("draw")
        return encode_image(PanelImage(image, None), request.format), FORMATS[request.format]


def _coordinates(point: Point, crs: _RequestCrs) -> tuple[float, float]:
    """Return a point in the CRS with the axes x and y."""
    if point.box is None:
        return crs.point(point.x, point.y, authority_axes=point.authority_axes)
    extent = crs.extent(point.box, authority_axes=point.authority_axes)
    x = extent.xmin + (point.pixel[0] + 0.5) * extent.width / point.size[0]
    return x, extent.ymax - (point.pixel[1] + 0.5) * extent.height / point.size[1]


def _extent(request: MapRequest, crs: _RequestCrs) -> Extent:
    """Return the limits of a map in its CRS."""
    own = _parsed_crs(request.box_crs) if request.box_crs else crs
    extent = own.extent(request.box, authority_axes=request.authority_axes)
    if own is crs:
        return extent
    try:
        return project_extent(extent, own.upright.crs, crs.upright.crs)
    except RegionplotError:
        raise RequestError("the box cannot be projected to this CRS", locator="crs") from None


def _size(request: MapRequest, extent: Extent, settings: ServeSettings) -> tuple[int, int]:
    """Return width and height of a map. If the request lacks one of them, pixels have equal sides."""
    width, height = request.width, request.height
    if width and height:
        return width, height
    width = width or min(max(1, round(height * extent.width / extent.height)), settings.max_side)
    height = height or min(max(1, round(width * extent.height / extent.width)), settings.max_side)
    check_pixels(width, height, settings)
    return width, height


def value_at(data: SharedData, x: float, y: float, crs: pyproj.CRS) -> float | str | None:
    """Return the value of the cell at a point, in the units of the raster.

    Returns
    -------
    float, str or None
        A color such as `#a0b0c0` for a raster in true color. None outside the raster, and for missing cells.
    """
    half = max(abs(x), abs(y), 1.0) * 1e-9
    panel = PanelGrid(Extent(x - half, x + half, y - half, y + half), 1, 1)
    cells = data.read_panel(panel, crs)
    if cells is None:
        return None
    is_color = isinstance(data.coloring, RgbBands)
    found = sample(*cells, panel, crs, fill=0 if is_color else None).values[0, 0]
    if is_color:
        red, green, blue, opacity = np.array([found]).view(np.uint8).tolist()
        return f"#{red:02x}{green:02x}{blue:02x}" if opacity else None
    value = float(found)
    return value if math.isfinite(value) else None


def encode_image(image: PanelImage, name: str) -> bytes:
    """Return the content of a file.

    Parameters
    ----------
    image : PanelImage
        The image.
    name : str
        Name of the format, a key of `catalog.FORMATS`.
    """
    if name == "png":
        return encode_transparent_png(image.image, image.palette, _COMPRESSION)
    from PIL import Image  # noqa: PLC0415 (not all services need it)

    rgba, file = Image.fromarray(image.rgba), io.BytesIO()
    if name == "jpeg":
        rgba.convert("RGB").save(file, "JPEG", quality=_QUALITY)
    else:
        rgba.save(file, "WEBP", lossless=True, quality=20, method=1)
    return file.getvalue()


@dataclass(frozen=True)
class _Sheets:
    """Draw the maps of regions as a run does."""

    renderer: Any
    digests: MapDigests
    skips_empty: bool
    needs_pixels: bool

    @classmethod
    def of(cls, data: SharedData, request: RegionRequest) -> _Sheets:
        config = data.config
        if request.width:
            size = {"size": (request.width, request.height)}
            config = config.model_copy(update={"map": config.map.model_copy(update=size)})
        if f".{request.suffix}" not in type(make_writer(config.output)).suffixes:
            name = {"filename": f"{{name}}.{request.suffix}"}
            config = config.model_copy(update={"output": config.output.model_copy(update=name)})
        data = data.with_config(config.with_facts(data.config.facts))
        needs_pixels = make_writer(config.output).needs == "pixels"
        return cls(make_renderer(data), MapDigests(data), config.map.empty == "skip", needs_pixels)

    def draw(self, region: Any, watch: Stopwatch) -> bytes:
        digest = self.digests.of(region)
        picture = self.renderer.render(region, watch) if self.needs_pixels else self.renderer.render_vectors(region)
        if picture.no_data and self.skips_empty:
            raise RequestError("the region has no data", 404, "NotFound")
        content: bytes = self.renderer.encode(picture, metadata=image_metadata(picture, region, digest, self.digests))
        watch.lap("encode")
        return content
