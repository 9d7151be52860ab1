"""Tables of regions: all forms of limits and kinds of text are read, and all faults are reported with their places."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from threading import Thread, active_count

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionplot.errors import RegionsError
from regionplot.geo.extent import Extent
from regionplot.regions import content
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


def parts(*spans: tuple[float, float]) -> str:
    """Return a MULTIPOLYGON with one triangle for each pair of west and east."""
    triangles = [f"(({west} 1, {east} 1, {east} 9, {west} 1))" for west, east in spans]
    return f"MULTIPOLYGON ({', '.join(triangles)})"


PARTS = {
    "cut at 180": (parts((177, 180), (-180, -178)), 177, 182),
    "cut, west part first": (parts((-180, -100), (60, 180)), 60, 260),
    "not cut": (parts((172, 178), (-179, -130), (-160, -150)), 172, 230),
    "points": ("MULTIPOINT ((-170 -10), (175 10), (-179 0))", 175, 190),
    "cut at 0": (parts((0, 9), (350, 360)), 350, 369),
    "around the world": (parts((-180, 10), (10, 180)), -180, 180),
    "both sides of the Atlantic": (parts((-120, -60), (-10, 70)), -120, 70),
    "one part": ("POLYGON ((-180 1, 180 1, 180 9, -180 1))", -180, 180),
}


@pytest.mark.parametrize(("wkt", "west", "east"), PARTS.values(), ids=PARTS)
def test_a_geometry_with_parts_on_both_sides_of_the_antimeridian_spans_the_shorter_way(
    table, caplog, wkt: str, west: float, east: float
) -> None:
    (region,) = read_regions(table(f'name,geometry,crs\na,"{wkt}",EPSG:4326\n'))
    assert (region.extent.xmin, region.extent.xmax) == (west, east)
    assert not caplog.records


def test_a_projected_geometry_is_not_taken_for_degrees(table) -> None:
    wkt = "MULTIPOLYGON (((-180 1, -100 1, -180 9, -180 1)), ((60 1, 180 1, 180 9, 60 1)))"
    (region,) = read_regions(table(f'name,geometry,crs\na,"{wkt}",EPSG:3857\n'))
    assert (region.extent.xmin, region.extent.xmax) == (-180, 180)


def test_an_edge_that_probably_crosses_the_antimeridian_is_reported(table, caplog) -> None:
    read_regions(table('name,geometry,crs\na,"POLYGON ((179 1, -179 1, -179 9, 179 9, 179 1))",EPSG:4326\n'))
    (message,) = (record.getMessage() for record in caplog.records)
    assert ":2: column 'geometry': an edge of the geometry is longer than 180 degrees" in message


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


LEFTOVERS = {
    "sep line": f"sep=;\n{PLAIN.replace(',', ';')}",
    "quoted sep line": f'"sep=,"\n{PLAIN}',
    "sep line with an unusual delimiter": f"sep=#\n{PLAIN.replace(',', '#')}",
    "sep line with a tab": "sep=\t\n" + PLAIN.replace(",", "\t"),
    "rows of delimiters": PLAIN + ",,,,,\n,,,,,\n",
    "rows of blanks": PLAIN + "   \n\t\n \n",
    "empty columns": "\n".join(f"{line},," if line else line for line in PLAIN.splitlines()),
    "an empty column in the middle": "name,,west,east,south,north,title\n01,,-88,-79,24,31,Florida\n"
    "02,,-70,-60,10,20,Méxïco\n",
    "the index of a pandas table": ",name,west,east,south,north,title\n0,01,-88,-79,24,31,Florida\n"
    "1,02,-70,-60,10,20,Méxïco\n",
    "empty cells behind the last column": PLAIN.replace("Florida", "Florida,,"),
    "trailing blanks": "\n".join(f"{line}  " for line in PLAIN.splitlines()),
    "blank cells around": "\n".join(f" {line}" for line in PLAIN.replace(",", "\u00a0, ").splitlines()),
    "columns in any case": PLAIN.replace("name,west,east,south,north,title", "Name,WEST,East,South,NORTH,Title"),
    "columns of another program": PLAIN.replace("west,east,south,north", "lon_min,Lon Max,min_lat,latMax"),
}


@pytest.mark.parametrize("content", LEFTOVERS.values(), ids=LEFTOVERS)
def test_tables_saved_by_other_programs_are_read_alike(table, content: str) -> None:
    first, second = read_regions(table("\ufeff" + content))
    assert [first.name, first.title, first.extent] == ["01", "Florida", Extent(-88, -79, 24, 31)]
    assert [second.name, second.title, second.extent] == ["02", "Méxïco", Extent(-70, -60, 10, 20)]
    assert first.attributes["west"] == "-88"


def test_lines_below_a_sep_line_keep_their_numbers(table) -> None:
    path = table("sep=;\nname;west;east;south;north\n;;;;\na;0;1;0;1\n")
    assert [region.origin for region in read_regions(path)] == [f"{path}:4"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_read_if_the_comma_is_not_the_delimiter(table, delimiter: str) -> None:
    row = delimiter.join(["a", "-88,5", "-79", "24.25", "31,125"])
    (region,) = read_regions(table(f"{HEADER.replace(',', delimiter)}\n{row}\n"))
    assert region.extent == Extent(-88.5, -79, 24.25, 31.125)


def test_a_comma_that_may_separate_thousands_is_not_read_as_a_decimal_comma(table) -> None:
    path = table("name;xmin;xmax;ymin;ymax\na;500,000;600,000;0;1,5\n")
    with pytest.raises(RegionsError, match=r"column 'xmin': '500,000' is ambiguous; write 500000 or 500.000") as caught:
        read_regions(path)
    assert [problem.place.column for problem in caught.value.problems] == ["xmin", "xmax"]


def test_columns_of_bounds_are_limits_in_map_units(table) -> None:
    (region,) = read_regions(table("NAME,minx,miny,maxx,maxy,CRS,pop\na,1,2,3,4,EPSG:3857,9\n"))
    assert (region.name, region.extent, region.crs) == ("a", Extent(1, 3, 2, 4), "EPSG:3857")
    assert region.fields["NAME"] == region.fields["name"] == "a"


def test_columns_that_resemble_limits_are_attributes_beside_limits(table) -> None:
    (region,) = read_regions(table(f"{HEADER},minx,Name\na,0,1,2,3,77,b\n"))
    assert (region.name, region.extent) == ("a", Extent(0, 1, 2, 3))
    assert (region.fields["minx"], region.fields["Name"]) == ("77", "b")


def test_an_open_file_is_read_once() -> None:
    class Stream(io.BytesIO):
        name = "<stdin>"

    (region,) = read_regions(Stream(f"{HEADER}\na,0,1,0,1\n".encode()))
    assert region.origin == "<stdin>:2"
    with pytest.raises(RegionsError, match=r"^<stdin>: no regions: the file is empty"):
        read_regions(Stream(b""))


def test_a_table_takes_only_the_memory_that_it_needs() -> None:
    sizes = []

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            sizes.append(size)
            return super().read(size)

    read_regions(Stream(f"{HEADER}\na,0,1,0,1\n".encode()))
    assert max(sizes) <= 2**20


def test_a_column_region_beside_limits_in_another_case_is_an_attribute(table) -> None:
    (region,) = read_regions(table("Name,Region,West,East,South,North\na,Alps,0,1,2,3\n"))
    assert (region.extent, region.fields["Region"]) == (Extent(0, 1, 2, 3), "Alps")


@pytest.mark.parametrize(("crs", "is_reported"), [("EPSG:4326", False), ("ogc:crs84", False), ("EPSG:5070", True)])
def test_a_crs_beside_limits_in_degrees_is_reported_once(table, caplog, crs: str, is_reported: bool) -> None:
    path = table(f"{HEADER},crs\na,0,1,0,1,{crs}\nb,0,1,0,1,{crs}\n")
    assert read_regions(path)[0].crs == "EPSG:4326"
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == is_reported
    assert not is_reported or messages[0].startswith(f"{path}:2: column 'crs': 'EPSG:5070' is ignored")


def test_a_pipe_is_read_if_a_process_writes_to_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    content = "name,west,east,south,north\na,0,1,2,3\n"
    writer = Thread(target=(tmp_path / "pipe").write_text, args=(content,))
    writer.start()
    assert [region.name for region in read_regions(tmp_path / "pipe")] == ["a"]
    writer.join()


def test_a_pipe_without_a_writer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_MAX_WAIT", 0.05)
    os.mkfifo(tmp_path / "pipe")
    before = active_count()
    with pytest.raises(RegionsError, match="pipe: no process writes to this pipe; start the writer first"):
        read_regions(tmp_path / "pipe")
    assert active_count() == before


def test_the_time_for_a_header_grows_only_with_its_length(table) -> None:
    others = [f"c{number}" for number in range(30_000)]
    start = time.process_time()
    found = read_regions(table(f"name,west,east,south,north,{','.join(others)}\na,0,1,2,3,{','.join(others)}\n"))
    assert time.process_time() - start < 2
    assert found[0].attributes["c29999"] == "c29999"


def test_an_endless_table_is_rejected_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return b"name,west\n" * ((size or 0) // 10)

    monkeypatch.setattr(content, "MAX_BYTES", 3 * 2**20)
    with pytest.raises(RegionsError, match=r"^regions: the file is larger than 3,145,728 bytes"):
        read_regions(Endless())


@pytest.mark.parametrize(
    ("row", "span"),
    [("a,-90,-100,30,40", "350"), ("a,100,-60,0,10", "200"), ("a,170,-170,0,10", ""), ("a,-100,100,0,10", "")],
)
def test_a_wide_region_across_the_antimeridian_is_reported(table, caplog, row: str, span: str) -> None:
    path = table(f"{HEADER}\n{row}\n")
    read_regions(path)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == bool(span)
    if span:
        assert messages[0].startswith(f"{path}:2: column 'west': west ")
        assert f"spans {span} degrees across the antimeridian; swap them, or write " in messages[0]


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("104°30'W", "write decimal degrees: -104.5"),
        ("104.5W", "write decimal degrees: -104.5"),
        ("W 104 30 00", "write decimal degrees: -104.5"),
        ("-104:30:00", "write decimal degrees: -104.5"),
        ("104° 30′ 18″ E", "write decimal degrees: 104.505"),
        ("10°", "write decimal degrees: 10"),
        ("−10", "only looks like a minus sign or a space; write -10"),
        ("1 234 567", "without thousands separators: 1234567"),
        ("1.234.567,5", "without thousands separators: 1234567.5"),
        ("1'234", "without thousands separators: 1234"),
        ("10,5", "write a decimal point: 10.5"),
        ("10,500", "write 10500 or 10.500"),
        ("10 km", "write it like -104.5"),
        ("104°75'W", "write it like -104.5"),
        ("#REF!", "write it like -104.5"),
    ],
)
def test_a_cell_that_is_not_a_number_gets_a_hint(table, cell: str, hint: str) -> None:
    path = table(f'{HEADER}\na,"{cell}",1,0,1\n')
    with pytest.raises(RegionsError) as caught:
        read_regions(path)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{path}:2: column 'west': {cell!r} is not a finite number; ")
    assert str(problem).endswith(hint)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"PK\x03\x04\x14\0\x06\0", "a workbook of Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
        (b"SQLite format 3\0\x10\0", "a GeoPackage"),
        (b"\0\0\x27\x0a\0\0", "a shapefile"),
        (b"PAR1\x15\0", "a Parquet file"),
        (b"\x1f\x8b\x08\0", "a compressed file"),
        (b"II*\0\x08\0", "a raster; give the table first"),
        (b"CDF\x01\0\0", "a raster"),
        (b'{"type": "FeatureCollection"}', "JSON or GeoJSON"),
        (b"<!DOCTYPE html>", "HTML or XML"),
        (b"[raster]\npath = 'a.tif'\n", "a settings file; give the table first"),
    ],
)
def test_a_file_of_another_kind_is_named(table, start: bytes, kind: str) -> None:
    path = table(start)
    with pytest.raises(RegionsError, match="not a table: this is ") as caught:
        read_regions(path)
    assert kind in str(caught.value)
    assert len(caught.value.problems) == 1


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
        (
            'name,geometry,crs\na,"POLYGON((0 0,nan 1,1 1,0 0))",EPSG:4326\n',
            ":2: column 'geometry': the geometry is empty, or its coordinates are not finite",
        ),
        (
            'name,geometry,crs\na,"MULTIPOINT((0 0),(1 1),(2 nan))",EPSG:4326\n',
            ":2: column 'geometry': the geometry is empty, or its coordinates are not finite",
        ),
        ("name,geometry,crs\na,POLYGON 5,EPSG:4326\n", ":2: column 'geometry': the geometry is not valid WKT"),
        ("name,geometry,crs\na,POINT (1 2),\n", ":2: column 'crs': a geometry needs a CRS"),
        ("west,east,south,north\n0,1,0,1\n", "there is no 'name' column"),
        ("Region,West,East,South,North\na,0,1,0,1\n", "columns Region, West, East, South, North: there is no 'name'"),
        (
            "name,Lat,Lon\na,0,1\n",
            "a point has no extent; add the column width_km, or the columns west, east, south, north",
        ),
        (
            "My regions,,,,\nname,west,east,south,north\na,0,1,0,1\n",
            ":2: this line looks like the header; remove the lines above this line",
        ),
        ("a,0,1,0,1\nb,0,1,0,1\n", ":1: this line is not a header; add the line name,west,east,south,north above it"),
        ("name,west,east,south\na,0,1,0\n", "there is no column 'north'; the limits need"),
        ("name,geometry\na,POINT (1 2)\n", "a geometry needs a CRS; add the column crs"),
        ("name west east south north\na 0 1 0 1\n", "separate the columns with commas"),
        (f"{HEADER},\na,0,1,0,1,x\n", ":2: 6 fields, but the header has 5: 'x' is in a column with no name"),
        ("Name,NAME,west,east,south,north\na,b,0,1,0,1\n", ":1: the columns 'Name' and 'NAME' both mean 'name'"),
        (f"{HEADER}\na,40,50,-100,-90\n", "-100 is not a latitude: it must be between -90 and 90; are long"),
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


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ("CURVEPOLYGON(CIRCULARSTRING(0 0, 1 1, 2 0, 1 -1, 0 0))", "not valid WKT: Nonlinear geometry types"),
        ("SRID=4326;POLYGON((0 0, 1 0, 1 1, 0 0))", "remove the prefix SRID=…; and name the CRS in the column crs"),
    ],
)
def test_a_geometry_that_shapely_does_not_know_is_a_bad_row(table, geometry: str, message: str) -> None:
    with pytest.raises(RegionsError, match=f":2: column 'geometry': the geometry is .*{message}"):
        read_regions(table(f'name,geometry,crs\na,"{geometry}",EPSG:4326\n'))
