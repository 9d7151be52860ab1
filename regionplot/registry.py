"""Registries of all plug-ins by name. Importing this module imports no plug-in.

A plug-in is a class in a module of its own. One line here maps the name that users write to the class. Other packages
add plug-ins with entry points. Each registry has its own entry-point group, such as `regionplot.layers`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Registry(Mapping[str, Any]):
    """Mapping of names to classes. A class is imported when it is looked up.

    Parameters
    ----------
    group : str
        Entry-point group for classes from other packages. If a name is also in `names`, the class in `names` is used.
    package : str
        Package that holds the modules in `names`.
    names : str
        Module and class for each name, such as `png="png:PngWriter"`. The module is relative to `package`. A leading
        dot refers to the parent package, as in a relative import.

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
                return _load(point)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield from self._locations
        names = dict.fromkeys(point.name for point in self._entry_points())
        yield from (name for name in names if name not in self._locations)

    def _entry_points(self) -> Iterable[Any]:
        from importlib.metadata import entry_points  # noqa: PLC0415 (takes 20 ms; only names of other packages need it)

        return entry_points(group=self.group)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._locations or name in list(self)


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
        from regionplot.errors import ConfigError  # noqa: PLC0415 (needed only after an error)

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
