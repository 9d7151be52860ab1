"""Keep a record of a run whose maps are up to date, so that the next run can see at once that nothing has changed.

The name of a record is the digest of the program, of its environment and of the command (`identity.program_digest`). A
record is JSON in a private folder of the user's cache. If a record is missing, damaged or not private, a full run
follows.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from regionplot.executors.base import Outcome
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.facts import RunFacts
from regionplot.runs.identity import InputFiles
from regionplot.runs.jobs import Job
from regionplot.settings.patterns import Pattern
from regionplot.system.cache import trim, user_cache_folder
from regionplot.system.files import (
    PRIVATE_FILE,
    atomic_replace,
    make_private_folder,
    new_run,
    open_exclusive,
    open_own_file,
)
from regionplot.system.marks import Marks

logger = logging.getLogger(__name__)
_SUFFIX = ".json"
_MAX_BYTES = 16 * 2**20
"""Maximum size of all records. The least recently written records are removed."""


class KnownMap(NamedTuple):
    """A map that was up to date at the end of a run."""

    region: Region
    file: str
    """File of the map, relative to the output folder."""
    digest: str
    """Digest of the map. It is valid as long as the inputs and the program are unchanged."""


class KnownRun(NamedTuple):
    """A run that ended with all its maps up to date."""

    facts: RunFacts
    config_path: Path | None
    """The settings file."""
    raster_pattern: str
    """Path of the raster as the settings state it, with times and wildcards."""
    cycle: int
    """Hours between two model runs, for times in `raster_pattern`."""
    settle: float
    """Seconds without a change after which a raster counts as complete."""
    start_method: str
    workers: int
    inputs: InputFiles
    marks: Marks
    """Marks of the input files. The files had these marks before and after the run. If the raster was too young for a
    certain mark, its mark is None."""
    maps: tuple[KnownMap, ...]
    drawing: str
    """Name of the known drawing (`runs.known_drawing`). Empty: there is none."""

    def is_current(self, config_path: Path | None) -> bool:
        """Return True if the paths of the settings and the raster are the same as before, and all inputs are unchanged.

        Parameters
        ----------
        config_path : Path or None
            The settings file now.
        """
        return (
            config_path == self.config_path
            and self.pattern.find() == self.facts.raster
            and self.inputs.marks() == self.marks
        )

    def has_new_raster(self, config_path: Path | None) -> bool:
        """Return True if all inputs are unchanged. Only the content of the raster may have changed.

        Parameters
        ----------
        config_path : Path or None
            The settings file now.
        """
        raster = str(self.facts.raster)
        marks = self.inputs.marks()
        return (
            config_path == self.config_path
            and self.pattern.find() == self.facts.raster
            and marks.get(raster) is not None
            and {**marks, raster: None} == {**self.marks, raster: None}
        )

    def after(self, outcomes: Iterable[Outcome[Job]], marks: Marks) -> KnownRun:
        """Return the record after a run of the same command with another raster.

        Parameters
        ----------
        outcomes : iterable of Outcome
            Outcomes of all maps, in the order of the regions. All maps are up to date.
        marks : mapping
            Marks of the inputs.
        """
        results = zip(self.maps, outcomes, strict=True)
        maps = tuple(each._replace(digest=outcome.value.digest) for each, outcome in results)
        return self._replace(maps=maps, marks=marks)

    @property
    def pattern(self) -> Pattern:
        """Pattern that finds the raster."""
        return Pattern(self.raster_pattern, self.cycle)


def read_known_run(name: str) -> KnownRun | None:
    """Return a record, or None if there is no usable record.

    Parameters
    ----------
    name : str
        Name of the record: the digest of the program and the command.
    """
    try:
        path = _folder() / f"{name}{_SUFFIX}"
        with open_own_file(path) as file:
            return _from_json(json.load(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        logger.debug("the record %s cannot be used: %s", name, error)
        return None


def write_known_run(name: str, known: KnownRun) -> None:
    """Write a record atomically. If the record cannot be written, the next run is a full run."""
    try:
        folder = _folder()
        with (
            atomic_replace(folder / f"{name}{_SUFFIX}", new_run()) as temporary,
            open_exclusive(temporary, PRIVATE_FILE) as file,
        ):
            file.write(json.dumps(_as_json(known)).encode())
        trim(folder.glob(f"*{_SUFFIX}"), _MAX_BYTES)
    except (OSError, ValueError) as error:
        logger.debug("the record %s cannot be written: %s", name, error)


def _folder() -> Path:
    """Return the private folder of the records."""
    folder = user_cache_folder() / "runs"
    make_private_folder(folder)
    return folder


def _as_json(known: KnownRun) -> dict[str, Any]:
    facts = {**known.facts._asdict(), "directory": str(known.facts.directory), "raster": str(known.facts.raster)}
    return {
        "facts": facts,
        "config_path": None if known.config_path is None else str(known.config_path),
        "raster_pattern": known.raster_pattern,
        "cycle": known.cycle,
        "settle": known.settle,
        "start_method": known.start_method,
        "workers": known.workers,
        "plain": [str(path) for path in known.inputs.plain],
        "with_parts": [str(path) for path in known.inputs.with_parts],
        "marks": known.marks,
        "drawing": known.drawing,
        "maps": [[_region_items(each.region), each.file, each.digest] for each in known.maps],
    }


def _from_json(values: Mapping[str, Any]) -> KnownRun:
    facts = values["facts"]
    path = values["config_path"]
    return KnownRun(
        facts=RunFacts(**{**facts, "directory": Path(facts["directory"]), "raster": Path(facts["raster"])}),
        config_path=None if path is None else Path(path),
        raster_pattern=str(values["raster_pattern"]),
        cycle=int(values["cycle"]),
        settle=float(values["settle"]),
        start_method=str(values["start_method"]),
        workers=int(values["workers"]),
        inputs=InputFiles(_paths(values["plain"]), _paths(values["with_parts"])),
        marks={path: None if mark is None else tuple(mark) for path, mark in values["marks"].items()},
        drawing=str(values["drawing"]),
        maps=tuple(KnownMap(_region(*region), str(file), str(digest)) for region, file, digest in values["maps"]),
    )


def _paths(texts: Iterable[str]) -> tuple[Path, ...]:
    return tuple(map(Path, texts))


def _region_items(region: Region) -> list[Any]:
    extent = region.extent
    limits = [extent.xmin, extent.xmax, extent.ymin, extent.ymax]
    return [region.name, limits, region.crs, region.title, dict(region.attributes), region.origin, region.projection]


def _region(name: str, limits: list[float], *others: Any) -> Region:
    crs, title, attributes, origin, projection = others
    return Region(name, Extent(*limits), crs, title, attributes, origin, projection=projection)
