"""Keep what a run needs to draw its maps again from a new raster: no settings, no layers, only arrays and plain values.

The record of the known run (`runs.known`) names the record of its drawing. The drawing is valid under the same
conditions, except that the cells of the raster can be new. The record holds no objects. If the record is missing or
damaged, a full run follows.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.classifier import CLOSED, LevelClassifier
from regionplot.executors.base import WorkerSettings
from regionplot.geo.grid import Lattice, Window
from regionplot.geo.known_positions import (
    KnownPositions,
    can_sample,
    position_arrays,
    position_items,
    positions_from,
)
from regionplot.geo.mesh import Floats
from regionplot.runs.child_cells import WantedCells
from regionplot.runs.digest_basis import DigestBasis
from regionplot.runs.jobs import JOBS_AHEAD
from regionplot.runs.known_band import KnownBand, band_from, band_items
from regionplot.system.cache import ArrayCache, user_cache_folder
from regionplot.writers.picture import Bytes

logger = logging.getLogger(__name__)
_MAX_BYTES = 64 * 2**20
"""Maximum size of all records. The least recently used records are removed."""
_DIGITS = 32
_GRAYS = 256
Area = tuple[slice, slice]
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


class KnownPalette(NamedTuple):
    """The palette of the maps. See `render.palette.ShadedPalette`."""

    colors: Bytes
    shaded: Bytes
    framed: Bytes
    hatch: NDArray[np.int32]


class KnownSheet(NamedTuple):
    """One map, without the cells of the raster."""

    basis: DigestBasis
    positions: KnownPositions
    """Position of each pixel of the panel in the loaded cells."""
    place: Area
    """Rows and columns of the panel on the sheet."""
    requested: Area
    """Rows and columns of the panel within the limits of the region."""
    title: str
    panel_key: str
    """Key of the ink in the panel."""
    sheet_key: str
    """Key of the ink on the sheet."""
    georeference: str
    """Place of the panel on the earth. See `writers.georeference.Georeference.text`."""


class KnownDrawing(NamedTuple):
    """Everything that the maps of a run depend on, except the cells of the raster."""

    profile: str
    """Text that `inputs.profile` returns for the raster."""
    band: KnownBand
    options: Mapping[str, str]
    """GDAL options for reading."""
    window: Window
    """The cells to load."""
    memory: int | None
    """`[run] memory` in MB. None: auto."""
    columns_per_turn: float | None
    """Number of columns of the raster in 360°. See `geo.grid.Lattice`."""
    resampling: str
    """`[raster] resampling`: nearest, bilinear or cubic."""
    classifier: LevelClassifier
    """The classes of the color scale."""
    needs_class: bool
    """True if at least one cell must be within the color scale, because the settings can be those of other data."""
    palette: KnownPalette
    frame_key: str
    """Key of the frame."""
    size: tuple[int, int]
    """Width and height of the sheet in pixels."""
    compression: int
    """Compression level of the PNG files."""
    limits: WorkerSettings
    sheets: Mapping[str, KnownSheet]
    """The maps by name of the region."""

    @property
    def is_nearest(self) -> bool:
        """True if pixels are cells, so that cells are classified while they are read."""
        return self.resampling == "nearest"

    @property
    def wanted_cells(self) -> WantedCells:
        """The cells that the maps need: their classes, or their values if they are interpolated."""
        classifier = self.classifier if self.is_nearest else None
        return WantedCells(self.band, self.options, self.window, classifier)

    @property
    def lattice(self) -> Lattice:
        """Rows and columns of the loaded cells."""
        return Lattice(self.window.height, self.window.width, self.columns_per_turn)


def _folder() -> ArrayCache:
    return ArrayCache(user_cache_folder() / "drawings", _MAX_BYTES)


def read_known_drawing(name: str) -> KnownDrawing | None:
    """Return a drawing, or None if there is no usable record.

    Parameters
    ----------
    name : str
        Name of the record, as returned by `write_known_drawing`.
    """
    try:
        arrays = _folder().read(name) if name else None
        return None if arrays is None else _checked(_from_arrays(arrays))
    except (OSError, *_DAMAGED) as error:
        logger.debug("the record %s cannot be used: %s", name, error)
        return None


def write_known_drawing(drawing: KnownDrawing) -> str:
    """Write a record atomically. If the record cannot be written, the next run is a full run.

    Returns
    -------
    str
        Name of the record: the digest of its content.
    """
    arrays = dict(_as_arrays(drawing))
    total = hashlib.sha256()
    for array in arrays.values():
        total.update(array.tobytes())
    name = total.hexdigest()[:_DIGITS]
    try:
        _folder().write(name, arrays)
    except (OSError, ValueError) as error:
        logger.debug("the record %s cannot be written: %s", name, error)
    return name


def _as_arrays(drawing: KnownDrawing) -> Iterator[tuple[str, NDArray[Any]]]:
    sheets = drawing.sheets.values()
    yield "text", np.frombuffer(json.dumps(_as_json(drawing)).encode(), np.uint8)
    yield "levels", drawing.classifier.levels
    yield from drawing.palette._asdict().items()
    numbers = [position_arrays(sheet.positions) for sheet in sheets]
    for index, name in enumerate(("columns", "rows")):
        yield name, np.concatenate([arrays[index].ravel() for arrays in numbers])


def _as_json(drawing: KnownDrawing) -> dict[str, Any]:
    limits, window = drawing.limits, drawing.window
    return {
        "profile": drawing.profile,
        **band_items(drawing.band),
        "options": dict(drawing.options),
        "window": [window.row_off, window.col_off, window.height, window.width],
        "memory": drawing.memory,
        "turn": drawing.columns_per_turn,
        "resampling": drawing.resampling,
        "closed": drawing.classifier.closed,
        "needs_class": drawing.needs_class,
        "frame_key": drawing.frame_key,
        "size": drawing.size,
        "compression": drawing.compression,
        "limits": [limits.timeout, limits.jobs_per_worker, limits.retries, limits.memory, limits.nice],
        "sheets": [[name, *_sheet_items(sheet)] for name, sheet in drawing.sheets.items()],
    }


def _sheet_items(sheet: KnownSheet) -> list[Any]:
    areas = [sheet.basis.area and _ends(sheet.basis.area), _ends(sheet.place), _ends(sheet.requested)]
    texts = [sheet.title, sheet.panel_key, sheet.sheet_key, sheet.georeference]
    return [sheet.basis.head, *areas, position_items(sheet.positions), *texts]


def _ends(area: Area) -> list[int]:
    return [int(end) for part in area for end in (part.start or 0, part.stop)]


def _area(ends: list[int]) -> Area:
    top, bottom, left, right = ends
    return slice(top, bottom), slice(left, right)


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> KnownDrawing:
    values = json.loads(arrays["text"].tobytes())
    return KnownDrawing(
        profile=values["profile"],
        band=band_from(values),
        options=values["options"],
        window=Window(*values["window"]),
        memory=values["memory"],
        columns_per_turn=values["turn"],
        resampling=values["resampling"],
        classifier=LevelClassifier(arrays["levels"], values["closed"]),
        needs_class=values["needs_class"],
        palette=KnownPalette(arrays["colors"], arrays["shaded"], arrays["framed"], arrays["hatch"]),
        frame_key=values["frame_key"],
        size=tuple(values["size"]),
        compression=values["compression"],
        limits=replace(WorkerSettings(*values["limits"]), jobs_ahead=JOBS_AHEAD),
        sheets=dict(_sheets(values["sheets"], arrays["columns"], arrays["rows"])),
    )


def _checked(drawing: KnownDrawing) -> KnownDrawing:
    """Return a drawing whose indices are valid. Otherwise, raise ValueError."""
    palette, nodata = drawing.palette, drawing.classifier.nodata
    tables = palette.shaded, palette.framed
    is_valid = (
        all(table.dtype == np.uint8 and table.shape[-1] == _GRAYS for table in tables)
        and all(table.max(initial=0) < len(palette.colors) for table in tables)
        and len(palette.framed) == _GRAYS
        and (len(palette.shaded) == 0 or len(palette.shaded) > nodata)
        and len(palette.colors) > nodata
        and (palette.hatch.size == 0 or _is_hatch(palette))
        and drawing.classifier.closed in CLOSED
        and all(can_sample(sheet.positions, drawing.resampling) for sheet in drawing.sheets.values())
    )
    if not is_valid:
        raise ValueError("the record holds no drawing")
    return drawing


def _is_hatch(palette: KnownPalette) -> bool:
    is_typed = palette.hatch.dtype == np.int32 and palette.hatch.shape == (3,)
    return is_typed and 0 <= palette.hatch[1] < len(palette.colors) and palette.hatch[2] > 0


def _sheets(items: list[Any], columns: Floats, rows: Floats) -> Iterator[tuple[str, KnownSheet]]:
    column = row = 0
    for name, head, area, place, requested, kept, *texts in items:
        basis = DigestBasis(head, area and _area(area))
        positions = positions_from(kept, columns[column:], rows[row:])
        yield name, KnownSheet(basis, positions, _area(place), _area(requested), *texts)
        across, down = position_arrays(positions)
        column, row = column + across.size, row + down.size
