"""Find the layers of a map, lay out the sheet, and load the layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from regionplot.inputs.isolation import time_limit
from regionplot.layers.base import Layer, LayerSettings, LoadContext
from regionplot.layers.colorbar import ColorBarLayer
from regionplot.layers.legend import Legend
from regionplot.layers.neatline import Neatline
from regionplot.layers.no_data import NoDataNote
from regionplot.layers.raster import Raster
from regionplot.layers.title import Title
from regionplot.registry import LAYERS
from regionplot.settings.config import Config
from regionplot.sheet.key import Key
from regionplot.sheet.layout import Layout, Page
from regionplot.system.cache import ArrayCache, digest
from regionplot.system.cache_turn import Cache, CacheTurn

FURNITURE: dict[str, type[Layer]] = {
    "raster": Raster,
    "no_data": NoDataNote,
    "neatline": Neatline,
    "title": Title,
    "colorbar": ColorBarLayer,
    "legend": Legend,
}
"""Layers that have no table of their own in the settings. They use the sections `[map]` and `[colors]`."""


class PlannedLayer(NamedTuple):
    """A layer that is not loaded yet."""

    name: str
    """Name of the layer's table, such as `features`, and a number if there can be several tables: `features 1`."""
    layer: type[Layer]
    settings: LayerSettings

    @property
    def wants_values(self) -> bool:
        """True if the layer needs the values of the raster. Labels need them only if they show values."""
        return self.layer.wants_values or bool(getattr(self.settings, "has_values", False))


def configured_layers(config: Config) -> list[PlannedLayer]:
    """Return the layers that have a table in the settings, in the order of the settings."""
    return [
        PlannedLayer(f"{name} {number}" if settings.is_array else name, LAYERS[name], settings)
        for name, tables in config.layers.items()
        for number, settings in enumerate(tables, 1)
        if settings.show
    ]


def all_layers(config: Config) -> list[PlannedLayer]:
    """Return all layers of a map, from the bottom to the top. Layers of equal zorder keep the order of the settings."""
    furniture = [PlannedLayer(name, layer, LayerSettings()) for name, layer in FURNITURE.items()]
    return sorted([*furniture, *configured_layers(config)], key=_zorder)


def reach_of(config: Config) -> int:
    """Return the number of pixels beyond the panel in which a map depends on cells of its raster."""
    return max((planned.layer.reach(planned.settings) for planned in configured_layers(config)), default=0)


def _zorder(planned: PlannedLayer) -> float:
    """Return the place of a layer in the drawing order. Some layers have a setting for it."""
    return float(getattr(planned.settings, "zorder", planned.layer.zorder))


def check_layers(config: Config) -> None:
    """Check the input files of all layers.

    Raises
    ------
    InputError
        If a file is missing or unusable.
    """
    with time_limit(config.run.timeout):
        for planned in configured_layers(config):
            planned.layer.check(planned.settings)


def lay_out(config: Config, key: Key | None) -> Layout:
    """Lay out the sheets of a run.

    Parameters
    ----------
    config : Config
        The settings.
    key : Key, optional
        The key of the color scale. None if the maps have neither color bar nor legend.

    Raises
    ------
    ConfigError
        If no space is left for the panel.
    """
    page = Page(config, key)
    rooms = ((planned.name, planned.layer.room(planned.settings, page)) for planned in all_layers(config))
    return Layout.of(page, {name: room for name, room in rooms if room is not None})


def load_layers(planned: Iterable[PlannedLayer], context: LoadContext) -> tuple[Layer, ...]:
    """Load layers in the given order.

    Raises
    ------
    InputError
        If an input file cannot be read.
    ConfigError
        If the settings do not fit the raster, or a layer of another package has no `key`.
    """
    with start_layers(planned, context) as finish:
        return finish()


@contextmanager
def start_layers(planned: Iterable[PlannedLayer], context: LoadContext) -> Iterator[Callable[[], tuple[Layer, ...]]]:
    """Start to load layers, and yield a function that finishes loading.

    Call this function before the process starts threads, because files are then read in child processes. Until the
    `with` block ends, other processes wait for inputs that are not in the cache yet.

    Yields
    ------
    callable
        Returns the layers in the given order. It raises the same errors as `load_layers`.

    Raises
    ------
    InputError
        If an input file cannot be opened.
    """
    planned = list(planned)
    with _cache_in_turn(planned, context) as cache:
        contexts = [(each, replace(context, name=each.name, cache=cache)) for each in planned]
        with time_limit(context.config.run.timeout):
            started = [(each.layer.start(each.settings, own), own) for each, own in contexts]

        def finish() -> tuple[Layer, ...]:
            layers: tuple[Layer, ...] = ()
            for load, own in started:
                loaded = load(replace(own, below=layers, loaded=(*own.loaded, *layers)))
                layers = (*layers, LAYERS.checked(own.name.partition(" ")[0], loaded))
            return layers

        yield finish


def _cache_in_turn(planned: Sequence[PlannedLayer], context: LoadContext) -> AbstractContextManager[Cache | None]:
    """Return the cache of a context. Processes that load the same layers wait for each other's missing entries."""
    cache = context.cache
    if not isinstance(cache, ArrayCache):
        return nullcontext(cache)
    settings = (each.settings for each in planned)
    return CacheTurn(cache, lambda: digest([context.crs.to_wkt(), *map(repr, settings)], []))


def draws_shapes(config: Config) -> bool:
    """Return True if a layer draws the shapes of regions."""
    return any(planned.layer.wants_shapes for planned in configured_layers(config))


def layers_with_ink(layers: Iterable[Layer]) -> list[Layer]:
    """Return the layers that draw on each map. Other layers are only in the frame."""
    return [layer for layer in layers if _class_with_draw(layer) is not Layer]


def ignore_raster(layers: Iterable[Layer]) -> bool:
    """Return True if all layers say that their marks on a map do not depend on the raster."""
    return all(_class_with_draw(layer) is Layer or _declared(layer, "ignores_raster", False) for layer in layers)


def can_yield(layer: Layer, kinds: Iterable[type]) -> bool:
    """Return True if `draw` of a layer can yield a mark of one of these types."""
    if _class_with_draw(layer) is Layer:
        return False
    types = _declared(layer, "mark_types", {object})
    return any(issubclass(kind, declared) for kind in kinds for declared in types)


def has_usual_texts(layer: Layer) -> bool:
    """Return True if a layer draws no texts on the sheet but titles, numbers and units."""
    return bool(_declared(layer, "has_usual_texts", False))


def _declared(layer: Layer, name: str, default: Any) -> Any:
    """Return an attribute of the class that defines `draw`. An attribute of its base class describes another `draw`."""
    return vars(_class_with_draw(layer)).get(name, default)


def _class_with_draw(layer: Layer) -> type:
    return _definition_of_draw(type(layer))


@cache
def _definition_of_draw(kind: type) -> type:
    """Return the class that defines `draw` for a class of layers. Drawing a map asks for it about fifty times."""
    return next(each for each in kind.__mro__ if "draw" in vars(each))
