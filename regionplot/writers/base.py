"""A finished picture, ready to be encoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A finished map."""

    image: Bytes
    """Shape (height, width, 3), RGB; or (height, width), rows of `palette`."""
    palette: Bytes | None
    """Shape (n, 3), RGB."""
    title: str
    no_data: bool

    @property
    def pixels(self) -> Bytes:
        """Shape (height, width, 3), RGB."""
        return self.image if self.palette is None else self.palette[self.image]
