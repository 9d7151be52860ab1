"""Define `Picture`: a finished map as pixels, and the names of the metadata of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regionplot.writers.georeference import Georeference

RowFilter = Literal["none", "up"]
Bytes = NDArray[np.uint8]
TITLE = "Title"
"""Key of the metadata: title of the map."""
DESCRIPTION = "Description"
"""Key of the metadata: alternative text of the map."""
SOFTWARE = "Software"
"""Key of the metadata: program that drew the map."""
GEOREFERENCE = "Georeference"
"""Key of the metadata: place of the map on the earth, see `Georeference.text`."""
DIGEST = "regionplot-digest"
"""Key of the metadata: digest of everything that the map depends on."""


@dataclass(frozen=True, repr=False)
class Picture:
    """A finished map as pixels."""

    image: Bytes
    """RGB values, shape (height, width, 3). With a palette: indexes into `palette`, shape (height, width)."""
    palette: Bytes | None
    """RGB colors, shape (n, 3). None if `image` holds RGB values."""
    title: str
    no_data: bool
    """True if the region holds only nodata."""
    row_filter: RowFilter = "up"
    """Filter of PNG files that makes them small: differences to the row above, or none."""
    georeference: Georeference | None = None
    """Place of the map on the sheet and on the earth. None if it is unknown."""

    def __repr__(self) -> str:
        """Return the title, the size, and the number of colors of the palette."""
        height, width = self.image.shape[:2]
        colors = "RGB" if self.palette is None else f"{len(self.palette)} colors"
        return f"<Picture {self.title!r}: {width} x {height} pixels, {colors}{', no data' * self.no_data}>"

    @property
    def pixels(self) -> Bytes:
        """RGB values of all pixels, shape (height, width, 3)."""
        return self.image if self.palette is None else self.palette[self.image]
