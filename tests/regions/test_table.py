"""Tables of regions: all forms of limits and kinds of text are read, and all faults are reported with their places."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionplot.errors import RegionsError
from regionplot.geo.extent import Extent
from regionplot.regions.table import read_regions

HEADER = "name,west,east,south,north"
FLORIDA = "12,-88,-79,24,31"


@pytest.fixture
def table(tmp_path: Path):
    """Write a table as text or bytes."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "regions.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "extent", "crs"),
    [
        (f"{HEADER}\na,-88,-79,24,31\n", Extent(-88, -79, 24, 31), "EPSG:4326"),
        (f"{HEADER}\na,170,-170,50,60\n", Extent(170, 190, 50, 60), "EPSG:4326"),
        (f"{HEADER}\na,350,10,-5,5\n", Extent(350, 370, -5, 5), "EPSG:4326"),
        (f"{HEADER}\na,-180,180,-90,90\n", Extent(-180, 180, -90, 90), "EPSG:4326"),
        (f"{HEADER}\na,-8.8e1,-79.,+24,.5e2\n", Extent(-88, -79, 24, 50), "EPSG:4326"),
        ("name,xmin,xmax,ymin,ymax\na,0,1e6,-5,5\n", Extent(0, 1e6, -5, 5), None),
        ("name,xmin,xmax,ymin,ymax,crs\na,0,1e6,-5,5,EPSG:5070\n", Extent(0, 1e6, -5, 5), "EPSG:5070"),
        ('name,region\na,"0, 10, 20, 30"\n', Extent(0, 10, 20, 30), None),
        ("name;region\na;(0 10 20 30)\n", Extent(0, 10, 20, 30), None),
        ("name;region;crs\na;[0,10,20,30];EPSG:5070\n", Extent(0, 10, 20, 30), "EPSG:5070"),
        ('name,geometry,crs\na,"POLYGON ((0 5, 2 6, 1 7, 0 5))",EPSG:4326\n', Extent(0, 2, 5, 7), "EPSG:4326"),
    ],
)
def test_limits_are_read_in_every_form(table, content: str, extent: Extent, crs: str | None) -> None:
    (region,) = read_regions(table(content))
    assert (region.extent, region.crs) == (extent, crs)


PLAIN = f"{HEADER},title\n01,-88,-79,24,31,Florida\n\n02,-70,-60,10,20,Méxïco\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        *(PLAIN.replace(",", delimiter).encode() for delimiter in (";", "\t", "|")),
        PLAIN.replace(",", " , ").encode(),
        PLAIN.replace("Florida", '"Florida"').encode(),
        ("\n" + PLAIN.rstrip("\n")).encode(),
    ],
    ids=["plain", "BOM", "CRLF", "CR", "semicolons", "tabs", "bars", "spaces", "quotes", "no last line end"],
)
def test_every_dialect_of_a_table_reads_the_same(table, content: bytes) -> None:
    first, second = read_regions(table(content))
    assert [first.name, first.title, first.extent] == ["01", "Florida", Extent(-88, -79, 24, 31)]
    assert [second.name, second.title] == ["02", "Méxïco"]
    assert first.attributes["west"] == "-88"


def test_the_line_of_a_row_is_the_line_in_the_file(table) -> None:
    path = table(f'{HEADER},title\n1,0,1,0,1,"two\nlines"\n\n2,0,1,0,1,x\n')
    assert [region.origin for region in read_regions(path)] == [f"{path}:2", f"{path}:5"]


def test_titles_quotes_delimiters_and_other_columns_are_kept(table) -> None:
    path = table(f'{HEADER},title,population\n007,0,1,0,1,"Say ""hi"", all",0012\n')
    (region,) = read_regions(path)
    assert (region.name, region.title) == ("007", 'Say "hi", all')
    assert region.fields["population"] == "0012"


def test_a_data_frame_is_read_like_a_file() -> None:
    frame = pd.DataFrame(
        {"name": ["01", "b"], "west": [-88.5, 1], "east": [-79, 2.5], "south": [0, 1], "north": [1, 2]}
    )
    first, second = read_regions(frame)
    assert (first.name, first.extent, second.extent) == ("01", Extent(-88.5, -79, 0, 1), Extent(1, 2.5, 1, 2))
    frame.loc[1, "west"] = float("nan")
    with pytest.raises(RegionsError, match="regions:2: column 'west'"):
        read_regions(frame)


FAULTS = {
    "nan": ("a,nan,1,0,1", 2, "column 'west': 'nan' is not a finite number"),
    "inf": ("a,0,inf,0,1", 2, "column 'east': 'inf'"),
    "1e400": ("a,0,1,0,1e400", 2, "column 'north': '1e400'"),
    "1_000": ("a,1_0,11,0,1", 2, "column 'west': '1_0'"),
    "full-width digits": ("a,０,1,0,1", 2, "column 'west'"),
    "empty cell": ("a,,1,0,1", 2, "column 'west': '' is not a finite number"),
    "comma for a point": ('a,"1,5",2,0,1', 2, "column 'west': '1,5'"),
    "south > north": ("a,0,1,5,4", 2, "column 'south': south 5 is greater than north 4"),
    "zero height": ("a,0,1,5,5", 2, "column 'south': south 5 equals north 5"),
    "zero width": ("a,1,1,0,5", 2, "column 'west': west 1 equals east 1"),
    "latitude": ("a,0,1,0,90.5", 2, "column 'north': 90.5 is not a latitude"),
    "longitude": ("a,-361,-350,0,1", 2, "column 'west': -361 is not a longitude"),
    "720 degrees": ("a,-360,360,0,1", 2, "column 'east': the region spans 720 degrees"),
    "no name": (",0,1,0,1", 2, "column 'name': the region has no name"),
    "equal names": ("a,0,1,0,1\nb,0,1,0,1\na,0,1,0,1", 4, "the name 'a' is taken by 'a' on line 2"),
    "equal but for case": ("Straße,0,1,0,1\nSTRASSE,0,1,0,1", 3, "'STRASSE' is taken by 'Straße' on line 2"),
    "equal but for NFC": ("\u00e9,0,1,0,1\ne\u0301,0,1,0,1", 3, "is taken by '\u00e9' on line 2"),
    "unclosed quote": ('a,0,1,0,1\n"b,0,1,0,1\nc,0,1,0,1', 3, "a quote left open"),
    "garbage after quote": ('"a"b,0,1,0,1', 2, "expected after"),
    "short row": ("a,0,1,0,1\nb,0,1,0", 3, "4 fields, but the header has 5"),
    "long row": ("a,0,1,0,1,9", 2, "6 fields, but the header has 5"),
    "double header": (f"a,0,1,0,1\n{HEADER}", 3, "the header line is repeated here"),
    "giant field": ("a" * 101_000 + ",0,1,0,1", 2, "a field has more than 100,000 characters"),
    "gigantic field": ("a" * 200_000 + ",0,1,0,1", 2, "field larger than field limit"),
}


@pytest.mark.parametrize(("rows", "line", "message"), FAULTS.values(), ids=FAULTS)
def test_bad_rows_are_named_with_file_line_and_column(table, rows: str, line: int, message: str) -> None:
    path = table(f"{HEADER}\n{rows}\n")
    with pytest.raises(RegionsError) as caught:
        read_regions(path)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{path}:{line}: ")
    assert message in str(problem)
    assert (problem.place.file, problem.place.line) == (str(path), line)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,xmin,xmax,ymin,ymax\na,5,1,0,1\n", ":2: column 'xmin': xmin 5 is greater than xmax 1"),
        ("name,region\na,1 2 3\n", ":2: column 'region': '1 2 3' is not four numbers"),
        ("name,region\na,10 0 0 1\n", ":2: column 'x0'"),
        ("name,geometry,crs\na,POINT (1 2),EPSG:4326\n", ":2: column 'geometry': the geometry has no area"),
        ("name,geometry,crs\na,POLYGON EMPTY,EPSG:4326\n", ":2: column 'geometry': the geometry is empty"),
        ("name,geometry,crs\na,POLYGON 5,EPSG:4326\n", ":2: column 'geometry': the geometry is not valid WKT"),
        ("name,geometry,crs\na,POINT (1 2),\n", ":2: column 'crs': a geometry needs its CRS"),
        ("west,east,south,north\n0,1,0,1\n", "there is no 'name' column"),
        ("name,west,east\na,0,1\n", "no limits; add the columns west,east,south,north"),
        ("name,west,east,south,north,region\na,0,1,0,1,x\n", "limits are given twice"),
        ("name,west,name\na,0,1\n", ":1: the header names 'name' more than once"),
        ("", "no regions"),
        ("\n\n", "no regions"),
        (" \n", "no regions"),
        ("name\n \na\n", "the only column is 'name'"),
        (f"{HEADER}\n", "no regions"),
        (f"{HEADER}\na,0,1,0,1\n".encode("utf-16"), "byte 0: the file is UTF-16"),
        (f"{HEADER}\nM\xe9xico,0,1,0,1\n".encode("latin-1"), "byte 28 is not UTF-8 (a Latin-1 or Windows file?)"),
        (f"{HEADER}\na\0b,0,1,0,1\n".encode(), "byte 28: a NUL byte"),
    ],
)
def test_unusable_tables_are_rejected(table, content: str | bytes, message: str) -> None:
    path = table(content)
    with pytest.raises(RegionsError) as caught:
        read_regions(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(RegionsError, match=str(path)):
            read_regions(path)


def test_all_problems_are_reported_together(table) -> None:
    path = table(f"{HEADER}\na,x,y,0,1\nb,0,1,5,4\nA,0,1,0,1\nb,0,1,0,99\n")
    with pytest.raises(RegionsError) as caught:
        read_regions(path)
    places = [str(problem).removeprefix(f"{path}:")[:18] for problem in caught.value.problems]
    assert places == [
        "2: column 'west': ", "2: column 'east': ", "3: column 'south':", "5: column 'north':",
        "4: the name 'A' is", "5: the name 'b' is",
    ]  # fmt: skip


cells = st.text(st.sampled_from('name west,;"\t\n\r|0١\u0085\ufeffé.-x'), max_size=40)


@given(st.one_of(cells, cells.map(lambda text: f"{HEADER}\n{text}"), cells.map(lambda text: f"name,region\n{text}")))
def test_any_text_is_read_or_rejected_with_a_message(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(text.encode())
    try:
        regions = read_regions(path)
    except RegionsError as error:
        regions = []
        message = str(error)
    assert regions or message.startswith(str(path))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("us_sectors", 12),
        ("us_states", 50),
        ("us_counties", 3233),
        ("nws_wfo", 129),
        ("gsl_tiles", 39),
        ("dateline", 6),
    ],
)
def test_the_tables_of_real_regions_are_read(shared_data_folder: Path, name: str, count: int) -> None:
    regions = read_regions(shared_data_folder / f"regions_{name}.csv")
    assert len(regions) == count
    assert all(region.extent.width > 0 for region in regions)
    if name == "us_counties":
        assert {"01001", "02016"} <= {region.name for region in regions}


def test_the_named_areas_have_one_bad_row(shared_data_folder: Path) -> None:
    with pytest.raises(RegionsError, match=r"column 'south'.*greater than") as caught:
        read_regions(shared_data_folder / "regions_named_areas.csv")
    (problem,) = caught.value.problems
    lines = (shared_data_folder / "regions_named_areas.csv").read_text(encoding="utf-8").splitlines()
    assert lines[problem.place.line - 1].startswith("atlhur,")
