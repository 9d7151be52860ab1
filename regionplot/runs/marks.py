"""Find the cells that the last published maps show, in the entries of a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regionplot.runs.jobs import CellsMark, FieldLabel

CELLS, RASTER = "cells", "raster"
"""Keys of a mark in the entry of a map."""
Entries = Mapping[str, Mapping[str, Any]]
_Age = tuple[str, str]


def mark_items(mark: CellsMark | None) -> dict[str, str]:
    """Return the part of an entry that holds a mark."""
    return {} if mark is None else {CELLS: mark.cells, RASTER: mark.raster}


def mark_of(entry: Mapping[str, Any]) -> CellsMark | None:
    """Return the mark in an entry, or None if there is none."""
    cells, raster = entry.get(CELLS), entry.get(RASTER)
    return CellsMark(cells, raster) if isinstance(cells, str) and isinstance(raster, str) else None


@dataclass(frozen=True)
class PublishedCells:
    """The cells that the last published maps show, by file, and by name of the region and the product."""

    files: Mapping[str, CellsMark]
    latest: Mapping[tuple[str, str], CellsMark]
    """The mark of the latest map of each region and product. It is needed if file names contain the time, because a new
    map then has a new name."""

    @classmethod
    def of(cls, entries: Entries) -> PublishedCells | None:
        """Return the marks in the entries of a manifest. Return None if there are none."""
        files = {file: mark for file, entry in entries.items() if (mark := mark_of(entry))}
        ages: dict[tuple[str, str], _Age] = {}
        latest = {}
        for file, mark in files.items():
            entry = entries[file]
            key = str(entry.get("name")), str(entry.get("product", ""))
            age = str(entry.get("time", "")), str(entry.get("run"))
            if key not in ages or age > ages[key]:
                ages[key], latest[key] = age, mark
        return cls(files, latest) if files else None

    def find(self, file: str, region: str, field: FieldLabel) -> CellsMark | None:
        """Return the mark of the last published map of a region.

        Parameters
        ----------
        file : str
            Name of the file of the map.
        region : str
            Name of the region.
        field : FieldLabel
            Product of the map.
        """
        return self.files.get(file) or self.latest.get((region, field.product))
