"""Tables of points are vector files: with positions, attributes, conditions and clear errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyproj
import pytest
import shapely

from regionplot.errors import FeaturesError
from regionplot.inputs.point_table import points_as_geojson
from regionplot.inputs.vector_files import read_projected
from regionplot.inputs.vector_survey import survey_vector
from regionplot.settings.vector import VectorSettings

LONLAT = pyproj.CRS.from_epsg(4326)
NAMES = {
    "plain": "name,lon,lat\n{}",
    "other spellings": "Name,Longitude,LATITUDE\n{}",
    "with units": "name,lon_,Lat.\n{}",
    "quoted": '"name","lon","lat"\r\n{}',
    "marked": "\ufeffname,lon,lat\n{}",
}


@pytest.fixture
def written(tmp_path: Path):
    """Return a function that writes a table."""

    def write(text: str, name: str = "stations.csv", encoding: str = "utf-8") -> Path:
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    return write


def rows(path: Path) -> list[tuple[Any, Any]]:
    """Return the attributes and the coordinates of each feature."""
    found = json.loads(points_as_geojson(path))["features"]
    return [(each["properties"], each["geometry"] and each["geometry"]["coordinates"]) for each in found]


@pytest.mark.parametrize("text", NAMES.values(), ids=NAMES)
def test_columns_with_coordinates_have_usual_names(written, text: str) -> None:
    ((attributes, place),) = rows(written(text.format("Köln,6.96,50.94\n")))
    assert place == [6.96, 50.94]
    assert [value for name, value in attributes.items() if name.lower() == "name"] == ["Köln"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_allow_a_decimal_comma(written, delimiter: str) -> None:
    lines = ["name", "lon", "lat", "snow"], ["A, B", "-104,5", "39", "12,25"], ["C", "-104.25", "1e1", ""]
    path = written("\n".join(delimiter.join(line) for line in lines), "a.txt")
    assert rows(path) == [({"name": "A, B", "snow": 12.25}, [-104.5, 39]), ({"name": "C", "snow": None}, [-104.25, 10])]


def test_a_column_is_numbers_only_if_all_its_cells_are_numbers(written) -> None:
    path = written("lon,lat,code,count,mixed,word\n1,2,01001,5,1,nan\n3,4,10001,-7,x,inf\n\n5,6,,,,\n")
    assert [attributes for attributes, _ in rows(path)] == [
        {"code": "01001", "count": 5, "mixed": "1", "word": "nan"},
        {"code": "10001", "count": -7, "mixed": "x", "word": "inf"},
        {"code": None, "count": None, "mixed": None, "word": None},
    ]


def test_rows_without_coordinates_are_skipped_with_a_warning(written) -> None:
    path = written("name,lon,lat\na,1,2\nb,,\nc,x,2\nd,inf,2\ne,1,200\nf\n")
    found = read_projected(VectorSettings(path=path), LONLAT)
    assert shapely.get_coordinates(found.points).tolist() == [[1, 2]]
    assert [text.partition(": ")[2] for _, text in found.notes] == [
        "skipped 4 features without a geometry",
        "skipped 1 feature whose coordinates are not numbers, or not on the earth",
    ]


def test_other_coordinates_need_a_crs(written) -> None:
    path = written("x,y\n500000,4500000\n")
    with pytest.raises(FeaturesError, match=r"outside the earth .*; set crs = \"EPSG:\.\.\.\""):
        read_projected(VectorSettings(path=path), LONLAT)
    found = read_projected(VectorSettings(path=path, crs="EPSG:32613"), LONLAT)
    assert shapely.get_coordinates(found.points)[0].tolist() == pytest.approx([-105, 40.65], abs=0.01)


def test_a_condition_selects_rows(written) -> None:
    path = written("name,lon,lat,snow\na,1,2,5\nb,3,4,50\n")
    found = read_projected(VectorSettings(path=path, where="snow > 9"), LONLAT)
    assert shapely.get_coordinates(found.points).tolist() == [[3, 4]]


def test_the_contents_are_listed(written) -> None:
    survey = survey_vector(written("name,lon,lat,snow\na,1,2,5\nb,3,4,50\n"))
    (layer,) = survey.layers
    assert (survey.format, layer.geometry, layer.features, [*layer.extent]) == ("CSV", "Point", 2, [1, 2, 3, 4])
    assert [field.name for field in layer.fields] == ["name", "snow"]


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        ("name,latitude\na,2\n", "utf-8", "needs the columns lon and lat; the columns are: name, latitude"),
        ("a\x1b[31m,b\n", "utf-8", r"the columns are: a \[31m, b"),
        ("name,lon,lat\nKöln,7,51\n", "latin-1", "is not text in UTF-8; save it as CSV UTF-8"),
        ('lon,lat\n1,"' + 200_000 * "x" + '"\n', "utf-8", "cannot be read as a table of points: field larger"),
        ("name,lon,lat\n", "utf-16", "is not text in UTF-8"),
        ("lon,lat\n" + 1_000_001 * "1,2\n", "utf-8", "has more than 1,000,000 rows or 20,000,000 cells; convert"),
        ("lon,lat" + 2000 * "," + "\n" + 10_001 * "1,2\n", "utf-8", "has more than 1,000,000 rows or 20,000,000 cells"),
        ("lon,lat\n" + 2**26 * "1", "utf-8", "has more than 67,108,864 bytes"),
    ],
    ids=[
        "no longitude",
        "control characters",
        "Latin-1",
        "a long cell",
        "UTF-16",
        "many rows",
        "many cells",
        "a large file",
    ],
)
def test_a_faulty_table_is_refused(written, text: str, encoding: str, message: str) -> None:
    with pytest.raises(FeaturesError, match=message):
        read_projected(VectorSettings(path=written(text, encoding=encoding)), LONLAT)


def test_a_table_with_only_a_header_is_an_empty_layer(written) -> None:
    assert read_projected(VectorSettings(path=written("name,lon,lat\n")), LONLAT).points.size == 0
