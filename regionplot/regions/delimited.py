"""Read delimited text as rows. All bad rows are reported together, with their line numbers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from regionplot.errors import Place, Problem, RegionsError
from regionplot.regions.limits import FORMS, Row

_DELIMITERS = ",;\t|"
_MAX_CELL = 100_000
"""Maximum length of a cell, in characters. A longer cell usually means that a quote is not closed."""
_MAX_BYTES = 256 * 2**20
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
"""Byte-order marks of encodings that are not supported."""


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """Read a delimited text file in UTF-8. Delimiter, line endings and byte-order mark are detected.

    Returns
    -------
    columns : list of str
        Names of the columns.
    rows : list of Row

    Raises
    ------
    RegionsError
        If the file cannot be read, is not a table or has bad rows. Each bad row is a separate problem.
    """
    text = _decode(path)
    table = _Table(str(path))
    table.read(text, _delimiter(text))
    if table.problems:
        raise RegionsError(*table.problems)
    if not any(table.header):
        raise RegionsError(f"{path}: no regions: the file is empty; add a header line with name and {FORMS}")
    if len(table.header) == 1:
        raise RegionsError(f"{path}: the only column is {table.header[0]!r}; the table needs name and {FORMS}")
    return table.header, table.rows


@dataclass
class _Table:
    """Rows and problems of a table. The method `read` collects them."""

    name: str
    header: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def read(self, text: str, delimiter: str) -> None:
        """Read all rows, and collect the problems of bad rows."""
        reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True, skipinitialspace=True)
        start = 1
        try:
            for cells in reader:
                line, start = start, reader.line_num + 1
                if cells:
                    self._add(line, [cell.strip() for cell in cells])
        except csv.Error as error:
            self._report(start, f"{error}; is a quote left open on this line?")

    def _add(self, line: int, cells: list[str]) -> None:
        if not self.header:
            self.header = cells
            for message in _header_problems(cells):
                self._report(line, message)
        elif message := _row_problem(cells, self.header):
            self._report(line, message)
        else:
            self.rows.append(Row(self.name, line, dict(zip(self.header, cells, strict=True))))

    def _report(self, line: int, message: str) -> None:
        self.problems.append(Problem(message, Place(file=self.name, line=line)))


def is_blank(path: Path) -> bool:
    """Return True if a file holds nothing but white space."""
    return path.is_file() and path.stat().st_size < _MAX_CELL and not _decode(path).strip()


def _decode(path: Path) -> str:
    """Return the text of a file with all line endings converted to newlines."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise RegionsError(f"{path}: {error.strerror or error}") from None
    if encoding := _OTHER_ENCODINGS.get(raw[:2]):
        raise RegionsError(f"{path}: byte 0: the file is {encoding}; save it as UTF-8")
    if len(raw) > _MAX_BYTES:
        raise RegionsError(f"{path}: the file is larger than {_MAX_BYTES:,} bytes; is it a table of regions?")
    if b"\0" in raw:
        raise RegionsError(f"{path}: byte {raw.index(0)}: a NUL byte; the file is not UTF-8 text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RegionsError(
            f"{path}: byte {error.start} is not UTF-8 (a Latin-1 or Windows file?); save the file as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _delimiter(text: str) -> str:
    """Return the most frequent delimiter in the header line, outside quotes."""
    header = re.sub(r'"[^"]*"', "", next((line for line in text.split("\n") if line.strip()), ""))
    return max(_DELIMITERS, key=header.count)


def _header_problems(header: list[str]) -> Iterator[str]:
    if twice := {name for name in header if header.count(name) > 1}:
        yield f"the header names {', '.join(map(repr, sorted(twice)))} more than once"


def _row_problem(cells: list[str], header: list[str]) -> str:
    """Return a message about the structure of a row, or an empty string if there is no fault."""
    if len(cells) != len(header):
        return f"{len(cells)} fields, but the header has {len(header)}"
    if cells == header:
        return "the header line is repeated here"
    if any(len(cell) > _MAX_CELL for cell in cells):
        return f"a field has more than {_MAX_CELL:,} characters; is a quote left open?"
    return ""
