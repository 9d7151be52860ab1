"""Choose the renderer of a run: regionplot's own, or one that calls functions of the user."""

from __future__ import annotations

from regionplot.render.canvases import Canvases
from regionplot.render.renderer import MapRenderer
from regionplot.shared.data import SharedData


def make_renderer(shared: SharedData, maps: int = 1, canvases: Canvases | None = None) -> MapRenderer:
    """Return a renderer for the maps of a run.

    Parameters
    ----------
    shared : SharedData
        The data to draw.
    maps : int
        Expected number of maps.
    canvases : Canvases, optional
        Canvases that the renderer shares with renderers of other fields.

    Raises
    ------
    ConfigError
        If the settings do not suit the raster, or a function of the user cannot be imported.
    """
    if shared.panels:
        from regionplot.render.sheet_of_panels import PanelsRenderer  # noqa: PLC0415 (imports matplotlib)

        return PanelsRenderer(shared, maps, canvases)  # type: ignore[return-value]
    functions = shared.config.map
    if functions.draw is not None:
        from regionplot.render.own import OwnRenderer  # noqa: PLC0415 (imports matplotlib)

        return OwnRenderer(shared)  # type: ignore[return-value]
    if functions.decorate is not None:
        from regionplot.render.decorate import DecoratedRenderer  # noqa: PLC0415

        return DecoratedRenderer(shared, maps, canvases)
    return MapRenderer(shared, maps, canvases)
