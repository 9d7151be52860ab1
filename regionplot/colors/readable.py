"""Find color scales that color-blind readers cannot follow, and lines that do not stand out on a scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.names import Rgba
from regionplot.colors.vision import KINDS, NORMAL, differences, lab_of, seen

_MIN_NEIGHBORS = 2.0
"""Minimum CIEDE2000 between neighbors on a scale. Smaller differences are hardly visible."""
_SAME, _DIFFERENT = 5.0, 20.0
"""Two colors are confused if their CIEDE2000 is below the first limit for a color-blind reader, but above the second
for other readers."""
_MIN_LINE = 10.0
"""Minimum CIEDE2000 between a line and the color under it."""
_SHOWN = 3
"""Maximum number of examples in a message."""


class Order(Enum):
    """How the colors of a scale belong together."""

    NONE = "none"
    """Each color is a category."""
    CLASSES = "classes"
    """The colors are classes of numbers. Only neighbors must be easy to tell apart."""
    GRADUAL = "gradual"
    """The colors are samples of a gradual transition. Neighbors may be alike."""


@dataclass(frozen=True, slots=True)
class Swatch:
    """A color of a scale, and its meaning."""

    name: str
    """Text for messages, such as `10 to 20`."""
    color: Sequence[float]
    """Red, green and blue, 0 to 1."""


def unreadable(swatches: Sequence[Swatch], order: Order) -> Iterator[str]:
    """Yield one message for each kind of reader who cannot follow a scale.

    Parameters
    ----------
    swatches : sequence of Swatch
        The colors, in the order of the scale.
    order : Order
        How the colors belong together.
    """
    if len(swatches) < 2:
        return
    rgb = np.array([swatch.color[:3] for swatch in swatches], dtype=float)
    usual = _distances(rgb, NORMAL)
    for kind in KINDS:
        found = _distances(rgb, kind)
        pairs = _pairs_alike(found, order) if kind == NORMAL else _pairs_confused(found, usual, order)
        if pairs:
            yield f"with {kind}, {_listed(swatches, pairs)} look alike"


def hidden_line(line: Rgba, swatches: Sequence[Swatch]) -> str:
    """Return the names of the colors on which a line does not stand out, or an empty text.

    Parameters
    ----------
    line : (float, float, float, float)
        Red, green, blue and opacity of the line, 0 to 1.
    swatches : sequence of Swatch
        The colors of the scale.
    """
    if not line[3]:
        return ""
    under = np.array([swatch.color[:3] for swatch in swatches], dtype=float)
    drawn = under * (1 - line[3]) + np.array(line[:3]) * line[3]
    distance = differences(lab_of(under), lab_of(drawn))
    names = [swatch.name for swatch, found in zip(swatches, distance, strict=True) if found < _MIN_LINE]
    return _shortened(names, ", ")


def _distances(rgb: NDArray[Any], kind: str) -> NDArray[Any]:
    """Return CIEDE2000 between all pairs of colors, shape (n, n)."""
    lab, count = lab_of(seen(rgb, kind)), len(rgb)
    return differences(np.repeat(lab, count, axis=0), np.tile(lab, (count, 1))).reshape(count, count)


def _pairs_alike(found: NDArray[Any], order: Order) -> list[tuple[int, int]]:
    """Return the pairs that no reader can tell apart."""
    return [pair for pair in _all_pairs(len(found)) if found[pair] < _MIN_NEIGHBORS and _must_differ(pair, order)]


def _pairs_confused(found: NDArray[Any], usual: NDArray[Any], order: Order) -> list[tuple[int, int]]:
    """Return the pairs that a color-blind reader confuses, although other readers see a difference."""
    lost = (found < _SAME) & (usual > _DIFFERENT)
    hardly = (found < _MIN_NEIGHBORS) & (usual >= _MIN_NEIGHBORS)
    return [pair for pair in _all_pairs(len(found)) if lost[pair] or (hardly[pair] and _must_differ(pair, order))]


def _must_differ(pair: tuple[int, int], order: Order) -> bool:
    """Return True if two colors may not be alike, even if they look alike to all readers."""
    return order is Order.NONE or (order is Order.CLASSES and pair[1] - pair[0] == 1)


def _all_pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((first, second) for first in range(count) for second in range(first + 1, count))


def _listed(swatches: Sequence[Swatch], pairs: Sequence[tuple[int, int]]) -> str:
    return _shortened([f"{swatches[first].name} and {swatches[second].name}" for first, second in pairs], "; ")


def _shortened(texts: Sequence[str], separator: str) -> str:
    """Return the first texts, and the number of the others."""
    more = len(texts) - _SHOWN
    shown = separator.join(texts[:_SHOWN])
    return f"{shown}{separator}{more} more" if more > 0 else shown
