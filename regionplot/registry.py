"""Registries of all plug-ins by name. Importing this module imports no plug-in.

A plug-in is a class in a module of its own. One line here maps the name that users write to the class. Other packages
add plug-ins with entry points. Each registry except `COMMANDS` has its own entry-point group, such as
`regionplot.layers`. A class from another package is checked when it is looked up: it must have all members of its
protocol.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn


class Interface(NamedTuple):
    """The members that a plug-in must have. Only plug-ins of other packages are checked."""

    name: str
    """The protocol, for messages."""
    required: tuple[str, ...]
    """Members that each class must define."""
    defaulted: tuple[str, ...] = ()
    """Members that a class can inherit from the protocol or from the base class of the package."""
    of_instance: tuple[str, ...] = ()
    """Members that an instance must have."""
    reserved: tuple[str, ...] = ()
    """Names that a plug-in must not have."""

    def missing_from(self, plugin: Any) -> list[str]:
        """Return the members that a class lacks."""
        missing = [name for name in self.required if not any(name in vars(base) for base in _bases(plugin))]
        return [*missing, *(name for name in self.defaulted if not hasattr(plugin, name))]


def _bases(plugin: Any) -> Iterator[type]:
    """Yield a class and its base classes, without protocols."""
    for base in getattr(plugin, "__mro__", ()):
        if not vars(base).get("_is_protocol", False):
            yield base


def _installed() -> tuple[tuple[str, int], ...]:
    """Return the folders with packages and the time of their last change in ns, or 0 if a folder is missing."""
    return tuple((path, _changed(path)) for path in sys.path)


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=32)
def _entry_points_of(group: str, _folders: tuple[tuple[str, int], ...]) -> tuple[Any, ...]:
    """Return the entry points of a group. A search reads the metadata of all packages in the given folders."""
    from importlib.metadata import entry_points  # noqa: PLC0415 (takes 20 ms; only names of other packages need it)

    return tuple(entry_points(group=group))


class Registry(Mapping[str, Any]):
    """Mapping of names to classes. A class is imported when it is looked up.

    Parameters
    ----------
    group : str or None
        Entry-point group for classes from other packages. If a name is also in `names`, the class in `names` is used.
        None means that other packages cannot add classes.
    package : str
        Package that holds the modules in `names`.
    names : str
        Module and class for each name, such as `png="png:PngWriter"`. The module is relative to `package`. A leading
        dot refers to the parent package, as in a relative import.
    interface : Interface, optional
        Members that classes of other packages must have.

    Examples
    --------
    >>> fractions = Registry("example.numbers", "fractions", half=":Fraction")
    >>> fractions["half"].__name__
    'Fraction'
    >>> list(fractions)
    ['half']
    """

    def __init__(self, group: str | None, package: str, /, interface: Interface | None = None, **names: str) -> None:
        self.group = group
        self.interface = interface or Interface("", ())
        self._package = package
        self._locations = names

    @property
    def builtin(self) -> tuple[str, ...]:
        """Names of the built-in classes. Unlike iteration, this property does not search for entry points."""
        return tuple(self._locations)

    def __getitem__(self, name: str) -> Any:
        if name in self._locations:
            module, _, attribute = self._locations[name].partition(":")
            path = f".{module}" if module else self._package
            return getattr(importlib.import_module(path, self._package), attribute)
        for point in self._entry_points():
            if point.name == name:
                return self._load(point)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield from self._locations
        names = dict.fromkeys(point.name for point in self._entry_points())
        yield from (name for name in names if name not in self._locations)

    def checked(self, name: str, instance: Any) -> Any:
        """Return an instance of a class in the registry.

        Raises
        ------
        ConfigError
            If the class is from another package, and the instance lacks a member of the interface.
        """
        if name not in self._locations:
            missing = [member for member in self.interface.of_instance if not hasattr(instance, member)]
            for point in self._entry_points() if missing else ():
                if point.name == name:
                    self._refuse_incomplete(point, missing)
        return instance

    def _entry_points(self) -> Iterable[Any]:
        if self.group is None:
            return ()
        found = _entry_points_of(self.group, _installed())
        for point in found:
            if point.name in self.interface.reserved:
                self._refuse(point, "has the name of a section of the settings", "give the plug-in another name")
        return found

    def _load(self, point: Any) -> Any:
        """Return the class of an entry point.

        Raises
        ------
        ConfigError
            If the other package cannot be imported, does not have the class, or the class lacks a member.
        """
        try:
            plugin = point.load()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._refuse(point, f"cannot be loaded from {point.value}: {reason}", "repair", error)
        missing = self.interface.missing_from(plugin)
        if missing:
            self._refuse_incomplete(point, missing)
        return plugin

    def _refuse_incomplete(self, point: Any, missing: Iterable[str]) -> NoReturn:
        names = list(map(repr, missing))
        pronoun = "it" if len(names) == 1 else "them"
        cure = f"add {pronoun} to {point.value} as in {self.interface.name}"
        self._refuse(point, f"has no {', '.join(names)}", cure)

    def _refuse(self, point: Any, fault: str, cure: str, error: Exception | None = None) -> NoReturn:
        """Raise a ConfigError that names the plug-in, its fault and the cure."""
        from regionplot.errors import ConfigError  # noqa: PLC0415 (needed only after an error)

        package = f"the package {point.dist.name}" if point.dist else "its package"
        cure = f"{cure} or uninstall" if cure == "repair" else f"{cure}, or uninstall"
        raise ConfigError(f"the plug-in {point.name!r} ({self.group}) {fault}; {cure} {package}") from error

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._locations or name in list(self)


COMMANDS = Registry(
    None,
    "regionplot.cli",
    render="render:render",
    check="check:check",
    init="init:init",
    info="info:info",
    cost="cost:cost",
    prepare="prepare:prepare",
    schema="schema:schema",
    serve="serve:serve",
)
DRAWING = Registry(
    None,
    "regionplot.render",
    axes="drawn:map_axes",
    colors="drawn:map_colors",
    lines="drawn:map_lines",
    pcolormesh="mesh:add_cells",
    projection="drawn:map_projection",
)
"""Functions that make matplotlib and cartopy objects from shared data. `SharedData` calls them by name, because the
package `shared` is below `render`."""
EXECUTORS = Registry(
    "regionplot.executors",
    "regionplot.executors",
    Interface(
        "regionplot.executors.base.Executor",
        ("abilities", "Settings", "unavailable", "run"),
        of_instance=("workers",),
    ),
    fork="processes:ForkExecutor",
    forkserver="processes:ForkserverExecutor",
    spawn="processes:SpawnExecutor",
    serial="serial:SerialExecutor",
    threads="threads:ThreadExecutor",
    dask="dask:DaskExecutor",
)
LAYERS = Registry(
    "regionplot.layers",
    "regionplot.layers",
    Interface(
        "regionplot.layers.base.Layer",
        ("load",),
        (
            "Settings",
            "zorder",
            "wants_values",
            "ignores_raster",
            "mark_types",
            "has_usual_texts",
            "wants_shapes",
            "label_order",
            "reach",
            "caption",
            "check",
            "start",
            "room",
            "frame",
            "draw",
            "inks",
        ),
        of_instance=("key",),
        reserved=(
            "raster",
            "prepare",
            "map",
            "sheet",
            "colors",
            "regions",
            "publish",
            "statistics",
            "output",
            "run",
            "serve",
        ),
    ),
    arrows="arrows:Arrows",
    barbs="barbs:WindBarbs",
    contours="contours:Contours",
    features="features:Features",
    focus="focus:Focus",
    graticule="graticule:Graticule",
    scale_bar="scale_bar:ScaleBar",
    value_range="value_range:ValueRange",
    credit="credit:Credit",
    missing="missing:Missing",
    shading="shading:Shading",
    streamlines="streamlines:Streamlines",
    labels="labels:Labels",
    locator="locator:Locator",
    logo="logo:Logo",
    north_arrow="north_arrow:NorthArrow",
    region_box="region_box:RegionBox",
    points="points:Points",
)
SOURCES = Registry(
    "regionplot.sources",
    "regionplot.inputs",
    Interface("regionplot.inputs.source.RasterSource", ("open",), of_instance=("describe", "read")),
    zarr="zarr:ZarrSource",
    json="zarr:ZarrSource",
    parq="zarr:ZarrSource",
    parquet="zarr:ZarrSource",
)
STEPS = Registry(
    "regionplot.steps",
    "regionplot.prepare.steps",
    Interface(
        "regionplot.prepare.base.Step",
        ("step", "option", "parse", "add_to"),
        ("requires", "reads_all_bands", "modifiers", "files"),
    ),
    expression="expression:Expression",
    focal="focal:Focal",
    reclassify="reclassify:Reclassify",
    mask="mask:MaskByVector",
    hillshade="hillshade:Hillshade",
    slope="slope:Slope",
    convert="convert:Convert",
    scale="scale:Scale",
    resample="resample:Resample",
    reproject="reproject:Reproject",
    accumulate="accumulate:Accumulate",
)
WRITERS = Registry(
    "regionplot.writers",
    "regionplot.writers",
    Interface(
        "regionplot.writers.base.Writer",
        ("suffixes", "media_type", "needs", "Settings", "encode"),
        ("max_side", "palette", "adapts_palette", "mark"),
    ),
    png="png:PngWriter",
    webp="webp:WebpWriter",
    pdf="pdf:PdfWriter",
    svg="svg:SvgWriter",
    geotiff="geotiff:GeotiffWriter",
)
