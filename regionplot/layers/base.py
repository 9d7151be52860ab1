"""Define the protocol of layers, and the context in which a layer is loaded.

::

    settings ─► check: input files ─► room: space outside the panel ─► load: once, in the parent
                                                                            │
    layout ─► frame: marks that are the same on all maps ◄──────────────────┤
    sheet  ─► draw:  marks of one map             ◄─────────────────────────┘

A layer is one module with a class and its settings, and one line in `registry.LAYERS`. Other packages add layers with
entry points of the group `regionplot.layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import pyproj

from regionplot.errors import InputError
from regionplot.geo.grid import GridGeometry
from regionplot.settings.base import NOT_IN_DIGEST, LayerSettings, Section
from regionplot.settings.config import Config
from regionplot.sheet.layout import Layout, Page, Room
from regionplot.sheet.marks import FrameMark, PanelMark, SheetMark
from regionplot.sheet.sheet import Sheet
from regionplot.system.cache import digest
from regionplot.system.cache_turn import Cache

__all__ = ["Layer", "LayerSettings", "LoadContext", "settings_digest"]


@dataclass(frozen=True)
class LoadContext:
    """Settings, raster facts and cache for a layer that is being loaded."""

    config: Config
    crs: pyproj.CRS
    """CRS of the map."""
    description: Mapping[str, object] = field(default_factory=dict)
    """Metadata of the raster: `raster`, `variable`, `long_name`, `units` and `time`, as far as they are known."""
    grid: GridGeometry | None = None
    """Grid of the raster. None if it is not known, or if the raster has no rows and columns in a CRS."""
    has_missing: bool = False
    """True if the raster can have missing cells, because it has a value or a mask for them."""
    cache: Cache | None = None
    """Folder for arrays that are expensive to compute. None if the cache is turned off."""
    name: str = ""
    """Name of the layer. It is also the key of the layer's space in `Layout.rooms`."""
    below: Sequence[Layer] = ()
    """Layers of the same map below this layer, which are already loaded."""
    loaded: Sequence[Layer] = ()
    """Layers that are already loaded: the layers below this one, and layers of an earlier run in this process. A layer
    can reuse their data if the input is unchanged."""
    readings: dict[str, Callable[[], Any]] = field(default_factory=dict)
    """Inputs that layers have started to read, by key. Two layers with the same input read the input only once."""


class Layer(Protocol):
    """A part of a map, such as the raster, a vector layer or the title.

    A layer is loaded once, in the parent. Forked workers inherit it. Other workers load it again. A loaded layer
    does not change. A layer never imports matplotlib: it yields marks, and `render` draws them. A subclass must define
    `key` and `load`, and usually `draw`.
    """

    Settings: ClassVar[type[LayerSettings]] = LayerSettings
    """Class of the layer's table in `regionplot.toml`. The key of the table is the layer's name in the registry."""
    zorder: ClassVar[float] = 50
    """Layers are drawn in the order of this number. Raster: 0, features: 20, contours: 25, region box: 28, graticule:
    30, streamlines: 39, barbs: 40, arrows: 41, points: 45, labels: 50, locator: 60, north arrow: 62, logo: 64,
    "no data": 70, neatline: 80, title: 90, color bar: 95, legend: 96."""
    wants_values: ClassVar[bool] = False
    """True if the layer needs the sampled values in `Sheet.values`, in addition to the codes of the color scale."""
    wants_shapes: ClassVar[bool] = False
    """True if the layer draws `Region.shape`. Otherwise, workers do not get the shapes, and maps do not depend on them.
    """
    ignores_raster: ClassVar[bool] = False
    """True if `draw` uses only the layer itself and these fields of the sheet: `region`, `view`, `layout`, `crs` and
    `title`. If all layers ignore the raster, what they cover on a palette map is kept for later runs. A class that
    overrides `draw` must set this field again. The sheet then has no codes, values or description."""
    mark_types: ClassVar[frozenset[type]] = frozenset({object})
    """Types of the marks that `draw` can yield. `object`: any. A layer without `Rectangle` and `Text` is asked for its
    marks only once per map. A class that overrides `draw` must set this field again."""
    has_usual_texts: ClassVar[bool] = False
    """True if the texts on the sheet are titles, numbers and units, so that `render.bare_canvas` can draw them. A class
    that overrides `draw` must set this field again."""

    label_order: ClassVar[int] = 0
    """Order in which layers place labels and symbols that must not overlap (`Sheet.placer`). 0: before all others, or
    without labels. Logo: 1, locator: 2, north arrow: 3, points: 5, contours: 10, labels: 20, barbs: 30. Layers are
    still drawn in the order of `zorder`."""

    caption: ClassVar[str] = ""
    """Name of a further quantity that the layer draws, for `{contents}` in titles. A layer can override it with a
    property."""
    key: str
    """Digest of all settings and input files that affect the layer's marks. If it changes, all maps are redrawn."""

    @classmethod
    def reach(cls, settings: Any) -> int:  # noqa: ARG003 (a default implementation)
        """Return the number of pixels beyond the panel in which the marks depend on cells of the map's raster."""
        return 0

    @classmethod
    def check(cls, settings: Any) -> None:  # noqa: ARG003 (a default implementation)
        """Raise an `InputError` if an input file is missing or unusable. Read only the metadata of the file."""
        return

    @classmethod
    def room(cls, settings: Any, page: Page) -> Room | None:  # noqa: ARG003 (a default implementation)
        """Return the space that the layer needs outside the panel, or None."""
        return None

    @classmethod
    def load(cls, settings: Any, context: LoadContext) -> Self:
        """Load the layer: read its input files and project their data.

        Raises
        ------
        InputError
            If an input file cannot be read.
        ConfigError
            If the settings do not fit the raster.
        """
        ...

    @classmethod
    def start(cls, settings: Any, context: LoadContext) -> Callable[[LoadContext], Self]:  # noqa: ARG003
        """Start to load the layer. Return a function that finishes loading and returns the layer.

        `start` is called for all layers before the first layer is loaded and before this process starts threads. A
        layer can start a child process here. The function gets the same context as `load`. By default, it calls `load`.

        Raises
        ------
        InputError
            If an input file cannot be opened.
        """
        return lambda context: cls.load(settings, context)

    def frame(self, layout: Layout) -> Iterable[FrameMark]:  # noqa: ARG002
        """Return the marks that are the same on all maps. They are drawn once."""
        return ()

    def draw(self, sheet: Sheet) -> Iterable[PanelMark | SheetMark]:  # noqa: ARG002
        """Return the marks of one map, from the bottom to the top."""
        return ()

    def inks(self) -> frozenset[str] | None:
        """Return the colors of the layer's marks in the panel: lines, areas, letters, casings and halos.

        Return None if the layer does not name its colors, because it draws images or many colors, or because its marks
        outside the panel are colored. Maps with such a layer are RGB images, or have a palette for each map
        (`render.adaptive`).
        """
        return None


def settings_digest(settings: LayerSettings, *more: object, exclude: Collection[str] = ()) -> str:
    """Return the digest of a layer's settings, of the files that they name, and of further values.

    Parameters
    ----------
    settings : LayerSettings
        Settings of the layer. The digest covers all fields that are neither excluded nor marked `NOT_IN_DIGEST`. For a
        field that holds paths, the digest covers the content of the files.
    *more : object
        Further values for the digest, with a stable `repr`.
    exclude : collection of str
        Names of fields to leave out, such as a path if `more` holds the content of its file.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    unused = {name for name, field in type(settings).model_fields.items() if NOT_IN_DIGEST in field.metadata}
    exclude = {*exclude, *unused}
    fields = settings.model_dump_json(exclude=exclude)
    files = [path for name, value in settings if name not in exclude for path in _files(value)]
    try:
        return digest([type(settings).__qualname__, fields, *map(repr, more)], files)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _files(value: object) -> Iterator[Path]:
    """Yield the existing files that the value of a field names."""
    if isinstance(value, Path):
        yield from [value] if value.is_file() else []
    elif isinstance(value, Section):
        yield from (path for _, item in value for path in _files(item))
    elif isinstance(value, Mapping):
        yield from (path for item in value.values() for path in _files(item))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (path for item in value for path in _files(item))
