"""Read cells strip by strip, as values or as classes. This module imports neither settings nor projections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from regionplot.colors.classifier import Classifier, classify
from regionplot.geo.grid import Window
from regionplot.inputs.source import StoredBand
from regionplot.inputs.strips import StripReader


def cell_reader(
    band: StoredBand, options: Mapping[str, str], window: Window, classifier: Classifier | None, cells: NDArray[Any]
) -> StripReader:
    """Return a reader that writes the cells of a window to an array.

    Parameters
    ----------
    band : StoredBand
        The band to read.
    options : mapping of str to str
        GDAL options for reading.
    window : Window
        The cells to read.
    classifier : Classifier or None
        The classes of the cells. None: write their values.
    cells : ndarray, shape (rows, columns) of the window
        The result.
    """

    def use(place: tuple[slice, slice], values: NDArray[Any]) -> None:
        if classifier is None:
            cells[place] = values
        else:
            classify(values, classifier, cells[place])

    return StripReader(band, options, window, use)
