"""The `[statistics]` section."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from regionplot.settings.base import NOT_IN_DIGEST, Section, Text

TABLE_SUFFIXES = (".csv", ".parquet", ".geojson")
"""Suffixes of the formats of the table."""


def _check_table(name: str) -> str:
    if not re.fullmatch(r"[^/\\\0]+", name) or name.startswith("."):
        raise ValueError("write the name of a file without folders; the table is written into the output folder")
    if not name.lower().endswith(TABLE_SUFFIXES):
        raise ValueError(f"the name must end in {', '.join(TABLE_SUFFIXES[:-1])} or {TABLE_SUFFIXES[-1]}")
    return name


class StatisticsSettings(Section):
    """Statistics of the cells of each region: a table of all maps, and alternative text."""

    table: Annotated[Annotated[Text, AfterValidator(_check_table)] | None, NOT_IN_DIGEST] = None
    """Name of the table in the output folder, such as `stats.parquet`. The suffix sets the format: .csv, .parquet or
    .geojson."""
    percentiles: Annotated[
        tuple[Annotated[float, Field(ge=0, le=100)], ...], Field(strict=False, max_length=100), NOT_IN_DIGEST
    ] = (10, 50, 90)
    """Percentiles in the table, from 0 to 100."""
    above: Annotated[float | None, NOT_IN_DIGEST] = None
    """Value in the units of the color scale. The table and the alternative text state the share of the cells above
    it."""
    alt_text: Annotated[bool, NOT_IN_DIGEST] = False
    """Describe each map in words, such as `highest 41 °C near 33.4 N 112.1 W`, in the metadata of the map and in the
    manifest."""

    @property
    def is_active(self) -> bool:
        """True if the statistics of regions are needed."""
        return self.table is not None or self.alt_text
