"""Find the lines of settings in the text of a settings file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from regionplot.errors import Place

_HEADER = re.compile(r"\s*\[\[?\s*([\w.\-\"' ]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*)\s*=""")


@dataclass(frozen=True, eq=False)
class Places:
    """The name and the text of a settings file.

    Any two objects of this class and its subclasses are equal, because places do not affect maps.
    """

    name: str = field(default="settings")
    """Path of the file, or `settings` if the settings do not come from a file."""
    text: str = field(default="", repr=False)
    """Text of the file. The text is not pickled, because only the process that reads the settings reports faults."""
    overrides: frozenset[tuple[str, str]] = field(default=frozenset())
    """Section and key of each setting that does not come from the file. The key of an array of tables is empty."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Places)

    def __hash__(self) -> int:
        return hash(Places)

    def __reduce__(self) -> tuple[Any, ...]:
        return Places, (self.name, "", self.overrides)

    def locate(self, place: Place) -> Place:
        """Return a place in the settings with its file and line.

        If the line of the key is not found, the result has the line of the table. A setting that an option gives has
        no line.

        Parameters
        ----------
        place : Place
            Section, number or step of the table from 1, and key. A key may have further words, such as
            `classes #2 color`.
        """
        key = place.key.partition(" ")[0]
        if place.file or (key and self.is_override(place.section, key)):
            return place
        index = (place.number or place.step or 1) - 1
        outer, _, inner = place.section.rpartition(".")
        line = self._lines.get((place.section, index, key)) or self._lines.get((place.section, index, ""))
        if line is None:  # a section such as `output.png` that is written as a key of the outer section
            line = self._lines.get((outer, 0, inner))
        return replace(place, file=self.name, line=line)

    def states(self, section: str, key: str) -> bool:
        """Return True if the file sets a key, or another source overrides it."""
        return (section, 0, key) in self._lines or self.is_override(section, key)

    def is_override(self, section: str, key: str = "") -> bool:
        """Return True if a setting does not come from the file."""
        return (section, key) in self.overrides

    @cached_property
    def _lines(self) -> Mapping[tuple[str, int, str], int]:
        """Line by section, index of the table in its array, and key. The key of a table is empty."""
        found: dict[tuple[str, int, str], int] = {}
        section, counts = "", dict[str, int]()
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := _HEADER.match(line):
                section = ".".join(_parts(header[1]))
                counts[section] = counts.get(section, -1) + 1
                found.setdefault((section, counts[section], ""), number)
                outer, _, key = section.rpartition(".")
                found.setdefault((outer, counts.get(outer, 0), key), number)
            elif key_match := _KEY.match(line):
                *outer_parts, key = _parts(key_match[1])
                table = ".".join([*filter(None, [section]), *outer_parts])
                index = counts.get(table, 0)
                found.setdefault((table, index, key), number)
                found.setdefault((table, index, ""), number)
                if outer_parts:
                    found.setdefault((section, counts.get(section, 0), outer_parts[0]), number)
        return found


def _parts(key: str) -> list[str]:
    """Return the parts of a dotted key, without quotes."""
    return [part.strip().strip("\"'") for part in re.findall(r"""\s*("[^"]*"|'[^']*'|[^."']+)""", key)]
