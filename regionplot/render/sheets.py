"""Sample and classify the raster for one region's sheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from regionplot import text
from regionplot.colors.base import Codes, Scale
from regionplot.colors.choose import key_of
from regionplot.colors.classes import Classes, ClassScale
from regionplot.colors.numbers import ColorScale
from regionplot.colors.truecolor import TrueColorScale
from regionplot.errors import ConfigError, NoOverlapError, RegionError
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.geo.sampling import sample
from regionplot.inputs.color_tables import RgbBands
from regionplot.render import artists
from regionplot.shared.data import SharedData
from regionplot.sheet.layout import Layout
from regionplot.sheet.view import View


def scale_of(shared: SharedData) -> Scale:
    """The scale that suits a raster and its config."""
    match shared.coloring:
        case Classes() as classes:
            return ClassScale.of(classes, shared.config)
        case RgbBands() as coloring:
            return TrueColorScale(coloring, shared.config.map.background)
        case _:
            return ColorScale.of(shared.config, shared.cells_drawn)


NO_DATA = "no data"


@dataclass(frozen=True)
class Style:
    """What all sheets of a run have in common: layout, colours, label."""

    shared: SharedData
    layout: Layout
    scale: Scale
    description: Mapping[str, object]
    codes: Codes | None
    """The scale's code of every cell, where that is less work than the code of every pixel."""

    @classmethod
    def of(cls, shared: SharedData, maps: int = 1) -> Style:
        """The style of a run of so many maps, from its config and its raster."""
        config = shared.config
        if "time" in text.fields_of(config.map.title) and "time" not in shared.description:
            raise ConfigError(f"[map] title: {config.map.title!r}: {config.raster.path} does not tell its time")
        scale, layout = scale_of(shared), Layout.of(config, key_of(shared.coloring))
        pixels = maps * layout.panel.width * layout.panel.height
        are_cells = config.raster.resampling == "nearest" and not shared.plan.windowed
        codes = scale.codes_of_cells(shared.cells_drawn, pixels) if are_cells else None
        return cls(shared, layout, scale, shared.description, codes)

    @cached_property
    def label(self) -> str:
        """The colour bar's, or the legend's."""
        given = self.shared.config.colors.label
        if given is not None:
            return text.plain_text(given)
        return text.colorbar_label(str(self.description["long_name"]), str(self.description["units"]))


@dataclass(frozen=True)
class Sheet:
    """One region's map, sampled and coloured, ready to be drawn."""

    style: Style
    region: Region
    view: View
    codes: Codes
    """The panel's colours as codes of the scale, shape (height, width), row 0 in the north."""
    no_data: bool
    """Nothing but nodata within the region's limits."""

    @classmethod
    def of(cls, region: Region, style: Style) -> Sheet:
        """Sample the raster for a region.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster.
        RegionError
            If it cannot be projected.
        """
        shared, config = style.shared, style.shared.config
        view = View.of(region, shared.crs, style.layout.panel, config.map.fit)
        codes, inside = _sampled(style, view)
        if not view.asked_pixels(inside).any():
            raise NoOverlapError(no_overlap_message(region.extent, _raster_extent(shared, region)))
        return cls(style, region, view, codes, bool((view.asked_pixels(codes) == style.scale.nodata).all()))

    @property
    def image(self) -> NDArray[np.uint8]:
        """The panel's colours, shape (height, width, 4), opaque."""
        return self.style.scale.rgba(self.codes)

    @property
    def title(self) -> str:
        """The title, filled in."""
        return title_of(self.region, self.style.shared)

    def artists_above(self, axes: Axes) -> Iterator[Artist]:
        """All that is drawn over the raster, from the lowest to the topmost."""
        yield from self.layer_artists(axes)
        if self.no_data:
            yield artists.note_text(NO_DATA, self.style.layout, self.view.box)
        yield artists.neatline(self.view.box, self.style.layout)
        figure = axes.get_figure(root=True)
        assert figure is not None, "axes of a panel stand on a sheet"
        yield self.title_artist(figure)

    def layer_artists(self, axes: Axes) -> Iterator[Artist]:
        """The vector layers, from the lowest to the topmost."""
        for layer in self.style.shared.features:
            yield from artists.layer_artists(layer, self.view.panel, axes)

    def title_artist(self, figure: Figure) -> Artist:
        """The title above the panel."""
        return artists.title_text(self.title, self.style.layout, figure)


def _sampled(style: Style, view: View) -> tuple[Codes, NDArray[np.bool_]]:
    """The scale's code for each pixel of a panel, and whether the pixel lies within the raster."""
    shared, panel, scale = style.shared, view.panel, style.scale
    if style.codes is not None:
        found = sample(style.codes, shared.geometry, panel, shared.crs, fill=scale.nodata)
        return found.values, found.inside
    cells = shared.cells(panel)
    if cells is None:
        shape = (panel.height, panel.width)
        return np.full(shape, scale.nodata, np.uint32), np.broadcast_to(np.False_, shape)
    found = scale.sample(*cells, panel, shared.crs, shared.config.raster.resampling)
    return found.values, found.inside


def title_of(region: Region, shared: SharedData) -> str:
    """The title of a region's map.

    Raises
    ------
    RegionError
        If the region's row lacks a field of it.
    """
    try:
        fields = title_fields(region, shared.description)
        return text.plain_text(text.render(shared.config.map.title, fields))
    except text.TemplateError as error:
        raise RegionError(f"[map] title: {error}") from None


def title_fields(region: Region, description: Mapping[str, object]) -> dict[str, Any]:
    """What a title template may use: the region's columns before the raster's metadata."""
    return {**description, **region.fields}


def no_overlap_message(region: Extent, raster: Extent) -> str:
    """Why no pixel lies within the raster."""
    meet = (
        region.xmin < raster.xmax and raster.xmin < region.xmax
        and region.ymin < raster.ymax and raster.ymin < region.ymax
    )  # fmt: skip
    if meet:
        return f"the raster ({raster}) is not to be seen at the scale of the region ({region}); give it a smaller one"
    return f"the region ({region}) does not overlap the raster ({raster})"


def _raster_extent(shared: SharedData, region: Region) -> Extent:
    """The raster's limits in the CRS of the region's, so that the two can be compared."""
    target = shared.crs if region.crs is None else parse_crs(region.crs)
    return project_extent(shared.info.geometry.extent, shared.info.geometry.crs, target)
