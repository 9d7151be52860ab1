"""Share sheets and frames among the renderers of several fields.

A sheet takes several megabytes in each worker, and a frame takes longer to draw than a map. Fields of one run usually
have sheets of the same size, and the times of a product have the same frame.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from regionplot.render.sheets import Style
from regionplot.settings.base import digest_items
from regionplot.writers.base import Bytes

if TYPE_CHECKING:
    from regionplot.render.agg import Canvas

_MAX_FRAMES = 8
"""Maximum number of frames that are kept for further fields."""


class Canvases:
    """Sheets by size and resolution, one for each thread that draws, and the frames that were drawn last."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._frames: dict[str, Bytes] = {}

    def canvas(self, style: Style) -> Canvas:
        """Return the sheet of this thread for the maps of a style."""
        sheets = self._sheets()
        key = style.layout.size, style.layout.dpi
        if key not in sheets:
            sheets[key] = self._draw(style)
        return sheets[key]

    def frame(self, style: Style) -> Bytes:
        """Return the sheet with the frame of a style, shape (height, width, 4). Equal frames are drawn once."""
        key = _frame_key(style)
        if key not in self._frames:
            drawn = self._draw(style)
            if self._sheets().setdefault((style.layout.size, style.layout.dpi), drawn) is not drawn:
                drawn.close()
            return drawn.background
        return self._frames[key]

    def _sheets(self) -> dict[tuple[tuple[int, int], float], Canvas]:
        if not hasattr(self._own, "sheets"):
            self._own.sheets = {}
        sheets: dict[tuple[tuple[int, int], float], Canvas] = self._own.sheets
        return sheets

    def _draw(self, style: Style) -> Canvas:
        """Draw the frame of a style on a new sheet. Keep the frame for other styles."""
        from regionplot.render.agg import Canvas  # noqa: PLC0415 (imports matplotlib)

        drawn = Canvas(style)
        while len(self._frames) >= _MAX_FRAMES:
            self._frames.pop(next(iter(self._frames)), None)
        self._frames[_frame_key(style)] = drawn.background
        return drawn


def _frame_key(style: Style) -> str:
    """Return a text that is equal only for equal frames."""
    layout, config = style.layout, style.shared.config
    boxes = layout.size, layout.dpi, layout.panel, sorted(layout.rooms.items())
    layers = [(type(layer).__module__, type(layer).__qualname__, layer.key) for layer in style.layers]
    settings = {**digest_items(config.map), "title": ""}, digest_items(config.colors)
    names = getattr(layout.page.key, "names", ())
    return repr((boxes, layers, settings, style.scale.digest_items(), names, style.shared.crs.to_wkt()))
