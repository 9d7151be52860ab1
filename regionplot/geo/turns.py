"""Count whole turns around the earth in the positions of a grid in degrees."""

from __future__ import annotations

import numpy as np

from regionplot.geo.grid import Lattice
from regionplot.geo.mesh import Bounds


def whole_turns(bounds: Bounds, lattice: Lattice) -> float:
    """Return the columns to subtract from all positions so that their middle is in the first 360° of the grid."""
    period = lattice.columns_per_turn
    return 0.0 if period is None else period * float(np.floor((bounds.left + bounds.right) / 2 / period))
