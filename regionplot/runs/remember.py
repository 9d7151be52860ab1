"""Write the record of a run whose maps are up to date (`runs.known`), if it is certain what the maps depend on."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from regionplot import sample
from regionplot.executors.choose import executor_class
from regionplot.inputs.arrival import LOCAL_FILE_SYSTEMS, file_system
from regionplot.inputs.drivers import raster_driver
from regionplot.registry import EXECUTORS, LAYERS, WRITERS
from regionplot.runs.facts import RunFacts
from regionplot.runs.filenames import assign_file_names
from regionplot.runs.identity import InputFiles, are_older
from regionplot.runs.known import KnownMap, KnownRun, write_known_run
from regionplot.runs.report import RunReport, state_of
from regionplot.runs.texts import has_searched_fonts
from regionplot.settings.config import Config

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
        self._plain = tuple(path for path in (table, config_path) if path is not None)
        self._marks = InputFiles(self._plain, ()).marks()
        self._rasters_and_vectors: tuple[Path, ...] = ()

    def add_inputs(self, config: Config) -> None:
        """Look at the raster and the vectors. Called before they are read."""
        self._rasters_and_vectors = (config.raster.path, *_vectors(config))
        self._marks.update(InputFiles((), self._rasters_and_vectors).marks())

    def write(self, config: Config, report: RunReport, raster_pattern: str) -> None:
        """Write the record, if the maps are up to date, and if everything that they depend on is known and unchanged.

        Parameters
        ----------
        config : Config
            Settings of the run.
        report : RunReport
            Report of the run.
        raster_pattern : str
            Path of the raster as the settings state it, with times and wildcards.
        """
        if not (_is_up_to_date(report) and _is_plain(config, report) and self._are_certain()):
            return
        inputs = InputFiles((*self._plain, *_libraries()), self._rasters_and_vectors)
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
            marks={**inputs.marks(), **self._marks},
            maps=tuple(KnownMap(region, file, digest) for (region, file), digest in named),
        )
        write_known_run(self._name, known)

    def _are_certain(self) -> bool:
        """Return True if the marks of the inputs prove that no input has changed since the run began."""
        inputs = InputFiles(self._plain, self._rasters_and_vectors)
        return inputs.marks() == self._marks and are_older(self._marks, self._began) and _are_local(self._marks)


def _vectors(config: Config) -> Iterator[Path]:
    """Yield the files that the settings of layers name."""
    for settings in (each for tables in config.layers.values() for each in tables):
        yield from (value for _, value in settings if isinstance(value, Path))


def _is_up_to_date(report: RunReport) -> bool:
    states = {state_of(outcome) for outcome in report.outcomes}
    return report.exit_code == 0 and bool(states) and states <= {"rendered", "unchanged"} and not report.removed


def _is_plain(config: Config, report: RunReport) -> bool:
    """Return True if the run used only inputs and code that `runs.identity` looks at."""
    return (
        config.run.cache
        and not config.prepare
        and not config.raster.inputs
        and not config.map.functions
        and all(name in LAYERS.builtin for name in config.layers)
        and config.output.format in WRITERS.builtin
        and report.start_method in EXECUTORS.builtin
        and executor_class(report.start_method).abilities.shares_memory
        and raster_driver(config.raster.path) in _WHOLE
        and not has_searched_fonts()
    )


def _are_local(paths: Iterable[str]) -> bool:
    """Return True if only processes on this machine can write to the files."""
    try:
        return {file_system(folder) for folder in {Path(path).parent for path in paths}} <= LOCAL_FILE_SYSTEMS
    except OSError:
        return False


def _libraries() -> list[Path]:
    """Return the shared libraries that this process has loaded from outside the folders of Python packages.

    The system can upgrade them, for example GDAL. The libraries in packages change only with their packages.
    """
    folders = tuple(f"{folder}/" for folder in sys.path if folder)
    found = set(_LIBRARY.findall(_MAPS.read_text(encoding="utf-8", errors="surrogateescape")))
    return [Path(path) for path in sorted(found) if not path.startswith(folders)]
