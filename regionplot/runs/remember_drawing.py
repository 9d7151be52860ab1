"""Write the record from which `runs.repeat` draws the maps of a run again. The raster must be a GeoTIFF with levels.

Such a run reads a GeoTIFF with GDAL alone, classifies the cells or pixels by levels, and samples without GDAL. The ink
of its maps is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from regionplot.colors.choose import classifier_of
from regionplot.colors.classifier import LevelClassifier
from regionplot.errors import RegionplotError
from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import executor_class
from regionplot.geo.known_positions import is_known
from regionplot.geo.region import Region
from regionplot.geo.sampling import known_positions
from regionplot.inputs.drivers import raster_driver
from regionplot.inputs.gdal import opened
from regionplot.inputs.profile import raster_profile
from regionplot.inputs.reading import FileSource, check_unchanged
from regionplot.inputs.source import RasterInfo
from regionplot.inputs.statement import statement_about
from regionplot.layers.title import title_of
from regionplot.render.ink_cache import InkCache
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, place_on_earth
from regionplot.runs.digests import MapDigests
from regionplot.runs.known_band import band_from, band_items
from regionplot.runs.known_drawing import KnownDrawing, KnownPalette, KnownSheet, write_known_drawing
from regionplot.runs.plausibility import can_be_for_other_data
from regionplot.runs.report import RunReport
from regionplot.runs.task import RenderTask
from regionplot.sheet.view import View
from regionplot.writers.png import PngSettings


def remember_drawing(task: RenderTask, report: RunReport) -> str:
    """Write the record of a run, if its maps can be drawn again from such a record.

    Parameters
    ----------
    task : RenderTask
        The task that drew the maps.
    report : RunReport
        Report of the run. All its maps are up to date.

    Returns
    -------
    str
        Name of the record. Empty: there is no record.
    """
    regions = [outcome.job.region for outcome in report.outcomes]
    abilities = executor_class(report.start_method).abilities
    if not (abilities.shares_memory and abilities.survives_crashes):
        return ""
    with suppress(RegionplotError), task.renderer() as renderer:  # the raster can be replaced meanwhile
        drawing = _drawing_of(renderer, task.digests, regions)
        return "" if drawing is None else write_known_drawing(drawing)
    return ""


def _drawing_of(renderer: MapRenderer, digests: MapDigests, regions: Sequence[Region]) -> KnownDrawing | None:
    style, kept = renderer.style, renderer.kept
    source, config = style.shared.source, style.shared.config
    writer, run = config.output.writer_settings, config.run
    classifier = classifier_of(style.shared.coloring, config.colors, style.shared.info.units)
    if not (
        kept
        and kept[1].knows_all(regions)
        and isinstance(source, FileSource)
        and isinstance(classifier, LevelClassifier)
        and isinstance(writer, PngSettings)
        and run.worker_memory == "auto"
        and not config.output.world_file
        and _has_plain_cells(style)
    ):
        return None
    sheets = {region.name: _sheet(region, style, kept[1], digests) for region in regions}
    known = {name: sheet for name, sheet in sheets.items() if sheet is not None}
    if len(known) < len(sheets):
        return None
    maps, ink = kept
    return KnownDrawing(
        profile=_profile(source.info),
        band=band_from(band_items(source.info)),
        options=source.options,
        window=style.shared.plan.window,
        memory=None if run.memory == "auto" else run.memory,
        columns_per_turn=style.shared.geometry.columns_per_turn,
        resampling=config.raster.resampling,
        classifier=classifier,
        needs_class=can_be_for_other_data(config),
        palette=KnownPalette(maps.palette.colors, maps.palette.shaded, maps.palette.framed, maps.palette.hatch),
        frame_key=ink.frame_key,
        size=style.layout.size,
        compression=writer.compression,
        limits=WorkerSettings(run.timeout, run.maps_per_worker, run.retries, None, run.nice),
        sheets=known,
    )


def _has_plain_cells(style: Style) -> bool:
    """Return True if maps need nothing but loaded cells of a GeoTIFF, and cells for `nearest` were classified."""
    shared = style.shared
    is_nearest = shared.config.raster.resampling == "nearest"
    return (
        raster_driver(shared.info.path) == "GTiff"
        and not shared.plan.reads_per_map
        and not any(layer.wants_values for layer in shared.layers)
        and (shared.codes is not None) == is_nearest
        and style.cell_codes is shared.codes
    )


def _sheet(region: Region, style: Style, ink: InkCache, digests: MapDigests) -> KnownSheet | None:
    """Return the kept facts about a map. Return None if the positions of its pixels cannot be kept."""
    shared, config = style.shared, style.shared.config
    crs = shared.crs_of(region)
    view = View.of(region, crs, style.layout.panel, config.map.fit)
    title = title_of(region, config.map, shared.description)
    resampling = config.raster.resampling
    positions = known_positions(shared.geometry, view.panel, crs, resampling)
    if positions is None or not is_known(positions, shared.geometry.lattice, resampling):
        return None
    return KnownSheet(
        digests.basis(region),
        positions,
        view.place(style.layout.size),
        view.requested_area,
        title,
        *ink.keys(region, view, title),
        place_on_earth(view, style, crs).text,
    )


def _profile(info: RasterInfo) -> str:
    if (stated := statement_about(info.path)) is not None:
        return stated.profile
    with opened(info.path) as dataset:
        profile = raster_profile(dataset)
    check_unchanged(info)
    return profile
