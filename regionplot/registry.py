"""Names of all plug-ins. Importing this module imports none of them.

A plug-in is a class in a module of its own. Its line here maps the name that users write to that class. Other packages
add plug-ins with entry points of the same group, such as `regionplot.layers`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Registry(Mapping[str, Any]):
    """Classes by name. A class is imported when it is looked up.

    Parameters
    ----------
    group : str
        Group of entry points that add names, such as `regionplot.layers`. The names below come first.
    package : str
        Package that holds the modules below.
    names : str
        Name and place of each class, such as `png="png:PngWriter"`. A dot before the module leads out of the package,
        as in an import.

    Examples
    --------
    >>> fractions = Registry("example.numbers", "fractions", half=":Fraction")
    >>> fractions["half"].__name__
    'Fraction'
    >>> list(fractions)
    ['half']
    """

    def __init__(self, group: str, package: str, **names: str) -> None:
        self.group = group
        self._package = package
        self._places = names

    @property
    def builtin(self) -> tuple[str, ...]:
        """Names of the classes in this package. Unlike iteration, this does not search for entry points."""
        return tuple(self._places)

    def __getitem__(self, name: str) -> Any:
        if name in self._places:
            module, _, attribute = self._places[name].partition(":")
            place = f".{module}" if module else self._package
            return getattr(importlib.import_module(place, self._package), attribute)
        for point in self._entry_points():
            if point.name == name:
                return _load(point)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield from self._places
        names = dict.fromkeys(point.name for point in self._entry_points())
        yield from (name for name in names if name not in self._places)

    def _entry_points(self) -> Iterable[Any]:
        from importlib.metadata import entry_points  # noqa: PLC0415 (20 ms, only for names of other packages)

        return entry_points(group=self.group)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in list(self)


def _load(point: Any) -> Any:
    """Return the class of an entry point.

    Raises
    ------
    ConfigError
        If the other package cannot be imported, or does not have the class.
    """
    try:
        return point.load()
    except Exception as error:
        from regionplot.errors import ConfigError  # noqa: PLC0415 (only then)

        package = f"the package {point.dist.name}" if point.dist else "its package"
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            f"the plug-in {point.name!r} ({point.group}) cannot be loaded from {point.value}: {reason}; "
            f"repair or uninstall {package}"
        ) from error


COMMANDS = Registry(
    "regionplot.commands",
    "regionplot.cli",
    render="render:render",
    init="init:init",
    prepare="prepare:prepare",
    schema="schema:schema",
)
EXECUTORS = Registry(
    "regionplot.executors",
    "regionplot.executors",
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
    features="features:Features",
    graticule="graticule:Graticule",
)
SOURCES = Registry(
    "regionplot.sources",
    "regionplot.inputs",
)
STEPS = Registry(
    "regionplot.steps",
    "regionplot.prepare.steps",
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
    png="png:PngWriter",
    webp="webp:WebpWriter",
    pdf="pdf:PdfWriter",
    svg="svg:SvgWriter",
)
