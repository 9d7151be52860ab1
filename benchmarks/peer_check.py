"""Check that a peer drew the same maps as regionplot: number, size and pixels of its pictures.

Two shares are computed over the panels:

- classes: of the pixels away from lines, the share with the same color in both pictures
- lines: of the line pixels with a contrast to their class, the share where the peer has a line at most one pixel away
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

LEAST_CLASSES, LEAST_LINES = 0.8, 0.5
_TOLERANCE = 32
"""Two colors count as equal if no channel differs by more than this, out of 255."""
_DARKER = 40
"""A pixel that is this much darker than its class, out of 255, is a line pixel."""
_CHECKED = 12
"""Maximum number of pictures whose pixels are compared. Number and size are checked for all pictures."""


class BrokenError(Exception):
    """The peer failed, or its pictures are wrong."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of the pictures with the pictures of regionplot."""

    classes: float
    """Share of the pixels away from lines that have the same color."""
    lines: float
    """Share of the line pixels where the peer has a line, too."""
    kilobytes: float
    """Mean size of a file."""


@dataclass(frozen=True)
class Place:
    """Position and limits of the map in a picture."""

    box: tuple[float, float, float, float]
    """Left, top, width and height in pixels."""
    limits: tuple[float, float, float, float]
    """xmin, ymin, xmax, ymax in meters."""


def compare(
    task: Mapping[str, Any], folder: Path, ours: Path, bare: Path, places: Mapping[str, Place] | None = None
) -> Agreement:
    """Compare the pictures of a peer with the pictures of regionplot.

    The folder `bare` holds the maps of regionplot without lines. `places` names the maps that the peer drew, and gives
    their positions. By default, the peer drew all maps, in the same position as regionplot.

    Raises
    ------
    BrokenError
        If a picture is missing, has another size or is blank, or if the pictures show something else.
    """
    maps = [one for one in task["maps"] if places is None or one["name"] in places]
    files = _files(folder, [one["name"] for one in maps], tuple(task["sheet"]))
    shares = []
    for one in maps[:: -(-len(maps) // _CHECKED)]:
        panel = Place(tuple(task["panel"]), tuple(one["panel"]))
        place = panel if places is None else places[one["name"]]
        name = f"{one['name']}.png"
        shares.append(_shares(folder / name, ours / name, bare / name, panel, place))
    classes, lines = np.nanmean(shares, axis=0)
    if classes < LEAST_CLASSES or lines < LEAST_LINES:
        raise BrokenError(f"shows another map: {classes:.0%} of the classes and {lines:.0%} of the lines agree")
    return Agreement(classes, lines, sum(path.stat().st_size for path in files) / len(files) / 1000)


def _files(folder: Path, names: Sequence[str], sheet: tuple[int, int]) -> list[Path]:
    """Return the paths of the pictures. Check that all exist, have the right size, and are not blank."""
    found = {path.stem: path for path in folder.glob("*.png")}
    if missing := set(names) - set(found):
        raise BrokenError(f"{len(missing)} of {len(names)} maps are missing, such as {min(missing)}")
    for name in names:
        with Image.open(found[name]) as image:
            if image.size != sheet:
                raise BrokenError(f"{name} has {image.size[0]} x {image.size[1]} pixels")
            if max(high - low for low, high in _ranges(image)) < _TOLERANCE:
                raise BrokenError(f"{name} is blank")
    return [found[name] for name in names]


def _ranges(image: Image.Image) -> Iterable[tuple[int, int]]:
    """Yield the smallest and the largest value of each channel."""
    return np.atleast_2d(image.convert("RGB").getextrema())


def _shares(theirs: Path, ours: Path, bare: Path, panel: Place, place: Place) -> tuple[float, float]:
    """Return the two shares of one map, for the area that both pictures show."""
    rows, columns, inside = _positions(panel, place)
    picture = Image.open(theirs).convert("RGB")
    colors = np.asarray(picture, dtype=int)[rows, columns]
    darkest = np.asarray(picture.convert("L").filter(ImageFilter.MinFilter(3)), dtype=int)[rows, columns]
    drawn, plain = (_panel_of(path, panel) for path in (ours, bare))
    changed = np.abs(drawn - plain).max(axis=2)
    away = inside & (_spread(changed) == 0)
    gray = plain @ (0.299, 0.587, 0.114)
    on_line = inside & (gray - drawn @ (0.299, 0.587, 0.114) > 2 * _DARKER)
    same = np.abs(colors - plain).max(axis=2) <= _TOLERANCE
    return _share(same, away), _share(gray - darkest > _DARKER, on_line)


def _share(found: np.ndarray, of: np.ndarray) -> float:
    return float(found[of].mean()) if of.any() else np.nan


def _spread(values: np.ndarray) -> np.ndarray:
    """Return the largest value within two pixels of each pixel."""
    image = Image.fromarray(values.astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.MaxFilter(5)))


def _panel_of(path: Path, panel: Place) -> np.ndarray:
    left, top, width, height = (int(side) for side in panel.box)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), dtype=int)[top : top + height, left : left + width]


def _positions(panel: Place, place: Place) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row and column in the other picture for each pixel of the panel, and a mask of the pixels inside it.

    The outermost two pixels of the other picture are left out.
    """
    _, _, width, height = (int(side) for side in panel.box)
    x = panel.limits[0] + (np.arange(width) + 0.5) / width * (panel.limits[2] - panel.limits[0])
    y = panel.limits[3] - (np.arange(height) + 0.5) / height * (panel.limits[3] - panel.limits[1])
    columns = (x - place.limits[0]) / (place.limits[2] - place.limits[0]) * place.box[2]
    rows = (place.limits[3] - y) / (place.limits[3] - place.limits[1]) * place.box[3]
    inside = np.outer((rows > 2) & (rows < place.box[3] - 2), (columns > 2) & (columns < place.box[2] - 2))
    rows, columns = (np.clip(found, 0, side - 1) for found, side in ((rows, place.box[3]), (columns, place.box[2])))
    return (rows + place.box[1]).astype(int)[:, None], (columns + place.box[0]).astype(int)[None, :], inside
