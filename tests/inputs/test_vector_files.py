"""Coordinates, CRSs, geometry types and layers of vector files are read correctly or reported. No file makes GDAL
open another file."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import time
import warnings
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from shapely.geometry import LineString, MultiLineString, Point, box

from regionplot.errors import FeaturesError
from regionplot.geo.crs import parse_crs, transformer
from regionplot.inputs.geopackage import names_beside_views
from regionplot.inputs.isolation import start_reading, time_limit
from regionplot.inputs.surfaces import parse_geometries
from regionplot.inputs.vector_files import check_layer
from regionplot.inputs.vector_layers import VectorLayer, load_layer
from regionplot.inputs.vector_sources import files_of
from regionplot.layers.features import FeatureSettings

pytestmark = pytest.mark.usefixtures("read_in_process")
LONLAT = parse_crs("EPSG:4326")
MERCATOR = parse_crs("EPSG:3395")
UTM = parse_crs("EPSG:25832")
FORMATS = ["a.shp", "a.gpkg", "a.fgb", "a.geojson"]


def load(path: Path, to: pyproj.CRS = LONLAT, **settings: Any) -> VectorLayer:
    return load_layer(FeatureSettings(path=path, **{"facecolor": "red", **settings}), to)


def write_geojson(path: Path, *geometries: Any, **members: Any) -> Path:
    features = [{"type": "Feature", "properties": {}, "geometry": geometry} for geometry in geometries]
    path.write_text(json.dumps({"type": "FeatureCollection", **members, "features": features}))
    return path


def line(*points: tuple[float, float]) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": points}


def in_utm(*points: tuple[float, float]) -> list[tuple[float, float]]:
    return list(zip(*transformer(LONLAT, UTM).transform(*zip(*points, strict=True)), strict=True))


# CRS of a file and CRS of the settings


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("stated", [None, "EPSG:4326", "EPSG:3857"])
def test_the_crs_of_the_settings_overrides_the_crs_of_the_file(
    write_vector, name: str, stated: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_vector([LineString(in_utm((8, 51), (11, 51)))], crs=stated, name=name)
    found = load(path, crs="EPSG:25832").lines
    assert shapely.total_bounds(found) == pytest.approx([8, 51, 11, 51], abs=0.1)
    assert ("but crs = 'EPSG:25832' in the settings is used" in caplog.text) == (stated is not None)


@pytest.mark.parametrize(
    "member",
    [{"name": "EPSG:999999"}, {"name": "urn:ogc:def:crs:NOWHERE::1"}, {"name": "a local grid"}],
    ids=lambda member: member["name"],
)
def test_an_unknown_crs_member_of_a_geojson_needs_a_crs_in_the_settings(tmp_path: Path, member: Any) -> None:
    crs = {"type": "name", "properties": member}
    path = write_geojson(tmp_path / "a.geojson", line(*in_utm((8, 51), (11, 51))), crs=crs)
    with pytest.raises(FeaturesError, match=r'a\.geojson: the file has no CRS; set crs = "EPSG:\.\.\."'):
        load(path)
    assert shapely.total_bounds(load(path, crs="EPSG:25832").lines) == pytest.approx([8, 51, 11, 51], abs=0.1)


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"])
def test_the_names_of_wgs_84_are_known(tmp_path: Path, name: str) -> None:
    crs = {"type": "name", "properties": {"name": name}}
    assert load(write_geojson(tmp_path / "a.geojson", line((8, 51), (11, 51)), crs=crs)).lines.size == 1


@pytest.mark.parametrize(
    "wkt",
    [
        'LOCAL_CS["Undefined Cartesian SRS",UNIT["Meter",1]]',
        'ENGCRS["site",EDATUM["here"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]',
        'GEOCCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["m",1]]',
    ],
    ids=["local", "engineering", "geocentric"],
)
@pytest.mark.parametrize("name", ["a.shp", "a.gpkg", "a.fgb"])
def test_a_crs_that_is_not_on_the_earth_needs_a_crs_in_the_settings(write_vector, name: str, wkt: str) -> None:
    path = write_vector([LineString(in_utm((8, 51), (11, 51)))], crs=wkt, name=name)
    for read in (load, lambda path: check_layer(FeatureSettings(path=path))):
        with pytest.raises(FeaturesError, match=rf'{name}: .* set crs = "EPSG:\.\.\." in its \[\[features\]\]'):
            read(path)
    assert shapely.total_bounds(load(path, crs="EPSG:25832").lines) == pytest.approx([8, 51, 11, 51], abs=0.1)


def test_a_crs_of_another_body_is_refused(write_vector) -> None:
    moon = 'GEOGCS["Moon",DATUM["Moon",SPHEROID["Moon",1737400,0]],PRIMEM["Reference",0],UNIT["degree",0.0174532925]]'
    with pytest.raises(FeaturesError, match=r"a\.gpkg: there is no transformation from the CRS 'Moon'"):
        load(write_vector([LineString([(0, 0), (1, 1)])], crs=moon, name="a.gpkg"), MERCATOR)


# Coordinates

BAD = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "1e30": 1e30, "1e308": 1e308, "5e8": 5e8}


@pytest.mark.filterwarnings("ignore:invalid value encountered in")
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("crs", [LONLAT, MERCATOR, UTM], ids=["degrees", "mercator", "utm"])
@pytest.mark.parametrize("source", [LONLAT, UTM], ids=["from degrees", "from meters"])
def test_only_the_features_with_bad_coordinates_are_skipped(
    write_vector, bad: float, crs: pyproj.CRS, source: pyproj.CRS, caplog: pytest.LogCaptureFixture
) -> None:
    (x, y), step = transformer(LONLAT, source).transform(9, 50), 0.5 if source.is_geographic else 5e4
    good = [box(x, y, x + step, y + step), LineString([(x, y), (x + step, y)]), Point(x, y)]
    wrong = [
        shapely.Polygon([(x, y), (bad, y), (x + step, y + step), (x, y)]),
        LineString([(x, y), (x + step, bad)]),
        MultiLineString([[(x, y), (x + step, y)], [(x, y), (bad, bad)]]),
        Point(bad, y),
    ]
    path = write_vector([*wrong, *good], crs=source.to_string(), name="a.gpkg", geometry_type="Unknown")
    found = load(path, crs)
    assert (found.polygons.size, found.points.size) == (1, 1)
    assert np.isfinite(shapely.total_bounds(found.lines)).all()
    assert "skipped 4 features whose coordinates are not numbers, or not on the earth" in caplog.text


@pytest.mark.parametrize("to", [LONLAT, MERCATOR])
def test_meters_taken_for_degrees_are_refused(tmp_path: Path, to: pyproj.CRS) -> None:
    path = write_geojson(tmp_path / "a.geojson", line(*in_utm((8, 51), (11, 51))), line(*in_utm((8, 50), (9, 50))))
    start = time.monotonic()
    with pytest.raises(FeaturesError, match=r"a\.geojson: all features lie outside the earth .*; set crs = "):
        load(path, to)
    assert time.monotonic() - start < 20


def test_degrees_taken_for_meters_are_drawn_where_the_crs_puts_them(write_vector) -> None:
    found = load(write_vector([LineString([(8, 51), (11, 51)])], crs="EPSG:25832"))
    assert shapely.total_bounds(found.lines) == pytest.approx([4.5, 0, 4.5, 0], abs=0.1)


def test_lines_that_would_need_too_much_memory_are_refused(write_vector) -> None:
    """Each line is on the earth, but each goes around the earth many times."""
    zigzag = LineString([(-3600 if number % 2 else 3600, number * 1e-4) for number in range(5000)])
    with pytest.raises(FeaturesError, match=r"a\.gpkg: the lines of the layer are too long: their projection needs"):
        load(write_vector([zigzag], name="a.gpkg"), MERCATOR)


@pytest.mark.parametrize("kind", ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"])
@pytest.mark.parametrize(
    "coordinates",
    [[], [[]], [[[]]], [[[[]]]], [5], [[5]], [[[5]]], [None], [[None]], None, "x", {}, [[["a", "b"]]], [[1, 2]]],
    ids=json.dumps,
)
def test_odd_coordinates_of_a_geojson_are_skipped(tmp_path: Path, kind: str, coordinates: Any) -> None:
    odd = {"type": kind, "coordinates": coordinates}
    found = load(write_geojson(tmp_path / "a.geojson", line((1, 2), (3, 4)), odd))
    assert shapely.total_bounds(found.lines) == pytest.approx([1, 2, 3, 4])
    assert not found.polygons.size


@pytest.mark.parametrize("name", ["a.shp", "a.gpkg", "a.geojson", "a.fgb"])
def test_heights_are_dropped(write_vector, name: str) -> None:
    found = load(write_vector([LineString([(1, 2, 7), (3, 4, 8)])], name=name, geometry_type="LineString Z"))
    assert_flat(found)


@pytest.mark.parametrize("kind", [1002, 2002, 3002], ids=["Z", "M", "ZM"])
def test_heights_and_measures_of_a_geopackage_are_dropped(tmp_path: Path, kind: int) -> None:
    values = [7.0] * (2 if kind == 3002 else 1)
    points = [[1.0, 2.0, *values], [3.0, 4.0, *values]]
    assert_flat(load(write_gpkg(tmp_path / "a.gpkg", wkb_of(kind, struct.pack("<I", 2) + np.array(points).tobytes()))))


def assert_flat(found: VectorLayer) -> None:
    assert shapely.get_coordinate_dimension(found.lines).tolist() == [2]
    assert shapely.total_bounds(found.lines) == pytest.approx([1, 2, 3, 4])


# Geometry types that GEOS does not know


def wkb_of(kind: int, content: bytes, order: str = "<") -> bytes:
    return bytes([order == "<"]) + struct.pack(f"{order}I", kind) + content


def triangle(x: float, order: str = "<") -> bytes:
    ring = struct.pack(f"{order}II8d", 1, 4, x, 0, x + 1, 0, x, 1, x, 0)
    return wkb_of(17, ring, order)


def several(kind: int, *parts: bytes, order: str = "<") -> bytes:
    return wkb_of(kind, struct.pack(f"{order}I", len(parts)) + b"".join(parts), order)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [15, 16], ids=["polyhedral surface", "tin"])
def test_surfaces_become_polygons(kind: int, order: str) -> None:
    point = shapely.to_wkb(Point(1, 2))
    surface = several(kind, triangle(0, order), triangle(5, order), order=order)
    found = parse_geometries([triangle(3), surface, several(7, surface, point), point, None])
    assert [shapely.get_type_id(geometry) for geometry in found] == [7, 7, 7, 0, -1]
    assert shapely.area(found).tolist() == pytest.approx([0.5, 1.0, 1.0, 0, np.nan], nan_ok=True)


def curve(kind: int, *points: tuple[float, float]) -> bytes:
    return wkb_of(kind, struct.pack("<I", len(points)) + np.array(points, float).tobytes())


def test_curves_in_collections_become_lines() -> None:
    """Each curve is a part of the circle of radius 1 around (1, 0), or a line on the x axis."""
    upper, lower = curve(8, (0, 0), (1, 1), (2, 0)), curve(8, (2, 0), (1, -1), (0, 0))
    circle, line_ = curve(8, (0, 0), (2, 0), (0, 0)), curve(2, (2, 0), (0, 0))
    half, whole = several(10, several(9, upper, line_)), several(10, several(9, upper, lower))
    curves = [upper, circle, several(11, upper, lower), half, whole, several(12, half), several(10, circle)]
    (found,) = parse_geometries([several(7, *curves)])
    parts = shapely.get_parts(found)
    radius = np.hypot(*(shapely.get_coordinates(parts[:4]) - (1, 0)).T)
    np.testing.assert_allclose(radius, 1)
    assert shapely.length(parts[:4]) == pytest.approx(np.pi * np.array([1, 2, 1, 1]), rel=1e-3)
    assert shapely.area(parts[4:]) == pytest.approx(np.pi * np.array([0.5, 1, 0.5, 1]), rel=2e-3)


def test_damaged_surfaces_are_not_read() -> None:
    nested = several(16, triangle(0))
    for _ in range(100):
        nested = several(7, nested)
    count = wkb_of(16, struct.pack("<I", 2**32 - 1))
    arcs = [several(7, several(9)), several(7, wkb_of(99, bytes(8)))]
    damaged = [several(16, triangle(0))[:-9], nested, count, wkb_of(17, b""), b"", b"\1", *arcs]
    assert parse_geometries(damaged).tolist() == [None] * len(damaged)


def write_gpkg(path: Path, *wkb: bytes, wkt: str = "EPSG:4326") -> Path:
    """Write a GeoPackage, and replace its geometries by WKB of any type."""
    import pyogrio.raw

    place = np.array([shapely.to_wkb(Point(0, 0))] * len(wkb), dtype=object)
    options = {"geometry_type": "Unknown", "crs": wkt, "SPATIAL_INDEX": "NO"}
    pyogrio.raw.write(path, place, [np.arange(len(wkb))], ["id"], **options)
    with closing(sqlite3.connect(path)) as database, database:
        for trigger in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger[0]}"')
        for number, content in enumerate(wkb, 1):
            blob = b"GP\0\1" + struct.pack("<i", 4326) + content
            database.execute(f'UPDATE "{path.stem}" SET geom = ? WHERE fid = ?', (blob, number))
    return path


def test_surfaces_of_a_geopackage_are_filled_and_outlined(tmp_path: Path) -> None:
    unknown = wkb_of(99, bytes(8))
    path = write_gpkg(tmp_path / "a.gpkg", several(16, triangle(0), triangle(5)), triangle(8), unknown)
    found = load(path)
    assert shapely.area(found.polygons).sum() == pytest.approx(1.5)
    assert shapely.total_bounds(found.lines) == pytest.approx([0, 0, 9, 1])


# Layers of a GeoPackage


def add_layer(path: Path, name: str, definition: str) -> None:
    """Add a layer to a GeoPackage: a view or a table that SQL defines."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(definition)
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES (?, 'features', ?, 4326)",
            (name, name),
        )
        database.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 'GEOMETRY', 4326, 0, 0)", (name,))


VIEWS = {
    "plain": ("SELECT fid, geom FROM a WHERE fid > 1", None),
    "functions": ("SELECT max(fid) AS fid, geom FROM a GROUP BY upper(fid) HAVING count(*) < 5 AND fid > 1", None),
    "recursive": (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS fid, geom FROM n, a",
        "the layer 'seen' is a view with SQL that is not allowed",
    ),
    "address": (
        "SELECT fid, ogr_geocode('x') AS geom FROM a",
        "the layer 'seen' is a view with SQL that is not allowed",
    ),
    "memory": (
        "SELECT fid, zeroblob(1000000000) AS geom FROM a",
        "the layer 'seen' is a view with SQL that is not allowed",
    ),
    "extension": (
        "SELECT fid, load_extension('/tmp/x') AS geom FROM a",
        "the layer 'seen' is a view with SQL that is not allowed",
    ),
}


@pytest.mark.parametrize(("sql", "message"), VIEWS.values(), ids=VIEWS)
def test_a_view_is_read_only_if_it_is_harmless(write_vector, sql: str, message: str | None) -> None:
    path = write_vector([LineString([(0, 0), (1, 1)]), LineString([(5, 5), (6, 6)])], name="a.gpkg")
    add_layer(path, "seen", f"CREATE VIEW seen AS {sql}")
    if message is None:
        assert shapely.total_bounds(load(path, layer="seen").lines) == pytest.approx([5, 5, 6, 6])
        return
    for read in (load, lambda path, layer: check_layer(FeatureSettings(path=path, layer=layer))):
        with pytest.raises(FeaturesError, match=rf"a\.gpkg: {message}"):
            read(path, layer="seen")
    if "ogr_" in sql:
        with pytest.raises(
            FeaturesError, match=r"a\.gpkg: .*a OGR extension SQL function"
        ):  # GDAL refuses the whole file
            load(path, layer="a")
    else:
        assert load(path, layer="a").lines.size == 2


_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS fid, geom FROM n, a WHERE i < 0"


def test_a_view_that_runs_forever_does_not_hinder_other_layers(write_vector) -> None:
    """GDAL runs all views when it lists the layers. A child reads the file, because C code cannot be interrupted."""
    path = write_vector([LineString([(0, 0), (1, 1)])], name="a.gpkg")
    add_layer(path, "seen", f"CREATE VIEW seen AS {_ENDLESS}")
    with time_limit(20):
        found = start_reading(lambda: {"lines": np.array(load(path, layer="a").lines.size)}, path, FeaturesError)()
        assert found["lines"] == 1
        for read in (lambda: load(path, layer="seen"), lambda: load(path, layer="b")):
            with pytest.raises(FeaturesError, match=r"view with SQL that is not allowed|the layers are: a, seen"):
                start_reading(read, path, FeaturesError)()


@pytest.mark.parametrize("definition", ["VIEW B AS SELECT * FROM a", "TABLE B (fid INTEGER PRIMARY KEY, geom BLOB)"])
def test_layers_beside_a_view_are_listed_as_gdal_lists_them(write_vector, definition: str) -> None:
    path = write_vector([LineString([(0, 0), (1, 1)])], name="a.gpkg")
    for name, sql in (("z", "VIEW z AS SELECT * FROM a"), ("B", definition)):
        add_layer(path, name, f"CREATE {sql}")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE other (id INTEGER PRIMARY KEY)")
        other = "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES ('other', 'attributes', 'o')"
        database.execute(other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the views state no type of geometry
        expected = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
    assert names_beside_views(path) == expected == ["a", "z", "B"]


def test_a_small_file_cannot_have_more_features_than_bytes(write_vector) -> None:
    """Views can multiply the rows of a table."""
    path = write_vector([LineString([(0, 0), (1, 1)])] * 1000, name="a.gpkg")
    add_layer(path, "seen", "CREATE VIEW seen AS SELECT a.fid, a.geom FROM a, a AS b")
    with pytest.raises(
        FeaturesError,
        match=r"a\.gpkg: the file is damaged: the layer states 1,000,000 features, but the file has only [\d,]+ bytes",
    ):
        load(path, layer="seen")


def test_a_virtual_table_is_not_read_as_a_layer(write_vector) -> None:
    path = write_vector([LineString([(0, 0), (1, 1)])], name="a.gpkg")
    add_layer(path, "seen", "CREATE VIRTUAL TABLE seen USING rtree(fid, x0, x1)")
    with pytest.raises(FeaturesError, match=r"a\.gpkg: the layer 'seen' is a virtual table, which is not read"):
        load(path, layer="seen")


@pytest.mark.parametrize("table", ["gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys"])
def test_a_geopackage_whose_own_tables_are_views_is_refused(write_vector, table: str) -> None:
    path = write_vector([LineString([(0, 0), (1, 1)])], name="a.gpkg")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE hidden AS SELECT * FROM {table}")
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(f"DROP TABLE {table}")
        database.execute(f"CREATE VIEW {table} AS SELECT * FROM hidden")
    with pytest.raises(FeaturesError, match=rf"its table {table} is not an ordinary table"):
        load(path)


def test_the_first_of_several_layers_is_named(write_vector, caplog: pytest.LogCaptureFixture) -> None:
    path = write_vector([box(0, 0, 1, 1)], name="two.gpkg", layer="land")
    write_vector([box(5, 5, 6, 6)], name="two.gpkg", layer="sea", append=True)
    assert shapely.total_bounds(load(path).lines) == pytest.approx([0, 0, 1, 1])
    assert (
        "two.gpkg: the first layer is drawn; choose another layer with layer = NAME (the file has land, sea)"
        in caplog.text
    )
    caplog.clear()
    assert shapely.total_bounds(load(path, layer="sea").lines) == pytest.approx([5, 5, 6, 6])
    assert not caplog.text
    with pytest.raises(FeaturesError, match=r"there is no layer 'lake'; the layers are: land, sea"):
        load(path, layer="lake")


def test_a_table_without_geometries_is_not_the_first_layer(write_vector, caplog: pytest.LogCaptureFixture) -> None:
    import pyogrio.raw

    path = write_vector([box(0, 0, 1, 1)], name="a.gpkg", layer="land")
    table = path.with_name("b.gpkg")
    pyogrio.raw.write(table, None, [np.arange(2)], ["id"], layer="notes", geometry_type=None, crs=None)
    with pytest.raises(FeaturesError, match=r"b\.gpkg: there is no layer with geometries; the tables are: notes"):
        load(table)
    pyogrio.raw.write(path, None, [np.arange(2)], ["id"], layer="notes", geometry_type=None, crs=None, append=True)
    assert load(path).lines.size == 1
    assert not caplog.text


def test_the_write_ahead_log_of_a_geopackage_is_read(write_vector) -> None:
    path = write_vector([LineString([(0, 0), (1, 1)]), LineString([(5, 5), (6, 6)])], name="a.gpkg")
    settings = FeatureSettings(path=path)
    before = load_layer(settings, LONLAT)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        for trigger in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger[0]}"')
        database.execute("DELETE FROM a WHERE fid = 1")
        database.commit()
        after = load_layer(settings, LONLAT)
    assert (before.lines.size, after.lines.size) == (2, 1)
    assert before.key != after.key


# Names and archives

NAMES = ["a;b.{}", "a?b.{}", "a#b.{}", "a%b.{}", "a\tb.{}", " a.{}", "a b.{}", "a&b=c.{}", "a:b.{}", "\u00e9\u4e16.{}"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", ["shp", "gpkg", "fgb", "geojson"])
def test_the_file_with_exactly_this_name_is_read(write_vector, tmp_path: Path, name: str, suffix: str) -> None:
    write_vector([LineString([(5, 5), (6, 6)])], name=f"plain.{suffix}")
    path = tmp_path / name.format(suffix)
    for part in tmp_path.glob("plain.*"):
        part.rename(path.with_suffix(part.suffix))
    for other in ("a", "ab"):
        write_vector([LineString([(1, 1), (2, 2)])], name=f"{other}.{suffix}")
        (tmp_path / f"{other}.{suffix}").rename(tmp_path / other)
    assert shapely.total_bounds(load(path).lines) == pytest.approx([5, 5, 6, 6])


def test_a_path_with_two_slashes_is_this_path(write_vector) -> None:
    path = write_vector([LineString([(5, 5), (6, 6)])], name="a.gpkg")
    assert load(Path(f"/{path}")).lines.size == 1


OGR_VRT = b"<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer>"


def zipped(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members have one name
        for name, content in members:
            archive.writestr(name, content)
    return path


def parts_of(path: Path) -> list[tuple[str, bytes]]:
    return [(part.name, part.read_bytes()) for part in sorted(path.parent.glob(f"{path.stem}.*"))]


@pytest.mark.parametrize("suffix", [".shp", ".shx", ".dbf", ".prj"])
@pytest.mark.parametrize("change", [str, str.upper, str.title], ids=["same", "upper", "title"])
@pytest.mark.parametrize("place", [0, 99], ids=["first", "last"])
def test_an_archive_with_two_members_of_one_name_is_refused(
    write_vector, tmp_path: Path, suffix: str, change: Callable[[str], str], place: int
) -> None:
    members = parts_of(write_vector([box(0, 0, 1, 1)], name="layer.shp"))
    members.insert(place, (change(f"layer{suffix}"), OGR_VRT))
    with pytest.raises(FeaturesError, match=r"a\.zip: (the archive holds (two|2)|.*XML)"):
        load(zipped(tmp_path / "a.zip", members))


def test_gdal_sees_only_the_parts_of_the_shapefile(write_vector, tmp_path: Path) -> None:
    members = parts_of(write_vector([box(0, 0, 1, 1)], name="layer.shp"))
    others = [("other.vrt", OGR_VRT), ("inner.zip", b"PK\3\4"), ("metadata.json", b"{}"), ("layer.shp.xml", OGR_VRT)]
    path = zipped(tmp_path / "a.zip", [*others, *((f"folder/{name}", content) for name, content in members)])
    assert load(path).polygons.size == 1
    assert load(path, layer="layer").polygons.size == 1
    with pytest.raises(FeaturesError, match="other"):
        load(path, layer="other")


def test_an_archive_in_an_archive_is_not_opened(write_vector, tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", parts_of(write_vector([box(0, 0, 1, 1)], name="layer.shp")))
    with pytest.raises(FeaturesError, match=r"a\.zip: the archive holds no vector file"):
        load(zipped(tmp_path / "a.zip", [("inner.zip", inner.read_bytes())]))


@pytest.mark.parametrize("position", [30, 200, 600])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_refused(write_vector, tmp_path: Path, position: int, method: int) -> None:
    members = parts_of(write_vector([box(i, 0, i + 0.7, i % 7 + 1) for i in range(40)], name="layer.shp"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        for name, content in sorted(members, reverse=True):
            archive.writestr(name, content)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[position : position + 60] = b"\xa5" * 60
    (tmp_path / "a.zip").write_bytes(content)
    try:
        load(tmp_path / "a.zip")
    except FeaturesError as error:
        assert str(error).startswith(str(tmp_path / "a.zip"))  # noqa: PT017 (the damaged part may be unused)


@pytest.mark.parametrize("name", ["a.shp", "a.prj", "a.dbf", "a.SHX", "a.cpg"])
def test_a_pipe_in_the_place_of_a_file_is_refused(write_vector, name: str) -> None:
    path = write_vector([box(0, 0, 1, 1)], name="a.shp")
    pipe = path.with_name(name)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    for read in (load, lambda path: check_layer(FeatureSettings(path=path))):
        with pytest.raises(FeaturesError, match=rf"{name}: it is not a file"):
            read(path)


@pytest.mark.parametrize("name", ["a.gpkg", "a.gpkg-wal", "a.gpkg-journal"])
def test_a_pipe_in_the_place_of_a_geopackage_is_refused(write_vector, name: str) -> None:
    path = write_vector([box(0, 0, 1, 1)], name="a.gpkg")
    path.with_name(name).unlink(missing_ok=True)
    os.mkfifo(path.with_name(name))
    with pytest.raises(FeaturesError, match=rf"{name}: it is not a file"):
        load(path)


def test_the_log_of_a_database_behind_a_link_belongs_to_the_layer(write_vector, tmp_path: Path) -> None:
    """SQLite reads the log beside the file that a link names, so kept geometries depend on this log."""
    path = write_vector([box(0, 0, 1, 1)], name="a.gpkg")
    link = tmp_path / "links" / "b.gpkg"
    link.parent.mkdir()
    link.symlink_to(path)
    path.with_name("a.gpkg-wal").write_bytes(b"")
    assert [found.name for found in files_of(link)] == ["a.gpkg-wal"]


def test_the_journal_of_another_database_is_named(write_vector) -> None:
    path = write_vector([box(0, 0, 1, 1)], name="a.gpkg")
    path.with_name("a.gpkg-journal").write_bytes(b"x" * 2000)
    with pytest.raises(FeaturesError, match=r"a\.gpkg: .*; a\.gpkg-journal beside it .* move it away"):
        load(path)


@pytest.mark.parametrize("more", [[], [{"type": "Point", "coordinates": [3, 4]}]], ids=["none", "one"])
def test_features_without_a_geometry_are_reported(more: list[dict[str, Any]], tmp_path: Path, caplog) -> None:
    """GDAL returns no geometry for a geometry that it cannot read."""
    path = write_geojson(tmp_path / "a.geojson", {"type": "Point", "coordinates": ["3", "4"]}, None, *more)
    assert len(load(path).points) == len(more)
    assert ("WARNING", f"{path}: skipped 2 features without a geometry") in [
        (record.levelname, record.getMessage()) for record in caplog.records
    ]


@pytest.mark.parametrize("content", ['{"type":"Feature"}\n{"type":"Feature"}\n', '{"type":"Topology","arcs":[]}'])
def test_other_kinds_of_json_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.geojson").write_text(content)
    with pytest.raises(FeaturesError, match="TopoJSON and Esri JSON are not read; convert the file"):
        load(tmp_path / "a.geojson")
