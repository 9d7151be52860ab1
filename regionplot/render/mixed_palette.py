"""Make palettes for classed maps whose lines, halos and labels have several colors.

The palette holds the exact class colors, the shades of the frame, and colors that inks make when they cover classes or
other inks. There are more such colors than rows of a palette. Colors are chosen one after the other: the next color is
the one that is farthest from all chosen colors. Therefore, the largest error is small, and the choice is always the
same::

    rows of the scale │ white to the ink of the frame │ mixtures of classes and inks

Ink is drawn on a transparent panel, and kept with its opacity. `render.ink` blends it with the classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.base import PaletteScale, Scale
from regionplot.colors.names import Rgba, rgba_of
from regionplot.layers.base import Layer
from regionplot.render.hatch import hatched_color
from regionplot.render.ink import no_hatch
from regionplot.sheet.marks import Hatch
from regionplot.writers.base import Bytes

_SIZE = 256
_MAX_CLASSES = 64
"""Maximum number of different class colors. With more classes, too few rows are left for the inks."""
_FRAME_SHADES = 24
_COVERAGES = (0.25, 0.5, 0.75, 1.0)
"""Parts of a pixel that ink covers, for which colors are considered."""
_ENOUGH = 4.0
"""Distance of colors below which no further color is added."""
_WHITE = 255
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MixedPalette:
    """Colors of classed maps with inks of several colors. See `ink.PaletteTables`."""

    colors: Bytes
    shaded: Bytes
    """Empty, shape (0, 256), because inks are blended."""
    framed: Bytes
    channel: None = None
    sheet_type: type[np.unsignedinteger[Any]] = np.uint8
    hatch: NDArray[np.int32] = field(default_factory=no_hatch)

    @classmethod
    def of(
        cls, scale: Scale, layers: Iterable[Layer], frame_ink: str, hatch: Hatch | None = None
    ) -> MixedPalette | None:
        """Return a palette for the colors of a scale, the inks of all layers, the ink of the frame and a hatch.

        Returns
        -------
        MixedPalette or None
            None if the scale is continuous or has too many classes, or if a layer draws colors that it does not name.
        """
        inks = inks_of(layers)
        if inks is None or not isinstance(scale, PaletteScale) or not scale.is_classed:
            return None
        rows = np.unique(scale.palette[:, :3], axis=0)
        if len(rows) > _MAX_CLASSES or len(scale.palette) + _FRAME_SHADES >= _SIZE:
            return None
        frame, framed = frame_shades(len(scale.palette), frame_ink)
        kept = np.concatenate([scale.palette[:, :3], frame])
        hatched = no_hatch()
        if hatch is not None:
            hatched = np.array([scale.nodata, len(kept), hatch.spacing], np.int32)
            kept = np.concatenate([kept, hatched_color(scale.palette[-1:, :3], hatch.color)])
        opaque = np.array([color[:3] for color in inks if color[3] == 1]).reshape(-1, 3)
        kept = np.concatenate([kept, np.rint(opaque * _WHITE).astype(np.uint8)])[:_SIZE]
        added = farthest(mixtures(rows.astype(float), inks), kept.astype(float), _SIZE - len(kept))
        colors = np.concatenate([kept, np.rint(added).astype(np.uint8)])
        return cls(colors, np.empty((0, _SIZE), np.uint8), framed, hatch=hatched)


def inks_of(layers: Iterable[Layer]) -> list[Rgba] | None:
    """Return the visible colors of layers in the panel, in a fixed order. Return None if a layer does not name them."""
    found: dict[Rgba, None] = {}
    for layer in layers:
        names = layer.inks()
        if names is None:
            return None
        found |= dict.fromkeys(color for name in sorted(names) if (color := rgba_of(name))[3] > 0)
    return list(found)


def frame_shades(first: int, ink: str) -> tuple[Bytes, Bytes]:
    """Return shades from white to an ink, and the row of the palette for each gray level, shape (256,).

    Parameters
    ----------
    first : int
        Row of the palette with white.
    ink : str
        The darkest ink of the frame.
    """
    dark = np.rint(np.array(rgba_of(ink)[:3]) * _WHITE)
    shades = np.linspace((_WHITE,) * 3, dark, _FRAME_SHADES)
    gray = (_WHITE - np.arange(_WHITE + 1)) / max(_WHITE - dark[0], 1.0)
    rows = first + np.clip(np.rint(gray * (_FRAME_SHADES - 1)), 0, _FRAME_SHADES - 1)
    return np.rint(shades).astype(np.uint8), rows.astype(np.uint8)


def mixtures(colors: Floats, inks: Sequence[Rgba]) -> Floats:
    """Return colors that inks make when they cover colors, or other inks on these colors, shape (n, 3)."""
    found = [colors]
    for lower in inks:
        once = _covered(colors, lower, _COVERAGES)
        found.append(once)
        found += [_covered(once[-len(colors) :], upper, _COVERAGES) for upper in inks if upper != lower]
    cells = np.rint(np.concatenate(found) / 4)
    packed = (cells[:, 0] * 64 + cells[:, 1]) * 64 + cells[:, 2]
    _, first = np.unique(packed, return_index=True)
    return np.concatenate(found)[first]


def _covered(colors: Floats, ink: Rgba, coverages: Sequence[float]) -> Floats:
    """Return colors under an ink for each coverage, shape (coverages * n, 3). The last coverage is at the end."""
    paint = np.array(ink[:3]) * _WHITE
    return np.concatenate([colors + part * ink[3] * (paint - colors) for part in coverages])


def farthest(candidates: Floats, chosen: Floats, most: int) -> Floats:
    """Choose colors so that each candidate is close to one of them.

    Each color is the candidate that is farthest from all colors before it. The largest distance that remains is at most
    twice the smallest possible one (Gonzalez 1985, https://doi.org/10.1016/0304-3975(85)90224-5).

    Parameters
    ----------
    candidates : ndarray, shape (n, 3)
        Colors to choose from.
    chosen : ndarray, shape (m, 3)
        Colors that are already in the palette.
    most : int
        Maximum number of colors to add.
    """
    channels = np.ascontiguousarray(candidates.T, np.float32)
    distances = np.full(len(candidates), np.inf, np.float32)
    for color in chosen.astype(np.float32):
        np.minimum(distances, _squared_distances(channels, color), out=distances)
    added: list[int] = []
    while len(added) < most:
        number = int(distances.argmax())
        if distances[number] <= _ENOUGH**2:
            break
        added.append(number)
        np.minimum(distances, _squared_distances(channels, channels[:, number]), out=distances)
    return candidates[added]


def _squared_distances(channels: NDArray[np.float32], color: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squared distances of colors, shape (3, n), to a color."""
    difference = channels - color[:, None]
    difference *= difference
    return np.asarray(difference[0] + difference[1] + difference[2])
