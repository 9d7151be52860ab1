"""The protocol of layers, and what a layer gets when it is loaded.

::

    settings ─► check: input files ─► room: space outside of the panel ─► load, once, in the parent
                                                                            │
    layout ─► frame: marks that are equal on all maps ◄─────────────────────┤
    sheet  ─► draw:  marks of one map             ◄─────────────────────────┘

A layer is one module with a class and its settings, and one line in `registry.LAYERS`. Other packages add layers with
entry points of the group `regionplot.layers`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import pyproj

from regionplot.errors import InputError
from regionplot.settings.base import LayerSettings, Section
from regionplot.settings.config import Config
from regionplot.sheet.layout import Layout, Page, Room
from regionplot.sheet.marks import ColorBar, PanelMark, SheetMark
from regionplot.sheet.sheet import Sheet
from regionplot.system.cache import ArrayCache, digest

__all__ = ["Layer", "LayerSettings", "LoadContext", "settings_digest"]


@dataclass(frozen=True)
class LoadContext:
    """What a layer can use while it loads."""

    config: Config
    crs: pyproj.CRS
    """CRS of the map."""
    description: Mapping[str, object] = field(default_factory=dict)
    """Metadata of the raster: `long_name`, `units`, `time` and more."""
    cache: ArrayCache | None = None
    """Folder for arrays that are expensive to compute. None if the user wants no cache."""
    name: str = ""
    """Name of the layer: the key of its space in `Layout.rooms`."""
    loaded: Sequence[Layer] = ()
    """Layers loaded before: the layers below this one, and layers of an earlier run in this process. A layer can reuse
    their data if the input is unchanged."""


class Layer(Protocol):
    """Something that is drawn on a map.

    A layer is loaded once, in the parent, and inherited by workers or loaded again in each. It does not change after
    that. It never imports matplotlib: it yields marks, which `render` draws. A subclass needs `load` and `draw` at
    least.
    """

    Settings: ClassVar[type[LayerSettings]] = LayerSettings
    """Class of the layer's table in `regionplot.toml`. The key of the table is the layer's name in the registry."""
    zorder: ClassVar[float] = 50
    """Layers are drawn in this order. Raster: 0, features: 20, graticule: 30, note: 70, neatline: 80, title: 90."""
    wants_values: ClassVar[bool] = False
    """True if the sheet must hold the sampled values, not only the codes of the color scale."""

    key: str
    """Digest of all settings and input files that the layer's marks depend on. A map is redrawn if it changes."""

    @classmethod
    def check(cls, settings: Any) -> None:  # noqa: ARG003 (a default)
        """Raise an `InputError` if an input file is missing or unusable. Read no more than its description."""
        return

    @classmethod
    def room(cls, settings: Any, page: Page) -> Room | None:  # noqa: ARG003 (a default)
        """Return the space that the layer needs outside of the panel."""
        return None

    @classmethod
    def load(cls, settings: Any, context: LoadContext) -> Self:
        """Read input files and project them.

        Raises
        ------
        InputError
            If an input file cannot be read.
        ConfigError
            If the settings do not fit the raster.
        """
        ...

    def frame(self, layout: Layout) -> Iterable[SheetMark | ColorBar]:  # noqa: ARG002
        """Return the marks that are the same on all maps. They are drawn once."""
        return ()

    def draw(self, sheet: Sheet) -> Iterable[PanelMark | SheetMark]:  # noqa: ARG002
        """Return the marks of one map, from the bottom to the top."""
        return ()

    def inks(self) -> frozenset[str] | None:
        """Return the colors that the layer draws in the panel.

        Return None if a palette image cannot hold the layer: if it draws halos or images, or if it draws outside of
        the panel in another color than `INK`. Maps with such a layer are RGB images.
        """
        return None


def settings_digest(settings: LayerSettings, *more: object, exclude: Collection[str] = ()) -> str:
    """Return the digest of a layer's settings, of the files that they name, and of further values.

    Parameters
    ----------
    settings : LayerSettings
        All fields count, except those excluded. A field that holds paths counts with the content of the files.
    *more : object
        Values that have a stable `repr`.
    exclude : collection of str
        Fields that do not count, such as a path whose content is among the further values.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    fields = settings.model_dump_json(exclude=set(exclude))
    files = [path for name, value in settings if name not in exclude for path in _files(value)]
    try:
        return digest([type(settings).__qualname__, fields, *map(repr, more)], files)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _files(value: object) -> Iterator[Path]:
    """Yield the files that a value of a field names."""
    if isinstance(value, Path):
        yield from [value] if value.is_file() else []
    elif isinstance(value, Section):
        yield from (path for _, item in value for path in _files(item))
    elif isinstance(value, Mapping):
        yield from (path for item in value.values() for path in _files(item))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (path for item in value for path in _files(item))
