"""Read regions from a table. All bad rows are reported together."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from regionplot.errors import RegionsError
from regionplot.geo.region import Region
from regionplot.regions.limits import (
    DEGREE_COLUMNS,
    FORMS,
    UNIT_COLUMNS,
    Limits,
    Row,
    from_cell,
    from_degrees,
    from_geometry,
    from_units,
)

_DELIMITERS = ",;\t|"


_MAX_CELL = 100_000


_MAX_BYTES = 256 * 2**20


_ENCODING_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_regions(source: str | Path | pd.DataFrame, *, allow_empty: bool = False) -> list[Region]:
    """Read the regions to be drawn.

    Parameters
    ----------
    source : path or DataFrame
        A delimited text file in UTF-8 (the delimiter, line ends and a byte-order mark are found out), or a table
        with the same columns: `name`, an optional `title`, and the limits in one of these forms.

        - `west`, `east`, `south`, `north` in degrees; west > east means across the antimeridian.
        - `xmin`, `xmax`, `ymin`, `ymax` in map units, or in the units of a `crs` column.
        - `region`: x0, x1, y0, y1 in one cell, in map units or those of a `crs` column.
        - `geometry` as WKT, with its `crs`; the limits are its bounding box.

        All other columns are kept for templates.
    allow_empty : bool
        Take a table without rows, and a file that is empty, for no regions; otherwise they are an error.

    Raises
    ------
    RegionsError
        If the file is not such a table, with one problem, or if rows are bad, with one for each.
    """
    if allow_empty and not isinstance(source, pd.DataFrame) and _is_blank(Path(source)):
        return []
    table = _frame(source) if isinstance(source, pd.DataFrame) else _read_table(Path(source))
    rows = list(table.rows())
    problems: list[str] = []
    regions = []
    form = _form(table)
    for row in rows:
        try:
            regions.append(_region(row, form))
        except RegionsError as error:
            problems.extend(error.problems)
    problems.extend(_duplicates(rows))
    if problems:
        raise RegionsError(*problems)
    if not regions and not allow_empty:
        raise RegionsError(f"{table.name}: no regions: the table has no rows below its header")
    return regions


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of text cells, and the line each row starts on."""

    name: str
    cells: pd.DataFrame
    lines: list[int]

    def rows(self) -> Iterator[Row]:
        columns = [str(column) for column in self.cells.columns]
        for line, values in zip(self.lines, self.cells.itertuples(index=False, name=None), strict=True):
            yield Row(self.name, line, dict(zip(columns, (str(value).strip() for value in values), strict=True)))


def _frame(frame: pd.DataFrame) -> _Table:
    cells = frame.rename(columns=str).astype("string").fillna("")
    return _Table("regions", cells, list(range(1, len(cells) + 1)))


def _read_table(path: Path) -> _Table:
    text = _decode(path)
    delimiter = _delimiter(text)
    lines, header = _check_structure(path, text, delimiter)
    if not any(header):
        raise RegionsError(f"{path}: no regions: the file is empty; it needs a header line with name and {FORMS}")
    if len(header) == 1:  # with a single column, csv and pandas differ over which lines are blank
        raise RegionsError(f"{path}: the only column is {header[0]!r}; it needs name and {FORMS}")
    cells = pd.read_csv(
        io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False, skipinitialspace=True, index_col=False
    )
    cells.columns = cells.columns.str.strip()
    return _Table(str(path), cells, lines)


def _is_blank(path: Path) -> bool:
    return path.is_file() and path.stat().st_size < _MAX_CELL and not _decode(path).strip()


def _decode(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RegionsError(f"{path}: {error.strerror or error}") from None
    encoding = _ENCODING_MARKS.get(raw[:2])
    if encoding:
        raise RegionsError(f"{path}: byte 0: the file is {encoding}; save it as UTF-8")
    if len(raw) > _MAX_BYTES:
        raise RegionsError(f"{path}: the file is larger than {_MAX_BYTES:,} bytes; is it a table of regions?")
    if b"\0" in raw:
        raise RegionsError(f"{path}: byte {raw.index(0)}: a NUL byte; this is not a text table in UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RegionsError(
            f"{path}: byte {error.start} is not UTF-8 (a Latin-1 or Windows file?); save the file as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _delimiter(text: str) -> str:
    """The delimiter that the header line has most of, outside quotes."""
    header = re.sub(r'"[^"]*"', "", next((line for line in text.split("\n") if line.strip()), ""))
    return max(_DELIMITERS, key=header.count)


def _check_structure(path: Path, text: str, delimiter: str) -> tuple[list[int], list[str]]:
    """The line each row starts on, and the names of the columns.

    The csv module knows the physical lines, which pandas does not tell; pandas then reads what is sound.
    """
    problems: list[str] = []
    lines: list[int] = []
    header: list[str] = []
    start = 1
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for row in reader:
            line, start = start, reader.line_num + 1
            if not row:
                continue
            if not header:
                header = [cell.strip() for cell in row]
                problems += _header_problems(path, line, header)
                continue
            lines.append(line)
            problems += _row_problems(path, line, row, header)
    except csv.Error as error:
        problems.append(f"{path}:{start}: {error}; is a quote left open on this line?")
    if problems:
        raise RegionsError(*problems)
    return lines, header


def _header_problems(path: Path, line: int, header: list[str]) -> Iterator[str]:
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        yield f"{path}:{line}: the header names {', '.join(map(repr, sorted(twice)))} more than once"


def _row_problems(path: Path, line: int, row: list[str], header: list[str]) -> Iterator[str]:
    if len(row) != len(header):
        yield f"{path}:{line}: {len(row)} fields, but the header has {len(header)}"
    elif [cell.strip() for cell in row] == header:
        yield f"{path}:{line}: the header line stands here again"
    elif any(len(cell) > _MAX_CELL for cell in row):
        yield f"{path}:{line}: a field has more than {_MAX_CELL:,} characters; is a quote left open?"


def _form(table: _Table) -> Limits:
    """How the rows of this table give their limits."""
    columns = {str(column) for column in table.cells.columns}
    forms: list[tuple[set[str], Limits]] = [
        (set(DEGREE_COLUMNS), from_degrees),
        (set(UNIT_COLUMNS), from_units),
        ({"geometry", "crs"}, from_geometry),
        ({"region"}, from_cell),
    ]
    found = [(needed, limits) for needed, limits in forms if needed <= columns]
    where = f"{table.name}: columns {', '.join(map(str, table.cells.columns))}"
    if "name" not in columns:
        raise RegionsError(f"{where}: there is no 'name' column")
    if not found:
        raise RegionsError(f"{where}: no limits; give one of {FORMS}")
    if len(found) > 1:
        raise RegionsError(f"{where}: limits are given twice; keep one of {FORMS}")
    return found[0][1]


def _region(row: Row, limits: Limits) -> Region:
    name = row.cells["name"]
    if not name:
        raise row.error("the region has no name", "name")
    extent, crs = limits(row)
    used = {"name", "title", "geometry"}
    attributes = {column: cell for column, cell in row.cells.items() if column not in used}
    return Region(name, extent, crs, row.cells.get("title", ""), attributes, row.place)


def _duplicates(rows: list[Row]) -> Iterator[str]:
    """Names that are one name to a file system that folds case or composes characters."""
    first: dict[str, Row] = {}
    for row in rows:
        name = row.cells["name"]
        earlier = first.setdefault(unicodedata.normalize("NFC", name).casefold(), row)
        if earlier is not row and name:
            yield (
                f"{row.place}: the name {name!r} is taken by {earlier.cells['name']!r} on line "
                f"{earlier.line}; names must differ in more than upper and lower case"
            )
