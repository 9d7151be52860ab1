"""Read rasters in Zarr stores (versions 2 and 3) through xarray. Only the chunks of a window are read."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from regionplot.errors import RasterError, RasterReplacedError
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.grid import Window
from regionplot.inputs.array import ArraySource, rows_and_columns
from regionplot.inputs.gdal import check_block
from regionplot.inputs.remote import with_retries
from regionplot.inputs.source import RasterInfo, RasterSource
from regionplot.inputs.stores import is_file_of_references, store_fingerprint
from regionplot.inputs.zarr_checks import check_store
from regionplot.inputs.zarr_remote import remote_store
from regionplot.inputs.zarr_threads import ended_zarr_threads
from regionplot.settings.raster import RasterSettings
from regionplot.settings.remote_path import RemotePath, is_remote
from regionplot.settings.selection import TimeChoice
from regionplot.system.files import Fingerprint
from regionplot.text import plain_text, without_secrets

_CURES = {
    "set it with .rio.write_crs": 'set crs = "EPSG:..." in [raster]',
    "set a transform with .rio.write_transform": "add a coordinate for each dimension to the store",
}


@dataclass(frozen=True)
class ZarrSource:
    """A `RasterSource` for a variable of a Zarr store at one time.

    The store is opened in each call, so a forked process inherits nothing of it.
    """

    info: RasterInfo
    settings: RasterSettings

    @classmethod
    @ended_zarr_threads()
    def open(cls, settings: RasterSettings) -> RasterSource:
        """Open the variable and time that the settings name.

        Raises
        ------
        RasterError
            If zarr is not installed, the store cannot be read, or the settings do not select one variable and time.
        """
        path = settings.path
        fingerprint = checked_fingerprint(path)
        if settings.band not in (None, 1) or settings.level is not None or settings.member is not None:
            raise RasterError(f"{path}: a Zarr store is selected by variable and time; remove band, level and member")
        data = _opened(settings, fingerprint)
        height, width = data.shape
        if height * width > settings.max_cells:
            raise RasterError(f"{path}: the store declares {width:,} x {height:,} cells, more than [raster] max_cells")
        try:
            grid = ArraySource.of(data.copy(data=np.broadcast_to(np.zeros((), data.dtype), data.shape)))
            is_even = grid.values.strides == (0, 0)  # the cells of an uneven grid are repeated
            source = grid if is_even else ArraySource.of(data.load())
        except RasterError as error:
            raise RasterError(f"{path}: {_with_cures(str(error))}") from None
        except Exception as error:  # damaged attributes, and codecs, raise errors of many classes
            raise RasterError(f"{path}: cannot be read as a Zarr store: {_text(error)}") from None
        info = _described(source.info, settings)
        if not is_even:
            return replace(source, info=info)
        return cls(replace(info, fingerprint=fingerprint), settings)

    @classmethod
    @ended_zarr_threads()
    def times(cls, settings: RasterSettings) -> list[datetime]:
        """Return the times of the variable that the settings name.

        Raises
        ------
        RasterError
            As for `open`.
        """
        data = _variable(_dataset(settings, checked_fingerprint(settings.path)), settings)
        name = _time_dimension(data)
        return [] if name is None else sorted(set(_times(data, name)))

    def describe(self) -> RasterInfo:
        """Return the metadata of the variable."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str = "nearest") -> NDArray[Any]:  # noqa: ARG002
        """Read a window. See `RasterSource.read`. Thinning keeps the first cell of each thinned block."""
        with ended_zarr_threads():
            return with_retries(self.settings.path, lambda: self._read(window, shape))

    def _read(self, window: Window, shape: tuple[int, int]) -> NDArray[Any]:
        path = self.settings.path
        assert self.info.fingerprint is not None, "a store has a fingerprint"
        if not is_remote(path):  # a remote store is compared only after each read, because each check is a request
            self._check_unchanged(checked_fingerprint(path))
        data = _opened(self.settings, self.info.fingerprint)
        rows = window.row_off + np.arange(shape[0]) * window.height // shape[0]
        columns = window.col_off + np.arange(shape[1]) * window.width // shape[1]
        part = data[_indexer(rows), _indexer(columns)]
        try:
            cells = np.asarray(part.values)
        except Exception as error:  # codecs raise errors of many classes
            raise RasterError(f"{path}: cannot be read: {_text(error)}") from None
        self._check_unchanged(store_fingerprint(path))
        return cells.astype(self.info.dtype, copy=False)

    def _check_unchanged(self, now: Fingerprint) -> None:
        if now != self.info.fingerprint:
            raise RasterReplacedError(f"{self.settings.path}: input changed: the store was written to during the run")


def _indexer(positions: NDArray[Any]) -> slice | NDArray[Any]:
    """Return equal steps as a slice, for which Zarr reads whole chunks only once."""
    first, last = int(positions[0]), int(positions[-1])
    step = int(positions[1]) - first if len(positions) > 1 else 1
    even = slice(first, last + 1, step)
    return even if step and np.array_equal(positions, np.arange(first, last + 1, step)) else positions


def _described(info: RasterInfo, settings: RasterSettings) -> RasterInfo:
    given = {} if settings.valid_time is None else {"time": settings.valid_time}
    description = {**given, **info.description, "raster": settings.path.stem}
    kind = float_dtype(info.dtype) if settings.mask_and_scale else info.dtype
    return replace(
        info, path=settings.path, gdal_name=str(settings.path), dtype=kind, description=description, nodata=None
    )


def checked_fingerprint(path: Path) -> Fingerprint:
    """Return the fingerprint of a store. The metadata of a local store are checked.

    Raises
    ------
    RasterError
        As for `check_store` and `store_fingerprint`.
    """
    return check_store(path) if _is_folder(path) else store_fingerprint(path)


def _is_folder(path: Path) -> bool:
    """Return True if the zarr library itself opens the store."""
    return not is_remote(path) and path.suffix.lower() == ".zarr"


def _store(settings: RasterSettings, fingerprint: Fingerprint) -> Any:
    """Return a store whose metadata are checked before the zarr library reads them."""
    path = settings.path
    if isinstance(path, RemotePath) and path.suffix.lower() == ".zarr":
        return remote_store(path, settings.variable, fingerprint)
    from regionplot.inputs import references, references_parquet  # noqa: PLC0415 (few rasters are references)

    if not settings.allow_references:
        if is_file_of_references(path) and not is_remote(path):
            references.check_kind(path)
        raise RasterError(
            f"{path}: kerchunk references name other files; if you trust them, set allow_references = true in [raster] "
            "(a STAC item is read only as path in [raster])"
        )
    module = references if is_file_of_references(path) else references_parquet
    return module.reference_store(path, fingerprint, allows_remote=settings.allow_remote)


def _dataset(settings: RasterSettings, fingerprint: Fingerprint) -> xr.Dataset:
    """Return a checked store as a lazy dataset."""
    path = settings.path
    store: Any = path
    options: dict[str, Any] = {}
    if not _is_folder(path):
        store = _store(settings, fingerprint)
        options = {"consolidated": False}  # the metadata are given one by one
    try:
        return xr.open_dataset(
            store, engine="zarr", chunks=None, decode_coords="all", mask_and_scale=settings.mask_and_scale, **options
        )
    except Exception as error:  # zarr and its codecs raise errors of many classes
        if not _is_installed():
            raise RasterError(f"{path}: Zarr stores need zarr: pip install zarr") from None
        raise RasterError(f"{path}: cannot be read as a Zarr store: {_text(error)}") from None


def _opened(settings: RasterSettings, fingerprint: Fingerprint) -> xr.DataArray:
    """Return the variable at the time of the settings as a lazy array, shape (rows, columns)."""
    path = settings.path
    dataset = _dataset(settings, fingerprint)
    try:
        data = rows_and_columns(_at_time(_variable(dataset, settings), settings))
    except RasterError as error:
        raise RasterError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None
    except Exception as error:  # as above, for the coordinates
        raise RasterError(f"{path}: cannot be read as a Zarr store: {_text(error)}") from None
    chunks = data.encoding.get("chunks") or ()
    check_block(path, (1, math.prod(chunks)), data.dtype.itemsize)
    if settings.crs is not None:
        from regionplot.geo.crs import parse_crs  # noqa: PLC0415

        try:
            data = data.rio.write_crs(parse_crs(settings.crs).to_wkt())
        except RuntimeError as error:  # damaged attributes
            raise RasterError(f"{path}: cannot be read as a Zarr store: {_text(error)}") from None
    return data


def _with_cures(message: str) -> str:
    """Return a message about an array of xarray with cures for a store."""
    for method, cure in _CURES.items():
        message = message.replace(method, cure)
    return message


def _text(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error  # xarray hides the cause
    return plain_text(without_secrets(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__))


def _is_installed() -> bool:
    import importlib.util  # noqa: PLC0415 (only this error needs it)

    return importlib.util.find_spec("zarr") is not None


def _variable(dataset: xr.Dataset, settings: RasterSettings) -> xr.DataArray:
    names = [str(name) for name, each in dataset.data_vars.items() if each.ndim > 1]
    wanted = settings.variable
    if wanted is None and len(names) == 1:
        return dataset[names[0]]
    if wanted in names:
        return dataset[wanted]
    problem = "the store holds several variables; choose one" if wanted is None else f"there is no variable {wanted!r}"
    raise RasterError(f"{settings.path}: {problem}: {plain_text(', '.join(names))}")


def _at_time(data: xr.DataArray, settings: RasterSettings) -> xr.DataArray:
    """Return the array at the time of the settings, or at its only time."""
    name = _time_dimension(data)
    if name is None:
        return data
    axis = _times(data, name)
    choice = TimeChoice(settings.time)
    try:
        chosen = list(choice.pick(axis)) if choice.value is not None else list(range(len(axis)))
    except ValueError as error:
        raise RasterError(f"{settings.path}: {error}") from None
    if len(chosen) != 1:
        raise RasterError(f"{settings.path}: the variable has {len(axis)} times; choose one with time in [raster]")
    return data.isel({name: chosen[0]})


def _time_dimension(data: xr.DataArray) -> Hashable | None:
    return next((dim for dim in data.dims if dim in data.coords and data[dim].dtype.kind == "M"), None)


def _times(data: xr.DataArray, name: Hashable) -> list[datetime]:
    seconds = data[name].values.astype("datetime64[s]").tolist()
    return [each.replace(tzinfo=UTC) for each in seconds]
