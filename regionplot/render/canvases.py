"""Share sheets and frames among the renderers of several fields.

A sheet takes several megabytes in each worker, and a frame takes longer to draw than a map. Fields of one run usually
have sheets of the same size, and the times of a product have the same frame.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from regionplot.render.sheets import Style
from regionplot.render.sparse import SparseImage
from regionplot.settings.base import digest_items
from regionplot.sheet.layout import Layout

if TYPE_CHECKING:
    from regionplot.render.agg import Canvas
    from regionplot.render.bare_canvas import BareCanvas
    from regionplot.render.compiled import CompiledModules

_MAX_FRAMES = 8
"""Maximum number of frames that are kept for further fields."""


class Canvases:
    """Sheets by size and resolution, one for each thread that draws, and the frames that were drawn last."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._frames: dict[str, SparseImage] = {}

    def canvas(self, layout: Layout) -> Canvas:
        """Return the sheet of this thread for the maps of a layout."""
        from regionplot.render.agg import Canvas  # noqa: PLC0415 (imports matplotlib)

        canvas: Canvas = self._found(layout, Canvas)
        return canvas

    def bare(self, layout: Layout, modules: CompiledModules) -> BareCanvas:
        """Return the sheet of this thread on which matplotlib's compiled modules draw."""
        from regionplot.render.bare_canvas import BareCanvas  # noqa: PLC0415 (maps with kept ink do not need it)

        canvas: BareCanvas = self._found(layout, BareCanvas, modules)
        return canvas

    def _found(self, layout: Layout, kind: Callable[..., Any], *arguments: Any) -> Any:
        sheets: dict[Any, Any] = self._own.__dict__.setdefault("sheets", {})
        key = layout.size, layout.dpi, kind
        if key not in sheets:
            sheets[key] = kind(layout, *arguments)
        return sheets[key]

    def free_sheets(self) -> None:
        """Free the sheets of this thread, and matplotlib's memory for drawing on them. The next map makes a new one."""
        self._own.__dict__.clear()

    def frame(self, style: Style, draw: Callable[[], SparseImage]) -> SparseImage:
        """Return the sheet with the frame of a style. Equal frames are drawn once.

        Parameters
        ----------
        style : Style
            The style.
        draw : callable
            Function that returns the frame if no equal frame is known.
        """
        key = _frame_key(style)
        found = self._frames.get(key)
        if found is None:
            found = draw()
            while len(self._frames) >= _MAX_FRAMES:
                self._frames.pop(next(iter(self._frames)), None)
            self._frames[key] = found
        return found


def _frame_key(style: Style) -> str:
    """Return a text that is equal only for equal frames."""
    layout, config = style.layout, style.shared.config
    boxes = layout.size, layout.dpi, layout.panel, sorted(layout.rooms.items())
    layers = [(type(layer).__module__, type(layer).__qualname__, layer.key) for layer in style.layers]
    settings = {**digest_items(config.map), "title": ""}, digest_items(config.colors)
    names = getattr(layout.page.key, "names", ())
    return repr((boxes, layers, settings, style.scale.digest_items(), names, style.shared.crs.to_wkt()))
