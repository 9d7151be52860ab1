"""The position of the panel of a finished map on the sheet and on the earth."""

from __future__ import annotations

import json
from dataclasses import dataclass

from affine import Affine


@dataclass(frozen=True, slots=True)
class Georeference:
    """The place of a panel on the sheet, its limits, and its CRS."""

    rows: slice
    """Rows of the panel in the image, counted from the top."""
    columns: slice
    """Columns of the panel in the image."""
    bounds: tuple[float, float, float, float]
    """xmin, ymin, xmax and ymax of the panel, in map units."""
    crs: str
    """CRS of the map: a code, a PROJ string or WKT."""

    @property
    def panel_transform(self) -> Affine:
        """Transform from (column, row) of the panel to (x, y). (0, 0) is the outer corner of the upper left pixel."""
        xmin, _, _, ymax = self.bounds
        width, height = self.pixel
        return Affine(width, 0, xmin, 0, -height, ymax)

    @property
    def sheet_transform(self) -> Affine:
        """Transform from (column, row) of the whole image to (x, y)."""
        xmin, _, _, ymax = self.bounds
        width, height = self.pixel
        return Affine(width, 0, xmin - self.columns.start * width, 0, -height, ymax + self.rows.start * height)

    def shifted(self, rows: int, columns: int) -> Georeference:
        """Return the place of the panel in a larger image, which has `rows` above and `columns` at the left."""
        own_rows, own_columns = self.rows, self.columns
        return Georeference(
            slice(own_rows.start + rows, own_rows.stop + rows),
            slice(own_columns.start + columns, own_columns.stop + columns),
            self.bounds,
            self.crs,
        )

    @property
    def text(self) -> str:
        """JSON object with `crs`, `bounds` and `pixels`: left, top, right and bottom of the panel in the image."""
        pixels = [self.columns.start, self.rows.start, self.columns.stop, self.rows.stop]
        return json.dumps({"crs": self.crs, "bounds": self.bounds, "pixels": pixels})

    @property
    def pixel(self) -> tuple[float, float]:
        """Width and height of a pixel in map units."""
        xmin, ymin, xmax, ymax = self.bounds
        return (
            (xmax - xmin) / (self.columns.stop - self.columns.start),
            (ymax - ymin) / (self.rows.stop - self.rows.start),
        )
