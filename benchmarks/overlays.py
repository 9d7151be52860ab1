"""Measure what each overlay adds to the time of a map: ``python benchmarks/overlays.py``.

All data are made here: waves of pressure, the wind around them, and random places. The times are CPU times in one
process, for RGB images. The first line is the map without overlays.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from PIL import Image
from shapely import Point

import regionplot

_BANDS = ("pressure", "u", "v")
_PLACES = 800


def write_weather(folder: Path, size: int) -> Path:
    """Write a raster of pressure and of two components of wind, in degrees, the same with missing cells, and a logo."""
    x, y = np.meshgrid(np.linspace(0, 6, 2 * size), np.linspace(0, 4, size))
    pressure = 1013 + 20 * np.sin(2.1 * x) * np.cos(1.7 * y)
    wind = 25 * np.cos(2.1 * x), 25 * np.sin(1.7 * y)
    path = folder / "weather.tif"
    profile = {"width": 2 * size, "height": size, "count": 3, "dtype": "float32", "crs": "EPSG:4326"}
    affine = Affine(60 / (2 * size), 0, -130, 0, -30 / size, 55)
    with rasterio.open(path, "w", driver="GTiff", transform=affine, **profile) as file:
        file.write(np.stack([pressure, *wind]).astype(np.float32))
        for number, name in enumerate(_BANDS, 1):
            file.set_band_description(number, name)
    pressure[size // 3 : size // 2] = -1
    with rasterio.open(folder / "gaps.tif", "w", driver="GTiff", transform=affine, nodata=-1, **profile) as file:
        file.write(np.stack([pressure, *wind]).astype(np.float32))
    Image.new("RGBA", (120, 60), "#2f508880").save(folder / "logo.png")
    return path


def write_places(folder: Path) -> Path:
    """Write random points with names and ranks."""
    random = np.random.default_rng(1)
    features = [
        {
            "type": "Feature",
            "properties": {"name": f"Place {number}", "rank": int(random.integers(0, 9))},
            "geometry": {"type": "Point", "coordinates": [random.uniform(-130, -70), random.uniform(25, 55)]},
        }
        for number in range(_PLACES)
    ]
    path = folder / "places.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def overlays(weather: Path, places: Path) -> dict[str, dict[str, Any]]:
    """Return the tables of each overlay by its name."""
    wind = {"u": {"band": "u"}, "v": {"band": "v"}, "units": "kt"}
    names, pressure = {"path": places, "rank": "rank"}, {"path": weather, "band": 1}
    filled = {"levels": [1005, 1020], "fill": ["#0000ff40", "none", "#ff000040"], "hatch": ["/", "none", "."]}
    classes = {"color_by": "name", "values": ["Texas", "Kansas", "Iowa"], "colors": ["red", "blue", "green"]}
    lines = [{"path": f"sample:{name}"} for name in ("counties", "states", "countries")]
    return {
        "contours": {"contours": [{"interval": 4, "highs_lows": True, "raster": pressure}]},
        "filled": {"contours": [{**filled, "raster": pressure, "linewidth": 0}]},
        "barbs": {"barbs": [wind]},
        "arrows": {"arrows": [wind]},
        "streamlines": {"streamlines": [wind]},
        "points": {"points": [{"path": places}]},
        "names": {"labels": [names]},
        "values": {"labels": [{**names, "values": True}]},
        "areas": {"labels": [{"path": "sample:states"}]},
        "lines": {"features": lines},
        "lines, Albers": {"features": lines, "map": {"projection": "EPSG:5070"}},
        "lines, auto": {"features": lines, "map": {"projection": "auto"}},
        "north arrow": {"north_arrow": {"min_angle": 0}},
        "region box": {"region_box": {}},
        "locator": {"locator": {"path": "sample:countries"}},
        "statistics": {"labels": [{"path": "sample:states", "values": True}]},
        "classes": {"features": [{"path": "sample:states", **classes}]},
        "casings": {"features": [{**each, "casing": "white", "casing_width": 1} for each in lines]},
        "focus": {"focus": {}},
        "graticule": {"graticule": {}},
        "margin": {"graticule": {"position": "outside"}, "sheet": {"margin": 17}},
        "shading": {"shading": {}},
        "missing": {"missing": {}, "raster": {"path": weather.with_name("gaps.tif"), "band": 1}},
        "scale bar": {"scale_bar": {}},
        "credit": {"credit": {"lines": ["Data: made here"]}},
        "logo": {"logo": {"path": weather.with_name("logo.png")}},
        "atlas": {"map": {"style": "atlas"}},
    }


def milliseconds(tables: Mapping[str, Any], repeat: int) -> float:
    """Return the median CPU time of a map, after a first map. Each map shows another region."""
    with regionplot.open_maps(dict(tables)) as maps:
        times = []
        for number in range(repeat + 1):
            east = -90 + number / 10
            shape = Point(east - 15, 41).buffer(8).wkb if "focus" in tables else b""
            region = regionplot.Region("a", regionplot.Extent(east - 30, east, 32, 50), shape=shape)
            start = time.process_time()
            maps.render(region)
            times.append(time.process_time() - start)
    return median(times[1:]) * 1000


def main() -> None:
    """Print one line for each overlay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=15, help="number of maps of each kind (default: 15)")
    parser.add_argument("--small", action="store_true", help="use small inputs, to try the benchmark")
    options = parser.parse_args()
    print_overlays(1 if options.small else options.repeat, small=options.small)


def print_overlays(repeat: int, *, small: bool) -> None:
    """Print one line for each overlay.

    Parameters
    ----------
    repeat : int
        Number of maps of each kind.
    small : bool
        Use small inputs, to try the benchmark.
    """
    size, pixels = (60, [300, 200]) if small else (1000, [1400, 900])
    with tempfile.TemporaryDirectory(prefix="regionplot-overlays-") as name:
        weather, places = write_weather(Path(name), size), write_places(Path(name))
        plain: dict[str, Any] = {
            "raster": {"path": weather, "band": 1},
            "map": {"style": "plain", "size": pixels, "dpi": 100},
            "colors": {"levels": [*range(990, 1040, 5)]},
            "output": {"png": "rgb"},
        }
        base = milliseconds(plain, repeat)
        print(f"{'overlay':<13} {'ms':>7}\n{'none':<13} {base:>7.1f}")
        for overlay, tables in overlays(weather, places).items():
            page = {"map": {**plain["map"], **tables.get("map", {})}}
            print(f"{overlay:<13} {milliseconds({**plain, **tables, **page}, repeat) - base:>+7.1f}", flush=True)


if __name__ == "__main__":
    from stages import single_threaded

    single_threaded()
    main()
