"""Recognize Zarr stores and kerchunk references by their names, and return their fingerprints."""

from __future__ import annotations

from pathlib import Path

from regionplot.errors import RasterError
from regionplot.inputs.zarr_checks import folder_fingerprint
from regionplot.settings.remote_path import RemotePath
from regionplot.system.files import Fingerprint

_REFERENCES = ".json"
PARQUET = (".parq", ".parquet")
"""Suffixes of folders with references in Parquet."""


def is_store(path: Path) -> bool:
    """Return True if a raster is a Zarr store or kerchunk references, to judge by its name."""
    if isinstance(path, RemotePath):
        return path.is_store or is_file_of_references(path)
    suffix = path.suffix.lower()
    return is_file_of_references(path) or (suffix in (".zarr", *PARQUET) and path.is_dir())


def is_file_of_references(path: Path) -> bool:
    """Return True if a raster is a JSON file of references, to judge by its name. STAC items are replaced before."""
    return path.suffix.lower() == _REFERENCES


def store_fingerprint(path: Path) -> Fingerprint:
    """Return the fingerprint of a Zarr store or of references.

    The fingerprint of a remote store is that of its metadata. That of references in JSON covers the local files that
    they name.

    Raises
    ------
    RasterError
        If the store cannot be read. If a folder holds links, pipes, devices or too many files.
    """
    if is_file_of_references(path):
        from regionplot.inputs.references import reference_fingerprint  # noqa: PLC0415 (few rasters are references)

        return reference_fingerprint(path)
    if not isinstance(path, RemotePath):
        return folder_fingerprint(path)
    if (found := Fingerprint.of(path)) is None:
        raise RasterError(
            f"{path}: there is no such Zarr store, these credentials may not read it, or its server does not answer"
        )
    return found
