"""Use what GDAL has stated about a raster in another process, so that this process need not load GDAL.

::

    child:  open dataset ─► statement_of ─► text ─── pipe ───► parent: StatedDataset ─► inputs.describe

A statement covers GeoTIFF files that plain values describe. GDAL opens all other files in the process that needs them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from affine import Affine

from regionplot.inputs.gdal import gdal_version, opened
from regionplot.inputs.profile import raster_profile
from regionplot.inputs.reading import fingerprint_of
from regionplot.system.guard import reading

_DRIVER = "GTiff"
_MAX_BANDS = 32
_VALUES = ("dtypes", "nodatavals", "scales", "offsets", "units", "descriptions", "block_shapes")
"""Properties with one plain value for each band."""
_NAMESPACES = (None, "IMAGE_STRUCTURE")
"""Domains of the tags that `inputs.describe` reads from GeoTIFF files."""


def statement_of(path: Path) -> str | None:
    """Open a raster, and return what GDAL states about it. Return None if plain values do not describe the file.

    Such files have a color table, control points, a sensor model, pages or very many bands.

    Raises
    ------
    RasterError
        If the file cannot be opened.
    """
    state = repr(fingerprint_of(path))
    with opened(path) as dataset:
        kinds = [kind.name for kind in dataset.colorinterp]
        is_special = "palette" in kinds or dataset.gcps[0] or dataset.rpcs or dataset.subdatasets
        if is_special or dataset.driver != _DRIVER or dataset.count > _MAX_BANDS:
            return None
        bands = (0, *dataset.indexes)
        values = {
            "path": str(path),
            "state": state,
            "gdal": gdal_version(),
            "profile": raster_profile(dataset),
            "name": dataset.name,
            "shape": dataset.shape,
            "transform": list(dataset.transform)[:6],
            "crs": dataset.crs.to_wkt() if dataset.crs else None,
            "colorinterp": kinds,
            "masks": [[flag.name for flag in flags] for flags in dataset.mask_flag_enums],
            "tags": [[dataset.tags(band, ns=name) for name in _NAMESPACES] for band in bands],
            **{name: getattr(dataset, name) for name in _VALUES},
        }
    return json.dumps(values)


def can_be_stated(profile: str) -> bool:
    """Return True if there are statements about files with a profile, unless their metadata are very long.

    Parameters
    ----------
    profile : str
        Text that `inputs.profile` returned for such a file.
    """
    values = json.loads(profile)
    return values["driver"] == _DRIVER and values["shape"][0] <= _MAX_BANDS and "palette" not in values["colorinterp"]


class StatedDataset:
    """The properties and tags of an open GeoTIFF file that a statement contains, as rasterio returns them."""

    driver = _DRIVER
    gcps: tuple[list[object], None] = ([], None)
    rpcs = None
    subdatasets: tuple[str, ...] = ()

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._tags = values["tags"]
        self.name = values["name"]
        self.shape = self.height, self.width = values["shape"]
        self.transform = Affine(*values["transform"])
        wkt = values["crs"]
        self.crs = None if wkt is None else SimpleNamespace(to_wkt=lambda: wkt)
        self.colorinterp = tuple(SimpleNamespace(name=name) for name in values["colorinterp"])
        self.mask_flag_enums = tuple([SimpleNamespace(name=name) for name in names] for names in values["masks"])
        self.block_shapes = [tuple(shape) for shape in values["block_shapes"]]
        for name in _VALUES[:-1]:
            setattr(self, name, tuple(values[name]))
        self.count = len(self.mask_flag_enums)
        self.indexes = tuple(range(1, self.count + 1))

    def tags(self, band: int = 0, ns: str | None = None) -> dict[str, str]:
        """Return the tags of a band, or of the dataset if the band is 0."""
        return dict(self._tags[band][_NAMESPACES.index(ns)])


class Statement:
    """What GDAL has stated about a raster in another process."""

    def __init__(self, text: str) -> None:
        self._values = json.loads(text)
        self._path, self._state = Path(self._values["path"]), self._values["state"]
        self.gdal: str = self._values["gdal"]
        """Version of GDAL."""
        self.profile: str = self._values["profile"]
        """Text that `inputs.profile` returns for the file."""

    @cached_property
    def dataset(self) -> StatedDataset:
        """The properties of the file."""
        return StatedDataset(self._values)

    def is_about(self, path: Path) -> bool:
        """Return True if the statement is about this file, and the file has not changed since."""
        return path == self._path and repr(fingerprint_of(path)) == self._state


class StatementPipe:
    """A pipe through which a child process sends a statement. A long statement is not sent."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)  # the parent may never read
        self._reader, self._writer = os.fdopen(reader, "rb"), os.fdopen(writer, "wb", 0)
        self._received: list[Statement | None] = []

    def send(self, path: Path) -> None:
        """Send what GDAL states about a raster. Called in the child.

        Raises
        ------
        RasterError
            If the file cannot be opened.
        """
        if self._writer.closed:  # the parent does the work of the child
            return
        with self._writer:
            text = statement_of(path)
            if text is not None:
                with suppress(OSError):  # the parent has closed the pipe
                    self._writer.write(text.encode())

    def close_writer(self) -> None:
        """Close the end for writing. Called in the parent after the child has started."""
        self._writer.close()

    def receive(self, path: Path) -> Statement | None:
        """Wait for the statement of the child. Return None if it has sent none.

        Parameters
        ----------
        path : Path
            The raster, for the message of the guard.
        """
        if not self._received:
            with reading(path), self._reader:
                text = self._reader.read()
            try:
                self._received.append(Statement(text.decode()))
            except (ValueError, LookupError):  # nothing, or a part of a long text
                self._received.append(None)
        return self._received[0]

    def close(self) -> None:
        """Close the end for reading. Called in the parent."""
        self._reader.close()


_pipe: ContextVar[StatementPipe | None] = ContextVar("pipe", default=None)


@contextmanager
def statement_from(pipe: StatementPipe) -> Iterator[None]:
    """Use the statement that a child sends within the context. Close the pipe at the end."""
    token = _pipe.set(pipe)
    try:
        yield
    finally:
        _pipe.reset(token)
        pipe.close()


def statement_about(path: Path) -> Statement | None:
    """Return the statement of a child process about a raster. Return None if there is none, or the file has changed."""
    pipe = _pipe.get()
    found = None if pipe is None else pipe.receive(path)
    return found if found is not None and found.is_about(path) else None


@contextmanager
def opened_or_stated(path: Path) -> Iterator[Any]:
    """Open a raster for its description, unless another process has stated what GDAL says about it.

    Yields
    ------
    rasterio.DatasetReader or StatedDataset

    Raises
    ------
    RasterError
        If the file cannot be opened.
    """
    statement = statement_about(path)
    if statement is not None:
        yield statement.dataset
        return
    with opened(path) as dataset:
        yield dataset
