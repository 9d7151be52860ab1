"""Features of vector files as regions; margins; regions by center and size."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import pytest
import shapely
from shapely.geometry import MultiPolygon, Point, box

from regionplot.errors import RegionsError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.regions.table import read_regions, read_regions_if_any
from regionplot.settings.regions import RegionSettings

pytestmark = pytest.mark.usefixtures("read_in_process")
COLORADO, UTAH = box(-109, 37, -102, 41), box(-114, 37, -109, 42)
KILOMETERS_PER_DEGREE = 111.195


@pytest.fixture
def write_features(tmp_path: Path) -> Callable[..., Path]:
    """Write geometries with attributes to a vector file. The suffix of the name decides the format."""

    def write(file: str, geometries: list[Any], crs: str = "EPSG:4326", **columns: list[Any]) -> Path:
        wkb = np.array([None if each is None else shapely.to_wkb(each) for each in geometries], dtype=object)
        values = [np.array(column, dtype=object if isinstance(column[0], str) else None) for column in columns.values()]
        pyogrio.raw.write(tmp_path / file, wkb, values, list(columns), geometry_type="Unknown", crs=crs)
        return tmp_path / file

    return write


def limits(region: Region) -> list[float]:
    extent = region.extent
    return [extent.xmin, extent.xmax, extent.ymin, extent.ymax]


@pytest.mark.parametrize("name", ["a.shp", "a.gpkg", "a.geojson", "a.fgb"])
def test_each_feature_is_a_region(write_features, name: str) -> None:
    path = write_features(name, [COLORADO, UTAH], NAME=["Colorado", "Utah"], pop=[5, 3], share=[0.5, math.nan])
    regions = {region.name: region for region in read_regions(path)}
    assert limits(regions["Colorado"]) == [-109, -102, 37, 41]
    assert limits(regions["Utah"]) == [-114, -109, 37, 42]
    assert regions["Colorado"].crs in ("EPSG:4326", "OGC:CRS84")
    assert regions["Colorado"].fields["pop"] == "5"
    assert (regions["Colorado"].fields["share"], regions["Utah"].fields["share"]) == ("0.5", "")
    assert str(path) in regions["Utah"].origin


def test_a_projected_file_keeps_its_units(write_features) -> None:
    (region,) = read_regions(write_features("a.gpkg", [box(0, 0, 2000, 1000)], crs="EPSG:5070", name=["a"]))
    assert (region.extent, region.crs) == (Extent(0, 2000, 0, 1000), "EPSG:5070")


@pytest.mark.parametrize(
    "definition", ["+proj=lcc +lat_1=33 +lat_2=45 +lat_0=39 +lon_0=-96 +R=6371229", "+proj=krovak"]
)
def test_a_crs_without_a_code_becomes_degrees(write_features, definition: str) -> None:
    corners = pyproj.Transformer.from_crs("EPSG:4326", definition, always_xy=True).transform([10, 12], [48, 50])
    shape = box(min(corners[0]), min(corners[1]), max(corners[0]), max(corners[1]))
    (region,) = read_regions(write_features("a.gpkg", [shape], crs=definition, name=["a"]))
    assert region.crs == "EPSG:4326"
    xmin, xmax, ymin, ymax = limits(region)
    assert box(xmin, ymin, xmax, ymax).contains(box(10.01, 48.01, 11.99, 49.99))
    assert max(xmax - xmin, ymax - ymin) < 40


def test_a_feature_on_both_sides_of_the_antimeridian_is_one_narrow_region(write_features) -> None:
    fiji = MultiPolygon([box(177, -19, 180, -16), box(-180, -19, -178, -16)])
    (region,) = read_regions(write_features("a.gpkg", [fiji], name=["Fiji"]))
    assert limits(region) == [177, 182, -19, -16]


def test_the_settings_choose_features_names_and_layer(write_features) -> None:
    path = write_features(
        "a.gpkg", [COLORADO, UTAH, UTAH], name=["x", "x", "x"], code=["CO", "UT", "U2"], pop=[5, 3, 3]
    )
    wkb = np.array([shapely.to_wkb(COLORADO)], dtype=object)
    values = [np.array(["other"], dtype=object)]
    pyogrio.raw.write(path, wkb, values, ["name"], layer="b", geometry_type="Polygon", crs="EPSG:4326", append=True)
    chosen = read_regions(path, RegionSettings(layer="a", name_field="code", where="pop = 3 AND code LIKE '%T'"))
    assert [(region.name, region.fields["name"]) for region in chosen] == [("UT", "UT")]
    assert [region.name for region in read_regions(path, RegionSettings(layer="b"))] == ["other"]


def test_name_field_ignores_case_unless_columns_differ_only_in_case(tmp_path: Path, write_features) -> None:
    path = write_features("a.shp", [COLORADO, UTAH], GEOID=["08", "49"])
    assert [region.name for region in read_regions(path, RegionSettings(name_field="geoid"))] == ["08", "49"]
    table = tmp_path / "regions.csv"
    table.write_text("Code,CODE,west,east,south,north\na,b,0,1,0,1\n")
    assert read_regions(table, RegionSettings(name_field="CODE"))[0].name == "b"
    with pytest.raises(RegionsError, match="there is no column 'code'"):
        read_regions(table, RegionSettings(name_field="code"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name_field": "nome"}, "there is no column 'nome' (name_field); the columns are: name, id"),
        ({"where": "nome = 1"}, "is the condition 'nome = 1' correct?"),
        ({"where": "name ="}, "is the condition 'name =' correct?"),
        ({"where": "name = 'b'"}, "no feature meets the condition \"name = 'b'\""),
        ({"layer": "b"}, "there is no layer 'b'"),
    ],
)
def test_settings_that_the_file_does_not_know_are_named(write_features, settings: Any, message: str) -> None:
    path = write_features("a.gpkg", [COLORADO], name=["a"], id=[1])
    with pytest.raises(RegionsError) as caught:
        read_regions(path, RegionSettings(**settings))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("geometries", "columns", "message"),
    [
        ([COLORADO], {"id": [1]}, "there is no 'name' column; rename the column that holds the names, or name it in"),
        ([COLORADO, UTAH], {"name": ["a", "A"]}, "the name 'A' is taken by 'a'"),
        ([COLORADO, None], {"name": ["a", "b"]}, ":2: column 'geometry': the feature has no geometry"),
        ([COLORADO, Point(1, 2)], {"name": ["a", "b"]}, ":2: column 'geometry': the geometry has no area"),
        ([COLORADO], {"name": [""]}, ":1: column 'name': the region has no name"),
    ],
)
def test_a_feature_that_cannot_be_a_region_is_named(
    write_features, geometries: Any, columns: Any, message: str
) -> None:
    with pytest.raises(RegionsError) as caught:
        read_regions(write_features("a.geojson", geometries, **columns))
    assert message in str(caught.value)


def test_a_file_without_features_has_no_regions(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    assert read_regions_if_any(path) == []
    with pytest.raises(RegionsError, match="no regions"):
        read_regions(path)


@pytest.mark.parametrize(
    "content", [b"", b"name,west\n", b"{", b"\x00\x00\x27\x0a", b"PK\x03\x04", b"SQLite format 3\0"]
)
@pytest.mark.parametrize("suffix", [".geojson", ".shp", ".gpkg", ".zip", ".fgb"])
def test_a_damaged_file_is_one_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(RegionsError, match=path.name):
        read_regions(path)


@pytest.mark.parametrize("key", ["layer", "where"])
def test_settings_of_vector_files_are_refused_for_a_table(tmp_path: Path, key: str) -> None:
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-109,-102,37,41\n")
    with pytest.raises(RegionsError, match=rf"regions\.csv: \[regions\] {key} is for vector files"):
        read_regions(tmp_path / "regions.csv", RegionSettings(**{key: "x"}))


def one_row(tmp_path: Path, header: str, cells: str, **settings: Any) -> Region:
    (tmp_path / "regions.csv").write_text(f"name,{header}\na,{cells}\n")
    (region,) = read_regions(tmp_path / "regions.csv", RegionSettings(**settings))
    return region


@pytest.mark.parametrize(
    ("header", "cells", "margin", "expected"),
    [
        ("west,east,south,north", "0,10,20,25", "10%", [-1, 11, 19, 26]),
        ("west,east,south,north", "0,10,20,25", "0%", [0, 10, 20, 25]),
        ("west,east,south,north", "-170,170,-80,80", "10%", [-180, 180, -90, 90]),
        ("xmin,xmax,ymin,ymax", "0,100,0,50", "50 %", [-50, 150, -50, 100]),
        ("xmin,xmax,ymin,ymax,crs", "0,9000,0,5000,EPSG:5070", "2km", [-2000, 11000, -2000, 7000]),
    ],
)
def test_a_margin_widens_each_region(tmp_path: Path, header: str, cells: str, margin: str, expected: Any) -> None:
    assert limits(one_row(tmp_path, header, cells, margin=margin)) == pytest.approx(expected)


def test_a_margin_in_kilometers_is_as_wide_at_the_latitude_of_the_region(tmp_path: Path) -> None:
    xmin, xmax, ymin, ymax = limits(one_row(tmp_path, "west,east,south,north", "0,10,50,60", margin="111.195 km"))
    assert (ymin, ymax) == pytest.approx((49, 61), abs=1e-4)
    assert (xmin, xmax) == pytest.approx((-2, 12), abs=1e-3)


def test_a_margin_in_kilometers_needs_a_crs(tmp_path: Path) -> None:
    with pytest.raises(
        RegionsError, match=r"regions\.csv:2: .*a margin of 5 km needs limits in degrees or a column crs"
    ):
        one_row(tmp_path, "xmin,xmax,ymin,ymax", "0,1,0,1", margin="5 km")


@pytest.mark.parametrize("margin", ["10", "-5%", "5 miles", "nan%", "1e9%", "1e9 km", "", "%"])
def test_a_margin_without_a_unit_or_a_sensible_number_is_refused(margin: str) -> None:
    with pytest.raises(ValueError, match="margin"):
        RegionSettings(margin=margin)


@pytest.mark.parametrize("header", ["lon,lat,width_km", "Longitude,Latitude,Width_km", "lng,lat,width-km"])
def test_a_region_is_found_by_center_and_size(tmp_path: Path, header: str) -> None:
    region = one_row(tmp_path, header, "-100,60,222.39")
    assert limits(region) == pytest.approx([-102, -98, 59, 61], abs=1e-4)
    assert region.crs == "EPSG:4326"


def test_the_height_of_a_region_by_center_can_differ(tmp_path: Path) -> None:
    region = one_row(tmp_path, "lon,lat,width_km,height_km", "179,0,444.78,222.39")
    assert limits(region) == pytest.approx([177, 181, -1, 1], abs=1e-4)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("0,91,300", "column 'lat': 91 is not a latitude"),
        ("0,0,0", "column 'width_km': 0 is not a size in kilometers"),
        ("0,0,-5", "column 'width_km': -5 is not a size in kilometers"),
        ("500,0,5", "column 'lon': 500 is not a longitude"),
        ("0,x,5", "column 'lat': 'x' is not a finite number"),
        ("0,80,17000", "17000 km are more than the largest region near a pole"),
        ("0,60,30000", "30000 km are more than the largest region near a pole"),
    ],
)
def test_a_bad_center_or_size_is_named(tmp_path: Path, cells: str, message: str) -> None:
    with pytest.raises(RegionsError) as caught:
        one_row(tmp_path, "lon,lat,width_km", cells)
    assert message in str(caught.value)


def test_the_command_draws_the_features_of_a_file(write_features, run_command, tmp_path: Path) -> None:
    path = write_features("states.geojson", [COLORADO, UTAH], name=["Colorado", "Utah"], code=["CO", "UT"])
    settings = ("--no-config", "--raster", "sample:relief", "-o", "maps", "--margin", "10%", "--name-field", "code")
    settings += ("--where", "code <> 'UT'")
    first = run_command(tmp_path, path.name, *settings)
    assert (first.returncode, first.stderr) == (0, "")
    assert [image.name for image in (tmp_path / "maps").glob("*.png")] == ["CO.png"]
    assert "1 unchanged" in run_command(tmp_path, path.name, *settings).stdout


def test_lists_are_attributes_with_commas(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    shape = json.loads(shapely.to_geojson(COLORADO))
    properties = {"name": "a", "words": ["x", "y"], "numbers": [1, 2.0], "more": {"z": [1]}}
    feature = {"type": "Feature", "properties": properties, "geometry": shape}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    (region,) = read_regions(path)
    assert [region.fields[key] for key in ("words", "numbers")] == ["x, y", "1, 2"]
    assert json.loads(region.fields["more"]) == {"z": [1]}


def test_a_file_without_features_or_a_crs_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(RegionsError, match="it has no features"):
        read_regions(tmp_path / "a.geojson")
    wkb = np.array([shapely.to_wkb(COLORADO)], dtype=object)
    names = np.array(["a"], dtype=object)
    pyogrio.raw.write(tmp_path / "a.shp", wkb, [names], ["name"], geometry_type="Polygon", crs="EPSG:4326")
    (tmp_path / "a.prj").unlink()
    with pytest.raises(RegionsError, match="the file has no CRS; convert the file") as caught:
        read_regions(tmp_path / "a.shp")
    assert "[[features]]" not in str(caught.value)


def test_a_column_of_repeated_names_is_reported_briefly(write_features) -> None:
    with pytest.raises(RegionsError) as caught:
        read_regions(write_features("a.gpkg", [COLORADO] * 2000, name=["a"] * 2000))
    assert len(caught.value.problems) == 11
    assert "a.gpkg: 1,989 more names are repeated" in str(caught.value)
    assert "give name_field" in str(caught.value)


def test_an_attribute_can_name_the_projection(write_vector: Any) -> None:
    """Other uses of the name are ignored, because files come from other people."""
    texts = np.array(["auto", "EPSG:5070", "NAD 83, unknown", ""], dtype=object)
    fields = {"name": np.array(list("abcd"), dtype=object), "projection": texts}
    path = write_vector([shapely.box(k, 0, k + 1, 1) for k in range(4)], name="areas.gpkg", fields=fields)
    regions = read_regions(path)
    assert [region.projection for region in regions] == ["auto", "EPSG:5070", "", ""]
    assert regions[2].attributes["projection"] == "NAD 83, unknown"
