"""Write the record of a run whose maps are up to date (`runs.known`), if it is certain what the maps depend on."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from regionplot import sample
from regionplot.executors.choose import executor_class
from regionplot.inputs.drivers import raster_driver
from regionplot.inputs.remote import has_changing_name
from regionplot.inputs.stores import is_store
from regionplot.regions.features import is_vector_file
from regionplot.registry import EXECUTORS, LAYERS, WRITERS
from regionplot.runs.certainty import are_local, is_up_to_date, with_certain_raster
from regionplot.runs.facts import RunFacts
from regionplot.runs.filenames import assign_file_names
from regionplot.runs.identity import InputFiles, are_older
from regionplot.runs.known import KnownMap, KnownRun, write_known_run
from regionplot.runs.report import RunReport
from regionplot.runs.task import RenderTask
from regionplot.runs.texts import has_searched_fonts
from regionplot.settings.config import Config
from regionplot.settings.field import FieldSettings
from regionplot.system.marks import Marks

_WHOLE = frozenset({"AAIGrid", "GRIB", "GTiff", "JP2OpenJPEG", "SRTMHGT", "netCDF"})
"""Drivers of formats whose data are in the file, or in files beside it that have the same name without the suffix."""
_MAPS = Path("/proc/self/maps")
_LIBRARY = re.compile(r" (/\S.*\.so(?:\.[\w.]+)?)$", re.MULTILINE)


class RunMemory:
    """The inputs of a run, as they were before the run read them.

    Parameters
    ----------
    name : str
        Name of the record: the digest of the program and the command, before the run.
    table : Path
        Table of regions.
    config_path : Path or None
        Settings file.
    """

    def __init__(self, name: str, table: Path, config_path: Path | None) -> None:
        self._name = name
        self._config_path = config_path
        self._began = time.time()
        self._with_parts: tuple[Path, ...] = (table,) if is_vector_file(table) else ()
        tables = () if self._with_parts else (table,)
        self._plain = tables if config_path is None else (*tables, config_path)
        self._marks = InputFiles(self._plain, self._with_parts).marks()

    def add_inputs(self, config: Config) -> None:
        """Record the marks of the raster and the vectors. Called before these files are read."""
        found = config.raster.path, *_vectors(config)
        self._with_parts += found
        self._marks.update(InputFiles((), found).marks())

    def write(self, config: Config, report: RunReport, raster_pattern: str, task: RenderTask | None) -> None:
        """Write the record, if the maps are up to date, and if everything that they depend on is known and unchanged.

        Parameters
        ----------
        config : Config
            Settings of the run.
        report : RunReport
            Report of the run.
        raster_pattern : str
            Path of the raster as the settings state it, with times and wildcards.
        task : RenderTask or None
            The task that drew the maps. None if no map was drawn.
        """
        path = config.raster.path
        if has_changing_name(path) or is_store(path) or config.raster.asset is not None:
            return
        marks = self._certain_marks(str(config.raster.path))
        if marks is None or not (is_up_to_date(report) and _is_plain(config, report)):
            return
        inputs = InputFiles((*self._plain, *_libraries()), self._with_parts)
        regions = [outcome.job.region for outcome in report.outcomes]
        digests = [outcome.value.digest for outcome in report.outcomes]
        named = zip(assign_file_names(regions, config), digests, strict=True)
        known = KnownRun(
            facts=RunFacts.of(config),
            config_path=self._config_path,
            raster_pattern=str(config.raster.path) if raster_pattern.startswith(sample.PREFIX) else raster_pattern,
            cycle=config.raster.cycle,
            settle=config.raster.settle,
            start_method=report.start_method,
            workers=report.workers,
            inputs=inputs,
            marks={**inputs.marks(), **marks},
            drawing=_remember_drawing(task, report) if task is not None and _can_repeat(config) else "",
            maps=tuple(KnownMap(region, file, digest) for (region, file), digest in named),
        )
        write_known_run(self._name, known)

    def _certain_marks(self, raster: str) -> Marks | None:
        """Return the marks of the inputs, or None if they do not prove that no input has changed since the run began.

        If the mark of the raster is uncertain, this mark is None.
        """
        if InputFiles(self._plain, self._with_parts).marks() != self._marks:
            return None
        marks = with_certain_raster(self._marks, raster, self._began)
        others = {path: mark for path, mark in marks.items() if path != raster}
        return marks if are_older(others, self._began) and are_local(others) else None


def _can_repeat(config: Config) -> bool:
    """Return True if only the raster decides what the next run draws."""
    return not (config.publish.is_active or config.regions.tracks)


def _remember_drawing(task: RenderTask, report: RunReport) -> str:
    from regionplot.runs.remember_drawing import remember_drawing  # noqa: PLC0415 (imports the renderer)

    return remember_drawing(task, report)


def _vectors(config: Config) -> Iterator[Path]:
    """Yield the files that the settings of layers, colors, style and tracks name."""
    yield from (path for path in (config.colors.file, config.map.style) if isinstance(path, Path))
    yield from config.regions.tracks.values()
    for settings in (each for tables in config.layers.values() for each in tables):
        yield from (value for _, value in settings if isinstance(value, Path))


def _has_fields(config: Config) -> bool:
    """Return True if a layer reads a raster. Libraries can read further files beside such a file."""
    settings = (each for tables in config.layers.values() for each in tables)
    return any(isinstance(value, FieldSettings) for each in settings for _, value in each)


def _is_plain(config: Config, report: RunReport) -> bool:
    """Return True if the run used only inputs and code that `runs.identity` covers."""
    return (
        config.run.cache
        and not config.prepare
        and not config.raster.inputs
        and config.raster.minus is None
        and not config.map.functions
        and config.run.on_published is None
        and not config.statistics.is_active
        and all(name in LAYERS.builtin for name in config.layers)
        and not _has_fields(config)
        and config.output.format in WRITERS.builtin
        and report.start_method in EXECUTORS.builtin
        and executor_class(report.start_method).abilities.shares_memory
        and raster_driver(config.raster.path) in _WHOLE
        and not has_searched_fonts()
    )


def _libraries() -> list[Path]:
    """Return the shared libraries that this process has loaded from outside the folders of Python packages.

    The system can upgrade them, for example GDAL. The libraries in packages change only with their packages.
    """
    folders = tuple(f"{folder}/" for folder in sys.path if folder)
    found = set(_LIBRARY.findall(_MAPS.read_text(encoding="utf-8", errors="surrogateescape")))
    return [Path(path) for path in sorted(found) if not path.startswith(folders)]
