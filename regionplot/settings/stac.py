"""Find the raster in a STAC item: one of the assets that the item lists.

The item is read when the path of the raster is resolved. All other code sees only the path of the asset.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionplot.settings.named_files import NamedFileError, named_file
from regionplot.text import plain_text, without_secrets

if TYPE_CHECKING:
    from regionplot.settings.raster import RasterSettings

_SUFFIX = ".json"
_MAX_BYTES = 4 * 2**20
"""Maximum size of an item in bytes."""
_TYPES = ("image/tiff", "image/jp2", "netcdf", "hdf", "grib", "zarr")
"""Parts of the media types of rasters."""
_SUFFIXES = (".tif", ".tiff", ".jp2", ".nc", ".nc4", ".h5", ".hdf5", ".grb", ".grb2", ".grib", ".grib2", ".zarr")
_OTHER_ROLES = {"thumbnail", "overview", "metadata"}
_DATA = "data"


class StacError(ValueError):
    """The reason why an item gives no raster."""


@dataclass(frozen=True)
class Asset:
    """The raster that a STAC item names."""

    path: Path
    name: str
    """Key of the asset in the item."""
    time: datetime | None
    """Time of the item in UTC."""


def find_asset(path: Path, name: str | None, *, allows_remote: bool) -> Asset | None:
    """Return the raster that a STAC item names, or None if a path is not that of a STAC item.

    Parameters
    ----------
    path : Path
        The item.
    name : str, optional
        Key of the asset. Default: the only raster, or the only raster with the role `data`.
    allows_remote : bool
        True if the asset can be an object in object storage or on a web server.

    Raises
    ------
    StacError
        If the item cannot be read, or there is no such asset. If `name` is given, and the path is not that of an item.
    """
    if name is None and path.suffix.lower() != _SUFFIX:
        return None
    if not path.is_file():  # a folder, or a file that arrives later
        return None
    document = _document(path)
    if not isinstance(document, Mapping) or "stac_version" not in document:
        if name is None:
            return None
        raise StacError(f"{path}: not a STAC item, so it has no assets; remove asset from [raster]")
    if document.get("type") != "Feature":
        kind = plain_text(str(document.get("type")), 40)
        raise StacError(f"{path}: a STAC {kind} is not read; give the path or the address of one item")
    item = _item(path, document)
    key = _chosen(path, item.assets, name)
    try:
        place = named_file(path, str(item.assets[key].href), allows_remote=allows_remote)
    except NamedFileError as error:
        raise StacError(f"{path}: the asset {plain_text(key, 60)!r} is {error}") from None
    return Asset(place, key, _time_of(path, item))


def with_file(raster: RasterSettings, path: Path) -> RasterSettings:
    """Return the settings of a raster with the path of one file. If the file is a STAC item, it names the raster.

    Raises
    ------
    StacError
        As for `find_asset`.
    """
    found = find_asset(path, raster.asset, allows_remote=raster.allow_remote)
    if found is None:
        return raster.model_copy(update={"path": path})
    return raster.model_copy(
        update={"path": found.path, "asset": found.name, "valid_time": raster.valid_time or found.time}
    )


def _document(path: Path) -> Any:
    """Return a JSON document. Return None if the file is not JSON, or too large for an item."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise StacError(f"{path}: {plain_text(without_secrets(error.strerror or str(error)))}") from None
    try:
        return json.loads(content) if len(content) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        return None


def _item(path: Path, document: Mapping[str, Any]) -> Any:
    try:
        import pystac  # noqa: PLC0415 (few rasters are assets of STAC items)
    except ImportError:
        raise StacError(f"{path}: STAC items need pystac: pip install pystac") from None
    try:
        return pystac.Item.from_dict(dict(document), migrate=False)
    except Exception as error:  # pystac raises errors of many classes for damaged items
        raise StacError(f"{path}: the STAC item is damaged: {plain_text(f'{type(error).__name__}: {error}')}") from None


def _time_of(path: Path, item: Any) -> datetime | None:
    """Return the time of an item in UTC, or None if the item states none."""
    time = item.datetime
    try:
        return None if time is None else time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise StacError(f"{path}: the STAC item is damaged: its datetime {time} is out of range") from None


def _chosen(path: Path, assets: Mapping[str, Any], name: str | None) -> str:
    """Return the key of the asset to draw."""
    if name in assets:
        return str(name)
    rasters = [key for key, asset in assets.items() if _is_raster(asset)]
    listed = plain_text(", ".join(rasters)) or "none"
    if name is not None:
        raise StacError(f"{path}: there is no asset {name!r}; the rasters are: {listed}")
    data = [key for key in rasters if _DATA in _roles(assets[key])]
    for found in (rasters, data):
        if len(found) == 1:
            return found[0]
    raise StacError(f"{path}: choose a raster of the STAC item with asset in [raster]; the rasters are: {listed}")


def _is_raster(asset: Any) -> bool:
    roles = _roles(asset)
    kind, place = str(asset.media_type or "").lower(), str(asset.href).partition("?")[0].lower()
    is_kind = any(each in kind for each in _TYPES) if kind else place.endswith(_SUFFIXES)
    return is_kind and (_DATA in roles or not roles & _OTHER_ROLES)


def _roles(asset: Any) -> set[str]:
    """Return the roles of an asset. Roles that are not texts are ignored."""
    return {role for role in asset.roles if isinstance(role, str)} if isinstance(asset.roles, list) else set()
