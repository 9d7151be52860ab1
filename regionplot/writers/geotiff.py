"""Write GeoTIFF files, which GIS programs place on the earth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from affine import Affine
from typing_extensions import override

from regionplot.errors import RegionError
from regionplot.settings.base import Section
from regionplot.writers.base import DIGEST, SOFTWARE, TITLE, Bytes, Picture, Writer


class GeotiffSettings(Section):
    """`[output.geotiff]`: settings of GeoTIFF files."""

    area: Literal["panel", "sheet"] = "panel"
    """`panel`: the map only. `sheet`: the whole sheet, with title and color bar around the map."""
    compress: Literal["deflate", "lzw", "none"] = "deflate"
    """Compression. All kinds keep every pixel."""


class GeotiffWriter(Writer[Picture]):
    """Write GeoTIFF files, with a palette or in RGB. Metadata become tags."""

    suffixes: ClassVar[tuple[str, ...]] = (".tif", ".tiff")
    media_type: ClassVar[str] = "image/tiff"
    needs: ClassVar[Literal["pixels"]] = "pixels"
    Settings: ClassVar[type[GeotiffSettings]] = GeotiffSettings
    mark: ClassVar[bytes] = b"II*\0"

    def __init__(self, settings: GeotiffSettings) -> None:
        self.palette = "auto"
        self.shows_panel_only = settings.area == "panel"  # for world files
        self._settings = settings

    @override
    def encode(self, picture: Picture, metadata: Mapping[str, str]) -> bytes:
        from rasterio.io import MemoryFile  # noqa: PLC0415 (imports GDAL)

        place = picture.georeference
        if place is None:
            raise RegionError("the map has no CRS, so it cannot be written as a GeoTIFF; use another format")
        is_panel = self._settings.area == "panel"
        image = picture.image[place.rows, place.columns] if is_panel else picture.image
        transform = place.panel_transform if is_panel else place.sheet_transform
        bands = image[None] if picture.palette is not None else np.moveaxis(image, 2, 0)
        with MemoryFile() as memory:
            with memory.open(**self._profile(bands), crs=_crs_of(place.crs), transform=transform) as file:
                file.write(bands)
                if picture.palette is not None:
                    file.write_colormap(1, {row: tuple(map(int, color)) for row, color in enumerate(picture.palette)})
                file.update_tags(**_tags(metadata))
            return bytes(memory.read())

    def _profile(self, bands: Bytes) -> dict[str, Any]:
        count, height, width = bands.shape
        return {
            "driver": "GTiff", "count": count, "height": height, "width": width, "dtype": "uint8",
            "compress": self._settings.compress, "interleave": "pixel",
            "photometric": "rgb" if count > 1 else "palette",
        }  # fmt: skip


@lru_cache(maxsize=64)
def _crs_of(text: str) -> Any:
    """Return a CRS as a `rasterio.crs.CRS`. Raise RegionError if GDAL does not store it in a GeoTIFF."""
    from rasterio.crs import CRS  # noqa: PLC0415 (imports GDAL)
    from rasterio.errors import CRSError  # noqa: PLC0415
    from rasterio.io import MemoryFile  # noqa: PLC0415

    problem = "the CRS of the map cannot be stored in a GeoTIFF"
    cure = "set another projection in [map], or use another format"
    try:
        crs = CRS.from_user_input(text)
    except CRSError as error:
        raise RegionError(f"{problem}: {error}; {cure}") from None
    with MemoryFile() as memory:
        place = {"crs": crs, "transform": Affine(1, 0, 1, 0, -1, 1)}
        memory.open(driver="GTiff", width=1, height=1, count=1, dtype="uint8", **place).close()
        with MemoryFile(memory.read()) as copy, copy.open() as file:  # without the .aux.xml file of the first
            if file.crs is None:  # such as the CRS of a rotated pole
                raise RegionError(f"{problem}; {cure}")
    return crs


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata as tags. Programs show the standard tags of TIFF."""
    names = {TITLE: "TIFFTAG_IMAGEDESCRIPTION", SOFTWARE: "TIFFTAG_SOFTWARE", DIGEST: "REGIONPLOT_DIGEST"}
    return {names.get(key, key): value for key, value in metadata.items()}
