"""Make shared data from arrays and geometries in memory, and hand them to workers that are not forked.

::

    DataArray, geometries ─► shared_from_arrays ─► SharedData ─┬─ fork: workers inherit the data, nothing is copied
                                                                └─ spawn: one file, which each worker maps into memory
"""

from __future__ import annotations

import mmap
import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from regionplot.errors import ConfigError, FeaturesError, OutputError
from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.extent import FULL_TURN
from regionplot.geo.region import Region
from regionplot.inputs.array import ArraySource
from regionplot.inputs.vector_layers import VectorLayer
from regionplot.layers.base import settings_digest
from regionplot.layers.features import Features, FeatureSettings
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.system.cache import digest

if TYPE_CHECKING:
    import xarray as xr

    from regionplot.inputs.memory import NamedGeometries

_ALIGNMENT = 64
_FILE = "shared.bin"
_LENGTH = 8
"""Bytes of each number in the header of the file."""


def shared_from_arrays(
    data: xr.DataArray,
    features: Any = None,
    config: Config | Mapping[str, Any] | None = None,
    regions: Sequence[Region] | None = None,
) -> SharedData:
    """Return shared data for arrays in memory. See `SharedData.from_arrays`."""
    from regionplot.inputs.memory import named_geometries, source_of  # noqa: PLC0415 (imports xarray)

    settings = config if isinstance(config, Config) else _read(data, config or {})
    source = source_of(data, settings.raster.resampling)
    shared = SharedData.load(settings, regions, source=source)
    added = [_layer_of(geometries, shared) for geometries in named_geometries(features)]
    layers = sorted([*shared.layers, *added], key=lambda layer: layer.zorder)
    return replace(shared, layers=tuple(layers))


def _read(data: xr.DataArray, tables: Mapping[str, Any]) -> Config:
    """Read settings without a raster. The path of the raster becomes the name of the array."""
    raster = {"path": "sample:relief", **tables.get("raster", {})}
    config = read_config({**tables, "raster": raster})
    if "path" in tables.get("raster", {}):
        return config
    name = Path(str(getattr(data, "name", None) or "array"))
    return config.model_copy(update={"raster": config.raster.model_copy(update={"path": name})})


def _layer_of(geometries: NamedGeometries, shared: SharedData) -> Features:
    """Project geometries, and return their layer."""
    from regionplot.inputs.vector_files import project_wkb  # noqa: PLC0415 (imports pyogrio and pandas)

    settings = _style_of(geometries)
    projected = project_wkb(settings, list(geometries.wkb), geometries.crs, shared.crs)
    wkb = [content or b"" for content in geometries.wkb]
    text = [geometries.crs.to_wkt(), shared.crs.to_wkt(), *(item.hex() for item in wkb)]
    key = digest(text, [])
    kinds = (projected.lines, projected.polygons, projected.points)
    lines, polygons, points = (IndexedGeometries.of(found) for found in kinds)
    period = FULL_TURN if shared.crs.is_geographic else 0.0
    vectors = VectorLayer(lines, polygons, points, period, key, shared.crs)
    return Features(settings, vectors, settings_digest(settings, key, exclude={"path"}))


def _style_of(geometries: NamedGeometries) -> FeatureSettings:
    """Return the settings of a layer. Its path is its name."""
    try:
        checked = FeatureSettings.model_validate({**geometries.style, "path": Path(__file__)})
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        key = ".".join(map(str, found["loc"]))
        raise ConfigError(f"features {geometries.name!r}: {key}: {found['msg']}") from None
    if checked.where:
        raise ConfigError(f"features {geometries.name!r}: where: it applies only to files; select the rows before")
    if checked.color_by:
        raise ConfigError(
            f"features {geometries.name!r}: color_by: it applies only to files; pass one layer for each color"
        )
    return checked.model_copy(update={"path": Path(geometries.name)})


@contextmanager
def stored_for_workers(shared: SharedData) -> Iterator[SharedData]:
    """Write data to a temporary file, and yield the data with a plan that names the file. Remove the file at the end.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ConfigError
        If a part of the data, such as a layer of another package, cannot be pickled.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="regionplot-", ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(f"the folder for temporary files cannot be used: {error.strerror or error}") from None
    with folder as name:
        path = Path(name) / _FILE
        stored = replace(_without_copies(shared), plan=replace(shared.plan, stored=path))
        _write(stored, path)
        yield stored


def _without_copies(shared: SharedData) -> SharedData:
    """Return data that hold each array once, and each array in one piece."""
    values = shared.loaded.values
    if values is None or not isinstance(shared.source, ArraySource):
        return replace(shared)
    values = np.ascontiguousarray(values)
    source = shared.source
    if values.shape == source.values.shape:  # the decoded values replace the stored values
        source = ArraySource(replace(source.info, nodata=None), values)
    return replace(shared, source=source, loaded=replace(shared.loaded, values=values))


def _write(shared: SharedData, path: Path) -> None:
    """Write the pickled data and their arrays: the number of parts, their lengths, and the aligned parts."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        content = pickle.dumps(shared, protocol=5, buffer_callback=buffers.append)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigError(f"the data cannot be sent to workers that are not forked: {error}; use fork") from None
    parts = [memoryview(content), *(buffer.raw() for buffer in buffers)]
    try:
        with path.open("wb") as file:
            for number in (len(parts), *(part.nbytes for part in parts)):
                file.write(number.to_bytes(_LENGTH, "little"))
            for part in parts:
                file.write(b"\0" * (-file.tell() % _ALIGNMENT))
                file.write(part)
    except OSError as error:
        raise OutputError(
            f"{path}: the data for the workers cannot be written: {error.strerror or error}; free some space, or set "
            "TMPDIR to another folder"
        ) from None


def read_stored(path: Path) -> SharedData:
    """Read the data that `stored_for_workers` has written. The arrays are mapped into memory, and not copied.

    Raises
    ------
    FeaturesError
        If the file is missing.
    """
    try:
        with path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise FeaturesError(f"{path}: the temporary data cannot be read: {error.strerror or error}") from None
    count = int.from_bytes(mapped[:_LENGTH], "little")
    sizes = [int.from_bytes(mapped[_LENGTH * at : _LENGTH * (at + 1)], "little") for at in range(1, count + 1)]
    parts, place = [], _LENGTH * (count + 1)
    for size in sizes:
        place += -place % _ALIGNMENT
        parts.append(mapped[place : place + size])
        place += size
    shared: SharedData = pickle.loads(parts[0], buffers=parts[1:])
    return shared
