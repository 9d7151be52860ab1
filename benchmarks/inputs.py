"""Make the inputs of the benchmarks: ``python benchmarks/inputs.py FOLDER [SIZE ...]``.

The inputs are the same on each machine:

- the vectors of the sample in a Lambert CRS
- synthetic, smooth snowfall in the same CRS, as grids of several sizes
- tables of 12 and 120 regions, or of any other number, in meters
- two settings files: `regionplot.toml` draws in the CRS of the grids, `albers.toml` in another CRS
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio.raw
import pyproj
import rasterio
import shapely
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from rasterio.windows import Window

from regionplot import sample

LAMBERT = "+proj=lcc +lat_0=39 +lon_0=-96 +lat_1=33 +lat_2=45 +datum=WGS84 +units=m +no_defs"
"""CRS of all inputs. It is the same as cartopy's `LambertConformal()`."""
_LAMBERT_CODE = "ESRI:102004"
"""Code of the same CRS with the datum NAD83, for tables of regions. Coordinates are the same in both CRSs."""
ALBERS = "EPSG:5070"
"""CRS of the maps in `albers.toml`."""
LIMITS = -2_500_000, -1_700_000, 2_500_000, 1_700_000
"""xmin, ymin, xmax, ymax of the grids, in meters."""
LEVELS = (0.1, 1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 24, 30, 36, 48)
LAYERS = {"counties": 0.45, "states": 1.25, "countries": 1.25}
"""Line width in points of each vector layer, in drawing order."""
CONFIGS = {"same": "regionplot.toml", "other": "albers.toml"}
TABLES = (12, 120)
Row = tuple[str, float, float, float, float]
_SHIFT = 7000.0
"""Meters between the copies of a region."""
_NODATA = -9999.0
_WAVES = 160
_STRIP = 512
_LARGE = 10_000
_NEIGHBOURHOOD = -179.0, 10.0, -30.0, 75.0
_SECTORS = {
    "country": (0, 0, 4700, 2900),
    "northeast": (1850, 650, 1100, 900),
    "atlantic": (1500, 50, 950, 700),
    "southeast": (1150, -750, 1400, 1200),
    "ohio": (950, 100, 1100, 650),
    "lakes": (850, 750, 1400, 900),
    "prairie": (50, 700, 1400, 1000),
    "plains": (-150, 50, 1200, 800),
    "gulf": (-150, -950, 1400, 1200),
    "rockies": (-1050, 700, 1150, 950),
    "southwest": (-1350, -450, 1500, 1100),
    "northwest": (-1750, 850, 950, 900),
}
"""Center and size of the 12 regions, in kilometers on the grid."""


@dataclass(frozen=True)
class Inputs:
    """Paths of the inputs in a folder."""

    folder: Path

    def raster(self, size: tuple[int, int]) -> Path:
        """Return the path of the grid with this width and height."""
        return self.folder / f"snow_{size[0]}x{size[1]}.tif"

    def table(self, count: int) -> Path:
        """Return the path of the table with `count` regions."""
        return self.folder / f"regions_{count}.csv"

    def config(self, crs: str) -> Path:
        """Return the path of the settings that draw in the CRS of the grid (`same`), or in the `other` CRS."""
        return self.folder / CONFIGS[crs]

    @property
    def layers(self) -> list[Path]:
        """Existing vector files, in drawing order."""
        return [path for name in LAYERS if (path := self.folder / f"{name}.shp").exists()]


def make_inputs(
    folder: Path,
    sizes: Iterable[tuple[int, int]],
    tables: Iterable[int] = TABLES,
    layers: Iterable[str] = tuple(LAYERS),
    sheet: tuple[int, int] = (1400, 900),
) -> Inputs:
    """Make the inputs that do not exist yet. The settings files are always written."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = Inputs(folder)
    for name in layers:
        if not (folder / f"{name}.shp").exists():
            write_layer(name, folder / f"{name}.shp")
    for size in sizes:
        if not inputs.raster(size).exists():
            write_raster(inputs.raster(size), size)
    for count in tables:
        write_table(inputs.table(count), count)
    first = min(folder.glob("snow_*.tif"), key=lambda path: path.stat().st_size)
    for crs, projection in (("same", "raster"), ("other", ALBERS)):
        inputs.config(crs).write_text(config_text(first.name, projection, list(layers), sheet), encoding="utf-8")
    return inputs


def write_layer(name: str, path: Path) -> None:
    """Write a layer of the sample, projected and clipped to the surroundings of the grids."""
    meta, _, wkb, _ = pyogrio.raw.read(f"/vsizip/{sample.locate(name)}", columns=[])
    found = shapely.from_wkb(wkb)
    near = shapely.intersection(shapely.make_valid(found[~shapely.is_missing(found)]), shapely.box(*_NEIGHBOURHOOD))
    to_map = pyproj.Transformer.from_crs(meta["crs"], LAMBERT, always_xy=True)
    projected = shapely.make_valid(shapely.transform(near, lambda points: np.column_stack(to_map.transform(*points.T))))
    areas = [shapely.MultiPolygon(parts) for geometry in projected if (parts := list(_polygons(geometry)))]
    pyogrio.raw.write(
        path,
        shapely.to_wkb(areas),
        field_data=[np.arange(len(areas))],
        fields=["id"],
        geometry_type="MultiPolygon",
        crs=pyproj.CRS(LAMBERT).to_wkt("WKT1_GDAL"),
        driver="ESRI Shapefile",
    )


def _polygons(geometry: shapely.Geometry) -> Iterator[shapely.Polygon]:
    """Yield the polygons of a geometry of any type."""
    if geometry.geom_type == "Polygon" and not geometry.is_empty:
        yield geometry
    for part in getattr(geometry, "geoms", ()):
        yield from _polygons(part)


class Snowfall:
    """A smooth field of snowfall in inches, with large areas without snow.

    The field is a sum of plane waves, so each part of it is one matrix product.
    """

    def __init__(self) -> None:
        random = np.random.default_rng(2)
        wavelengths = np.exp(random.uniform(np.log(0.01), np.log(0.6), _WAVES))
        angles = random.uniform(0, 2 * np.pi, _WAVES)
        self._x, self._y = 2 * np.pi / wavelengths * np.array([np.cos(angles), np.sin(angles)])
        self._phase = random.uniform(0, 2 * np.pi, _WAVES)
        self._height = wavelengths**0.8
        self._height *= 12 / np.sqrt((self._height**2).sum() / 2)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the field at columns `x` and rows `y`, both in units of the grid width, shape (rows, columns)."""
        across, down = np.outer(self._x, x) + self._phase[:, None], np.outer(y, self._y)
        waves = np.hstack([self._height * np.cos(down), -self._height * np.sin(down)]).astype(np.float32)
        field = waves @ np.vstack([np.cos(across), np.sin(across)]).astype(np.float32)
        return np.maximum(field, 0, out=field)


def write_raster(path: Path, size: tuple[int, int]) -> None:
    """Write a tiled float32 GeoTIFF with nodata in one corner, strip by strip. Large grids get overviews."""
    width, height = size
    snowfall, columns = Snowfall(), (np.arange(width) + 0.5) / width
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "float32", "crs": LAMBERT,
        "transform": from_bounds(*LIMITS, width, height), "nodata": _NODATA, "tiled": True, "blockxsize": 512,
        "blockysize": 512, "compress": "deflate", "zlevel": 1, "bigtiff": "if_safer",
    }  # fmt: skip
    temporary = path.with_suffix(".part")
    with rasterio.open(temporary, "w", **profile) as file:
        for top in range(0, height, _STRIP):
            rows = np.arange(top, min(top + _STRIP, height))
            field = snowfall(columns, (rows + 0.5) / width)
            field[rows < height // 25, : width // 25] = _NODATA
            file.write(field, 1, window=Window(0, top, width, rows.size))
    if width > _LARGE:
        with rasterio.open(temporary, "r+") as file:
            file.build_overviews([2, 4, 8, 16, 32], Resampling.average)
    temporary.replace(path)


def regions(count: int) -> list[Row]:
    """Return name, xmin, xmax, ymin, ymax of the regions.

    The first 12 regions are sectors. A table with more regions also has nine parts of each sector. A table with more
    than 120 regions also has these 120 regions under other names, each time moved to the east by some kilometers.
    """
    rows = list(_sectors_and_parts()) if count > len(_SECTORS) else [*_sectors()]
    copies = (
        (f"{name}_copy_{copy}", xmin + copy * _SHIFT, xmax + copy * _SHIFT, ymin, ymax)
        for copy in itertools.count(1)
        for name, xmin, xmax, ymin, ymax in rows
    )
    return list(itertools.islice(itertools.chain(rows, copies), count))


def _sectors() -> Iterator[Row]:
    for name, sector in _SECTORS.items():
        x, y, width, height = (1000 * kilometers for kilometers in sector)
        yield name, x - width / 2, x + width / 2, y - height / 2, y + height / 2


def _sectors_and_parts() -> Iterator[Row]:
    for sector in _sectors():
        yield sector
        yield from _parts(*sector)


def _parts(name: str, xmin: float, xmax: float, ymin: float, ymax: float) -> Iterator[Row]:
    width, height = (xmax - xmin) / 3, (ymax - ymin) / 3
    for number in range(9):
        left, bottom = xmin + number % 3 * width, ymin + number // 3 * height
        yield f"{name}_{number + 1}", left, left + width, bottom, bottom + height


def write_table(path: Path, count: int) -> None:
    """Write a table of regions."""
    lines = [f"{name},{','.join(f'{limit:.0f}' for limit in limits)}" for name, *limits in regions(count)]
    path.write_text("\n".join(["name,xmin,xmax,ymin,ymax,crs", *(f"{line},{_LAMBERT_CODE}" for line in lines)]) + "\n")


def config_text(raster: str, projection: str, layers: Sequence[str], sheet: tuple[int, int]) -> str:
    """Return the settings for these inputs, as TOML."""
    features = "".join(
        f'\n[[features]]\npath = "{name}.shp"\nlinewidth = {LAYERS[name]}\nedgecolor = "black"\n' for name in layers
    )
    return (
        f'[raster]\npath = "{raster}"\n\n'
        f'[map]\nstyle = "plain"\nprojection = "{projection}"\nsize = {list(sheet)}\ntitle = "Snowfall {{name}}"\n\n'
        f'[colors]\ncolormap = "turbo"\nlevels = {list(LEVELS)}\nlabel = "Snowfall (in)"\n'
        f"{features}"
    )


def parse_size(text: str) -> tuple[int, int]:
    """Parse width and height from text such as `5000x3400`."""
    width, height = text.split("x")
    return int(width), int(height)


def main() -> None:
    """Make the inputs in a folder."""
    parser = argparse.ArgumentParser(description="Make the inputs of the benchmarks.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("sizes", nargs="*", type=parse_size, default=[(2000, 1360), (5000, 3400)], metavar="SIZE")
    options = parser.parse_args()
    make_inputs(options.folder, options.sizes)


if __name__ == "__main__":
    main()
