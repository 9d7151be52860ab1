"""Regions move with tracks: the box at the time of a map is centered on the interpolated position."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

import regionplot
from regionplot.errors import RegionError, RegionsError
from regionplot.geo.boxes import box_around
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent
from regionplot.geo.track import Track
from regionplot.regions.tracks import read_track
from regionplot.runs.manifest import read_entries

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
START = datetime(2024, 10, 9, tzinfo=UTC)
STORM = [(0, -85.0, 24.0), (12, -83.0, 26.0), (24, -80.0, 28.5)]
TABLE = "time,lon,lat\n" + "".join(
    f"{(START + timedelta(hours=hour)).isoformat()},{lon},{lat}\n" for hour, lon, lat in STORM
)
WGS84 = pyproj.Geod(ellps="WGS84")


def size_of(extent: Extent, crs: str, longitude: float, latitude: float) -> tuple[float, float]:
    """Return width and height in kilometers through the center of a box."""
    to_lonlat = transformer(parse_crs(crs), parse_crs("EPSG:4326"))
    x, y = transformer(parse_crs("EPSG:4326"), parse_crs(crs)).transform(longitude, latitude)
    ends = [(extent.xmin, y), (extent.xmax, y), (x, extent.ymin), (x, extent.ymax)]
    (west, east, south, north) = (to_lonlat.transform(*end) for end in ends)
    return WGS84.inv(*west, *east)[2] / 1000, WGS84.inv(*south, *north)[2] / 1000


@pytest.mark.parametrize("longitude", [-105.0, 179.0, -180.0, 350.0])
@pytest.mark.parametrize("latitude", [0.0, 45.0, -70.0, 79.5, 84.0, -89.9, 90.0])
def test_a_box_has_its_size_everywhere(longitude: float, latitude: float) -> None:
    """A parallel is longer than the shortest way between its ends, which is measured here."""
    extent, crs = box_around(longitude, latitude, 400, 300)
    width, height = size_of(extent, crs, longitude, latitude)
    assert width == pytest.approx(400, rel=0.01)
    assert height == pytest.approx(300, rel=0.01)
    assert (crs == "EPSG:4326") == (abs(latitude) + 1.35 <= 80)


def test_boxes_near_the_pole_are_drawn_at_their_size(load: Any) -> None:
    path = "/work/shared/data/etopo5_global_0to360.tif"
    if not Path(path).exists():
        pytest.skip("needs a global raster")
    shared = load(raster={"path": path}, map={"projection": "auto", "size": [300, 200], "dpi": 50})
    extent, crs = box_around(20, 88, 800, 800)
    picture = regionplot.MapRenderer(shared).render(regionplot.Region("a", extent, crs, origin="regions.csv:2"))
    place = picture.georeference
    assert place is not None
    assert "+proj=stere +lat_0=90" in place.crs
    assert "+lon_0=20" in place.crs
    assert (place.bounds[3] - place.bounds[1]) / 800_000 == pytest.approx(1, abs=0.15)


def test_larger_boxes_than_the_earth_are_errors() -> None:
    with pytest.raises(RegionError, match="more than once around the earth"):
        box_around(0, 75, 30_000, 100)
    with pytest.raises(RegionError, match="largest region near a pole"):
        box_around(0, 85, 30_000, 100)


def track(*fixes: tuple[float, float, float]) -> Track:
    found = tuple((START + timedelta(hours=hour), lon, lat) for hour, lon, lat in fixes or STORM)
    return Track("storm.csv", found, 600, 400)


def test_positions_are_interpolated_along_geodesics() -> None:
    storm = track()
    assert storm.position(START) == (-85.0, 24.0)
    assert storm.position(START + timedelta(hours=24)) == (-80.0, 28.5)
    middle = storm.position(START + timedelta(hours=6))
    expected = WGS84.npts(-85.0, 24.0, -83.0, 26.0, 1)[0]
    assert middle == pytest.approx(expected, abs=1e-6)
    across = track((0, 179.0, 10.0), (2, -179.0, 10.0))
    assert abs(across.position(START + timedelta(hours=1))[0]) == pytest.approx(180)


@pytest.mark.parametrize("hours", [-0.01, 24.01])
def test_times_outside_of_the_track_are_errors(hours: float) -> None:
    with pytest.raises(RegionError, match=r"is outside of the track storm\.csv, which goes from 2024-10-09 00:00 UTC"):
        track().position(START + timedelta(hours=hours))


def test_a_moving_region_has_a_place_at_each_time() -> None:
    region = regionplot.Region("milton", Extent(0, 1, 0, 1), track=track())
    placed = pickle.loads(pickle.dumps(region)).at(START + timedelta(hours=12))
    assert placed.track is None
    assert placed.extent.center == pytest.approx((-83, 26))
    assert (placed.fields["lon"], placed.fields["lat"]) == ("-83.00", "26.00")
    with pytest.raises(RegionError, match="the time of the raster is unknown"):
        region.at(None)


def test_tracks_are_read_from_tables_and_points(tmp_path: Path, write_vector: Any) -> None:
    table = tmp_path / "storm.csv"
    lines = TABLE.splitlines()
    table.write_text("\n".join([lines[0].replace("time", "Valid Time").replace("lon", "Longitude"), *lines[:0:-1]]))
    from_table = read_track(table)
    times = [each[0].isoformat() for each in from_table]
    points = [shapely.Point(lon, lat) for _, lon, lat in STORM]
    geojson = write_vector(points, name="storm.geojson", fields={"ISO_TIME": np.array(times, dtype=object)})
    to_albers = transformer(parse_crs("EPSG:4326"), parse_crs("EPSG:5070"))
    moved = [shapely.Point(*to_albers.transform(point.x, point.y)) for point in points]
    known = {"time": np.array(times, dtype=object)}
    package = write_vector(moved, crs="EPSG:5070", name="storm.gpkg", fields=known)
    assert from_table == read_track(geojson)
    for found, expected in zip(read_track(package), from_table, strict=True):
        assert found[0] == expected[0]
        assert found[1:] == pytest.approx(expected[1:], abs=1e-6)


FAULTS = {
    "no column with times": "when_,lon,lat\n2024-10-09,1,2\n",
    "add the columns lon and lat": "time,x,lat\n2024-10-09,1,2\n",
    "2: column 'lat': 'x' is not": "time,lon,lat\n2024-10-09,1,x\n",
    "'soon' is not a time": "time,lon,lat\nsoon,1,2\n",
    "not a longitude and a latitude": "time,lon,lat\n2024-10-09,1,92\n",
    "two positions have the time 2024-10-09 00:00": "time,lon,lat\n2024-10-09,1,2\n2024-10-09T00:00Z,1,3\n",
    "the track has no positions": "time,lon,lat\n",
}


@pytest.mark.parametrize("message", FAULTS)
def test_faults_of_tracks_are_reported(tmp_path: Path, message: str) -> None:
    table = tmp_path / "storm.csv"
    table.write_text(FAULTS[message])
    with pytest.raises(RegionsError, match=message.replace("2: column 'lat': 'x' is not", "position")):
        read_track(table)


def test_lines_are_refused_as_tracks(write_vector: Any) -> None:
    path = write_vector(
        [shapely.LineString([(0, 0), (1, 1)])], name="a.geojson", fields={"time": np.array(["2024-10-09"])}
    )
    with pytest.raises(RegionsError, match="the feature is not a point"):
        read_track(path)


def draw(folder: Path, write_raster: Any, method: str = "serial", table: str = "", **sections: Any) -> Any:
    """Draw a moving region at several times. Return the report."""
    for hour in (0, 6, 24, 30):
        values = np.full((60, 80), float(hour))
        written = write_raster(values, Affine(0.5, 0, -100, 0, -0.5, 40))
        written.rename(
            folder / f"snow_20241009{hour:02d}.tif" if hour < 24 else folder / f"snow_20241010{hour - 24:02d}.tif"
        )
    (folder / "storm.csv").write_text(TABLE)
    (folder / "regions.csv").write_text(table or "name,track,width_km,height_km,title\nmilton,storm,600,400,{lon}\n")
    tables = {
        "raster": {"path": str(folder / "snow_{time:%Y%m%d%H}.tif"), "time": "all"},
        "map": {"size": [300, 200], "dpi": 50, "title": "{lon} {lat}"},
        "colors": {"levels": [-1, 3, 12, 50]},
        "regions": {"tracks": {"storm": str(folder / "storm.csv")}},
        "output": {"directory": str(folder / "output"), "filename": "{name}_{time:%d%H}.png"},
        "run": {"workers": 1, "start_method": method, "cache": False},
        **sections,
    }
    return regionplot.render_regions(folder / "regions.csv", regionplot.read_config(tables))


def test_maps_of_several_times_follow_the_track(tmp_path: Path, write_raster: Any) -> None:
    report = draw(tmp_path, write_raster)
    (failed,) = report.failed
    assert "30" not in failed.job.name
    assert "the time of the map, 2024-10-10 06:00 UTC, is outside of the track" in failed.message
    entries = read_entries(tmp_path / "output")
    for name, (_, lon, lat) in {"milton_0900.png": STORM[0], "milton_1000.png": STORM[2]}.items():
        xmin, ymin, xmax, ymax = entries[name]["georeference"]["bounds"]
        assert ((xmin + xmax) / 2, (ymin + ymax) / 2) == pytest.approx((lon, lat))
    again = draw(tmp_path, write_raster)
    assert len(again.unchanged) == 3
    (tmp_path / "storm.csv").write_text(TABLE)


def test_moving_regions_cause_no_other_warnings_and_their_cost_is_known(
    tmp_path: Path, write_raster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shape = shapely.box(-86, 23, -80, 28)
    (tmp_path / "a.geojson").write_text(shapely.to_geojson(shape))
    draw(tmp_path, write_raster, features=[{"path": str(tmp_path / "a.geojson")}])
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    moving = regionplot.Region("a", Extent(0, 1, 0, 1), track=track())
    assert moving.at_start == moving.at(START)
    still = regionplot.Region("a", Extent(0, 1, 0, 1))
    assert still.at_start is still


def test_tables_name_tracks_of_the_settings_only(tmp_path: Path, write_raster: Any) -> None:
    for cell in ("storm.csv", "/etc/passwd", ""):
        with pytest.raises(RegionsError, match=r"there is no track .* in \[regions\] tracks; the tracks are 'storm'"):
            draw(tmp_path, write_raster, table=f"name,track,width_km\nmilton,{cell},600\n")
    with pytest.raises(RegionsError, match=r"\[regions\] tracks = "):
        draw(tmp_path, write_raster, regions={})
    with pytest.raises(RegionsError, match="must be greater than 0"):
        draw(tmp_path, write_raster, table="name,track,width_km\nmilton,storm,0\n")
