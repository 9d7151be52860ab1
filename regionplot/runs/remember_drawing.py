"""Write the record from which `runs.repeat` draws the maps of a run again, if their raster is of a plain kind.

Such a run reads a GeoTIFF with GDAL alone, classifies the cells by levels, and maps have the rows and columns of the
raster. Their ink is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from regionplot.colors.choose import classifier_of
from regionplot.colors.classifier import LevelClassifier
from regionplot.errors import RegionplotError
from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import executor_class
from regionplot.geo.crs import same_crs
from regionplot.geo.region import Region
from regionplot.geo.sampling import cells_by_axis
from regionplot.inputs.drivers import raster_driver
from regionplot.inputs.gdal import opened
from regionplot.inputs.profile import raster_profile
from regionplot.inputs.reading import FileSource, check_unchanged
from regionplot.inputs.source import RasterInfo
from regionplot.layers.title import title_of
from regionplot.render.ink_cache import InkCache
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style
from regionplot.runs.digests import MapDigests
from regionplot.runs.known_drawing import (
    KnownBand,
    KnownDrawing,
    KnownPalette,
    KnownSheet,
    write_known_drawing,
)
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
        and _picks_cells(style)
    ):
        return None
    maps, ink = kept
    return KnownDrawing(
        profile=_profile(source.info),
        band=_band(source.info),
        options=source.options,
        window=style.shared.plan.window,
        memory=None if run.memory == "auto" else run.memory,
        classifier=classifier,
        needs_class=can_be_for_other_data(config),
        palette=KnownPalette(maps.palette.colors, maps.palette.shaded, maps.palette.framed),
        frame_key=ink.frame_key,
        size=style.layout.size,
        compression=writer.compression,
        limits=WorkerSettings(run.timeout, run.maps_per_worker, run.retries, None, run.nice),
        sheets={region.name: _sheet(region, style, ink, digests) for region in regions},
    )


def _picks_cells(style: Style) -> bool:
    """Return True if pixels are loaded cells of a GeoTIFF, in rows and columns that are those of the panel."""
    shared = style.shared
    return (
        shared.codes is not None
        and style.cell_codes is shared.codes
        and raster_driver(shared.info.path) == "GTiff"
        and shared.geometry.is_axis_aligned
        and same_crs(shared.crs, shared.geometry.crs)
    )


def _sheet(region: Region, style: Style, ink: InkCache, digests: MapDigests) -> KnownSheet:
    shared, config = style.shared, style.shared.config
    view = View.of(region, shared.crs, style.layout.panel, config.map.fit)
    title = title_of(region, config.map.title, shared.description)
    cells = cells_by_axis(shared.geometry, view.panel, shared.crs)
    assert cells is not None, "see _picks_cells"
    return KnownSheet(
        digests.basis(region),
        cells.columns.astype(np.int32),
        cells.rows.astype(np.int32),
        view.place(style.layout.size),
        view.requested_area,
        title,
        ink.key("panel", region, view, title),
        ink.key("sheet", region, view, title),
    )


def _profile(info: RasterInfo) -> str:
    with opened(info.path) as dataset:
        profile = raster_profile(dataset)
    check_unchanged(info)
    return profile


def _band(info: RasterInfo) -> KnownBand:
    return KnownBand(
        info.path, info.gdal_name, None, info.band, info.dtype, info.has_mask, info.mask_and_scale, info.stored,
        info.packing,
    )  # fmt: skip
