"""Choose a subdataset: a variable of a file that GDAL opens in parts, or a page of a GeoTIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regionplot.errors import RasterError
from regionplot.inputs.bands import check_no_variable
from regionplot.settings.raster import RasterSettings


def chosen_subdataset(dataset: Any, settings: RasterSettings) -> str | None:
    """Return GDAL's name of the subdataset that the settings name, or None if the file has no subdatasets.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The opened file.
    settings : RasterSettings
        The settings.

    Raises
    ------
    RasterError
        If the settings name no variable, or one that the file lacks.
    """
    pages: dict[str | None, str] = {subdataset_variable(name, settings.path): name for name in dataset.subdatasets}
    if not pages:
        check_no_variable(dataset, settings)
        return None
    wanted, listed = settings.variable, ", ".join(map(str, pages))
    if wanted is None:
        problem = f"the file holds several grids; choose one with variable = NAME in [raster]: {listed}"
    else:
        problem = f"there is no variable {wanted!r} in the file; the variables are {listed}"
    if wanted not in pages:
        raise RasterError(f"{settings.path}: {problem}")
    return pages[wanted]


def subdataset_variable(name: str, path: Path) -> str:
    """Return the name of the variable in a subdataset. For a page of a GeoTIFF, return the page number.

    Parameters
    ----------
    name : str
        GDAL's name of the subdataset.
    path : Path
        The file.
    """
    inner = name.partition(":")[2].replace(f'"{path}"', "").replace(str(path), "").strip(":")
    return inner.strip("/").replace("/", "_")
