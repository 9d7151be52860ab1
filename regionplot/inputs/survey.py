"""List the contents of a raster file: its variables, bands, levels, ensemble members and times, and how to select them.

Cells are not read, except the coordinates of grids with 2-D coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from regionplot.errors import RasterError
from regionplot.inputs.bands import band_levels, find_bands
from regionplot.inputs.curvilinear import CurvilinearSource
from regionplot.inputs.describe import open_source, opened_grid
from regionplot.inputs.drivers import NETCDF, raster_driver
from regionplot.inputs.gdal import gdal_errors, opened
from regionplot.inputs.metadata import describe_band
from regionplot.inputs.netcdf import list_variables
from regionplot.inputs.open_grid import OpenGrid
from regionplot.inputs.selection import BandSelection
from regionplot.inputs.source import RasterInfo
from regionplot.inputs.subdatasets import subdataset_variable
from regionplot.inputs.variables import drawable_variables, unique_names
from regionplot.registry import SOURCES
from regionplot.settings.raster import RasterSettings
from regionplot.text import plain_text

_MAX_VARIABLES = 200
"""Maximum number of variables that are opened. Opening one takes milliseconds."""


@dataclass(frozen=True)
class Quantity:
    """The bands of a file that show one quantity, such as temperature on several levels and at several times."""

    name: str
    """Name of the variable, the GRIB element or the band. Empty if the file states no name."""
    selection: Mapping[str, Any]
    """Keys of `[raster]` that select one map: the first level, the first member and the latest time."""
    bands: tuple[int, ...] = ()
    """Numbers of the bands in the file or, for a variable of several, in the variable."""
    levels: tuple[str, ...] = ()
    members: tuple[int, ...] = ()
    times: tuple[datetime, ...] = ()
    """Times in UTC, in ascending order, each once."""
    overviews: tuple[int, ...] = ()
    """Factors by which the overviews are smaller."""
    dtype: str = ""
    """Type of the cells in the file."""
    curvilinear: tuple[int, int] | None = None
    """Rows and columns of a grid with 2-D coordinates. The geometry in `info` is that of the regular grid to which the
    cells are resampled. None for other grids."""
    info: RasterInfo | None = None
    """Metadata of the selected band. None if it cannot be drawn."""
    problem: str = ""
    """Reason why the quantity cannot be drawn, and the cure. Empty if it can be drawn."""


@dataclass(frozen=True)
class RasterSurvey:
    """The contents of a raster file."""

    path: Path
    format: str
    """GDAL's name of the driver, or the suffix of a file that a plug-in reads."""
    size: int
    """Size of the file in bytes."""
    quantities: tuple[Quantity, ...]
    omitted: int = 0
    """Number of variables that were not opened, because the file has very many."""


def survey_raster(settings: RasterSettings) -> RasterSurvey:
    """Return the contents of a raster file.

    Parameters
    ----------
    settings : RasterSettings
        `path` names the file. `crs` and `max_cells` are used, too.

    Raises
    ------
    RasterError
        If the file cannot be read. A variable that cannot be drawn raises no error: `Quantity.problem` says why.
    """
    path = settings.path
    try:
        driver = raster_driver(path)
    except RasterError:
        if SOURCES.get(suffix := path.suffix.removeprefix(".").lower()) is None:
            raise
        info = open_source(settings).describe()
        whole = Quantity(str(info.description.get("variable", "")), {}, (info.band,), info=info)
        return RasterSurvey(path, suffix, path.stat().st_size, (whole,))
    names = _variables(settings, driver)
    chosen: Sequence[str | None] = names[:_MAX_VARIABLES] or [None]
    keys = [{"variable": name} if len(names) > 1 else {} for name in chosen]
    quantities = tuple(
        found for name, own in zip(chosen, keys, strict=True) for found in _quantities_of(settings, name, own)
    )
    return RasterSurvey(path, driver, path.stat().st_size, quantities, max(0, len(names) - _MAX_VARIABLES))


def raster_levels(settings: RasterSettings) -> list[str]:
    """Return the levels of the raster that the settings name, such as `500 hPa`, each once, in the order of the file.

    Raises
    ------
    RasterError
        For the same reasons as `open_source`.
    """
    with opened_grid(settings) as grid:
        return band_levels(grid.dataset, settings)


def _variables(settings: RasterSettings, driver: str) -> list[str]:
    """Return the names of the variables of a NetCDF or HDF5 file, or of the pages of another file with several."""
    if driver == NETCDF:
        found = drawable_variables(list_variables(settings.path))
        if not found:
            raise RasterError(f"{settings.path}: the file has no variable with rows and columns; choose another file")
        return unique_names(found)
    with opened(settings.path) as dataset:
        return [subdataset_variable(name, settings.path) for name in dataset.subdatasets]


def _quantities_of(settings: RasterSettings, variable: str | None, keys: Mapping[str, Any]) -> list[Quantity]:
    """Return the quantities in a variable, or in a file without variables. `keys` select the variable."""
    settings = settings.model_copy(update={"variable": variable})
    try:
        with opened_grid(settings) as grid:
            return [replace(found, selection={**keys, **found.selection}) for found in _quantities(grid)]
    except RasterError as error:
        if variable is None:
            raise
        return [Quantity(variable, keys, problem=str(error))]


@dataclass
class _Group:
    """Bands of one quantity."""

    bands: list[int] = field(default_factory=list)
    levels: dict[str, None] = field(default_factory=dict)
    times: set[datetime] = field(default_factory=set)

    def add(self, band: int, description: Mapping[str, object]) -> None:
        """Add a band."""
        self.bands.append(band)
        if level := str(description.get("level", "")):
            self.levels[level] = None
        if isinstance(time := description.get("time"), datetime):
            self.times.add(time)


def _quantities(grid: OpenGrid) -> Iterator[Quantity]:
    """Yield the quantities in an open file or variable."""
    for name, group in _groups(grid).items():
        yield _quantity(grid, name, group)


def _groups(grid: OpenGrid) -> Mapping[str, _Group]:
    """Return the bands of each quantity by its name. Bands without a name are one quantity."""
    dataset, groups = grid.dataset, dict[str, _Group]()
    is_rgb = _is_rgb(grid)
    for band in dataset.indexes:
        description = describe_band(dataset, band, grid.path)
        name = str(description["variable"]) or plain_text(dataset.descriptions[band - 1] or "")
        groups.setdefault("" if is_rgb else name, _Group()).add(band, description)
    return groups


def _is_rgb(grid: OpenGrid) -> bool:
    try:
        return grid.source(1).describe().rgb is not None
    except RasterError:
        return False


def _quantity(grid: OpenGrid, name: str, group: _Group) -> Quantity:
    dataset = grid.dataset
    members = BandSelection(dataset, grid.settings).members(group.bands)
    found = Quantity(
        name=name,
        selection={},
        bands=tuple(group.bands),
        levels=tuple(group.levels),
        members=tuple(sorted({member for member in members.values() if member is not None})),
        times=tuple(sorted(group.times)),
        overviews=_overviews(grid, group.bands[0]),
        dtype=str(dataset.dtypes[group.bands[0] - 1]),
    )
    found = replace(found, selection=_selection(grid, found))
    try:
        band = find_bands(dataset, grid.settings.model_copy(update=found.selection))[0]
        source = grid.source(band)
        shape = tuple(dataset.shape) if isinstance(source, CurvilinearSource) else None
        return replace(found, info=source.describe(), curvilinear=shape)
    except RasterError as error:
        return replace(found, problem=str(error))


def _overviews(grid: OpenGrid, band: int) -> tuple[int, ...]:
    """Return the factors of the overviews of a band."""
    with gdal_errors(grid.path):
        return tuple(grid.dataset.overviews(band))


def _selection(grid: OpenGrid, found: Quantity) -> Mapping[str, Any]:
    """Return the fewest keys of `[raster]` that select one band: by name, level, member and time, else by number."""
    keys: dict[str, Any] = {} if len(found.bands) == grid.dataset.count else {"band": found.name}
    parts = {"level": found.levels, "member": found.members, "time": ("latest", *found.times[1:])}
    keys |= {key: values[0] for key, values in parts.items() if len(values) > 1}
    return keys if _selects_one(grid, keys) else {"band": found.bands[0]}


def _selects_one(grid: OpenGrid, keys: Mapping[str, Any]) -> bool:
    try:
        settings = grid.settings.model_copy(update={key: keys.get(key) for key in ("band", "level", "member", "time")})
        return len(find_bands(grid.dataset, settings)) == 1
    except RasterError:
        return False
