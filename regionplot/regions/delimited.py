"""Read delimited text as rows. All bad rows are reported together, with their line numbers."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from regionplot.errors import Place, Problem, RegionsError
from regionplot.regions.columns import FORMS, has_name, header_problems
from regionplot.regions.content import read_text
from regionplot.regions.limits import Row
from regionplot.text import quoted

_DELIMITERS = ",;\t|"
_MAX_CELL = 100_000
"""Maximum length of a cell, in characters. A longer cell usually means that a quote is not closed."""
_MAX_SHARED = 1000
"""Maximum number of different texts that cells share."""


def read_rows(source: Path | BinaryIO, name: str) -> tuple[list[str], list[Row]]:
    """Read a delimited text file in UTF-8. Delimiter, line endings and byte-order mark are detected.

    Empty rows and empty columns, which spreadsheets leave, are dropped.

    Parameters
    ----------
    source : Path or binary file
        The file.
    name : str
        Name of the file in messages.

    Returns
    -------
    columns : list of str
        Names of the columns. Empty if the file is blank.
    rows : list of Row

    Raises
    ------
    RegionsError
        If the file cannot be read, is not a table or has bad rows. Each bad row is a separate problem.
    """
    text, delimiter = _with_delimiter(read_text(source, name))
    table = _Table(name, "." if delimiter == "," else ",")
    table.read(text, delimiter)
    if table.problems:
        raise RegionsError(*table.problems)
    if len(table.header) == 1:
        hint = "; separate the columns with commas" if re.search(r"\w[\s:]+\w", table.header[0]) else ""
        raise RegionsError(
            f"{name}: the only column is {quoted(table.header[0])}; the table needs name and {FORMS}{hint}"
        )
    return table.header, table.rows


@dataclass
class _Table:
    """Rows and problems of a table. The method `read` collects them."""

    name: str
    decimal: str
    """Decimal mark that the cells accept besides the point: `,` if the comma is not the delimiter."""
    header: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    """Indexes of the columns that have a name."""
    _texts: dict[str, str] = field(default_factory=dict)
    _width: int = 0
    """Number of columns up to the last column that has a name."""
    _has_names: bool = False
    """True if a column has the names of the regions."""
    _is_plain: bool = False
    """True if all columns up to the last column have names."""

    def read(self, text: str, delimiter: str) -> None:
        """Read all rows, and collect the problems of bad rows."""
        reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True, skipinitialspace=True)
        start = 1
        try:
            for row in reader:
                line, start = start, reader.line_num + 1
                cells = [self._shared(cell.strip()) for cell in row]
                if any(cells):
                    self._add(line, cells)
        except csv.Error as error:
            self._report(start, f"{error}; is a quote left open on this line?")

    def _shared(self, cell: str) -> str:
        """Return an equal earlier text if it is one of the first texts, because limits are often repeated."""
        if len(self._texts) < _MAX_SHARED:
            return self._texts.setdefault(cell, cell)
        return self._texts.get(cell, cell)

    def _add(self, line: int, cells: list[str]) -> None:
        if not self.header:
            self._set_header(line, cells)
        elif not self._has_names and has_name(cells):
            raise RegionsError(
                Problem(
                    "this line looks like the header; remove the lines above this line",
                    Place(file=self.name, line=line),
                )
            )
        elif message := self._problem(cells):
            self._report(line, message)
        else:
            kept = cells if self._is_plain else [cells[index] for index in self.columns]
            self.rows.append(Row(self.name, line, dict(zip(self.header, kept, strict=False)), self.decimal))

    def _set_header(self, line: int, cells: list[str]) -> None:
        self.columns = [index for index, cell in enumerate(cells) if cell]
        self.header = [cells[index] for index in self.columns]
        self._width = self.columns[-1] + 1
        self._has_names, self._is_plain = has_name(self.header), len(self.header) == self._width
        for message in header_problems(self.header):
            self._report(line, message)

    def _problem(self, cells: list[str]) -> str:
        """Return a message about a fault in the structure of a row, or an empty string."""
        if len(cells) < self._width:
            return f"{len(cells)} fields, but the header has {self._width}"
        if len(cells) > self._width and (extra := [cell for cell in cells[self._width :] if cell]):
            return (
                f"{len(cells)} fields, but the header has {self._width}: {quoted(extra[0])} is in a column with no "
                "name; name the column, remove it, or put quotes around a cell that contains the delimiter"
            )
        if cells[self.columns[0]] == self.header[0] and [cells[index] for index in self.columns] == self.header:
            return "the header line is repeated here"
        if max(map(len, cells)) > _MAX_CELL:
            return f"a field has more than {_MAX_CELL:,} characters; is a quote left open?"
        return ""

    def _report(self, line: int, message: str) -> None:
        self.problems.append(Problem(message, Place(file=self.name, line=line)))


def _with_delimiter(text: str) -> tuple[str, str]:
    """Return the text of a table and its delimiter.

    Excel can write the delimiter in a line such as `sep=;` above the header. Otherwise, the delimiter is the most
    frequent delimiter in the header line outside quotes.
    """
    if named := re.match(r'\s*"?sep=([^\w\s"]|\t)"?[^\w\n]*(?=\n|\Z)', text, re.IGNORECASE):
        return "\n" * named[0].count("\n") + text[named.end() :], named[1]
    header = re.sub(r'"[^"]*"', "", next((line for line in text.split("\n") if line.strip()), ""))
    return text, max(_DELIMITERS, key=header.count)
