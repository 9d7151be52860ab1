"""Errors that regionplot raises. Each class is named after the user's problem.

::

    RegionplotError                      base class of all errors                       exit code
    ├── ConfigError                      the settings cannot be used                     2
    ├── RegionsError                     the table of regions cannot be used             2
    ├── OutputError                      the output folder cannot be used                2
    │   └── LockedError                  another run is writing to the output folder     4
    ├── InputError                       an input that all maps need cannot be read      3
    │   ├── RasterError                  the raster cannot be opened or decoded
    │   │   └── RasterReplacedError      the file of the raster was replaced while it was in use
    │   └── FeaturesError
    ├── RegionError                      one region cannot be drawn; other regions can   1
    │   ├── NoOverlapError               the region lies outside the raster
    │   ├── HeldBackError                the data of the region fail a check of [publish]
    │   └── FunctionError                a function of the user failed for the region
    ├── NoSpaceError                     the disk is full                                1
    ├── BlockError                       one block of a raster cannot be processed       1
    └── ExecutorError                    worker processes cannot be started              3
        └── UnpicklableError             an argument cannot be sent to worker processes

One error reports all problems of an input: `RegionplotError.problems` lists them. A problem is a message and a place.
`located` completes the places of errors, so the code that finds a problem does not have to know its whole place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Location of a problem. Each field is optional.

    Examples
    --------
    >>> print(Place(file="regionplot.toml", line=12, section="features", number=2, key="linewidth"))
    regionplot.toml:12: [[features]] #2 linewidth
    >>> print(Place(step=2, step_name="focal"))
    step 2 (focal)
    """

    option: str = ""
    """Command-line option, with its value."""
    file: str = ""
    """File that holds the setting, row or raster."""
    line: int | None = None
    """Line number in the file, from 1."""
    section: str = ""
    """Table of the settings, such as `map`."""
    number: int | None = None
    """Number of the table, from 1, if the section is an array of tables."""
    step: int | None = None
    """Number of the raster step, from 1."""
    step_name: str = ""
    """Name of the raster step, such as `focal`."""
    key: str = ""
    """Key of the setting, such as `size`."""
    region: str = ""
    """Name of the region."""
    column: str = ""
    """Column of the table of regions."""
    block: str = ""
    """Rows and columns of the raster block."""

    def within(self, outer: Place) -> Place:
        """Return a copy of this place. Fields that are not set get their values from an outer place."""
        missing = {
            name: value for name in _field_names() if not (getattr(self, name)) and (value := getattr(outer, name))
        }
        return replace(self, **missing)

    def __str__(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        setting = " ".join(filter(None, (self._table(), self.key)))
        region = self.region and f"region {self.region!r}"
        column = self.column and f"column {self.column!r}"
        block = self.block and f"block of {self.block}"
        return ": ".join(filter(None, (self.option, f"{self.file}{line}", setting, region, column, block)))

    def _table(self) -> str:
        """Return text for the table of the settings, or for the step if the step does not come from settings."""
        number = self.step if self.number is None else self.number
        table = self.section and (f"[{self.section}]" if number is None else f"[[{self.section}]] #{number}")
        step = f"step {self.step}" if self.step is not None and not self.section else ""
        return " ".join(filter(None, (table, step, self.step_name and f"({self.step_name})")))


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in an input. `str` returns the place and the message.

    Examples
    --------
    >>> print(Problem("the region has no name", Place(file="regions.csv", line=7, column="name")))
    regions.csv:7: column 'name': the region has no name
    """

    message: str
    """The fault, and how to correct it."""
    place: Place = Place()

    def __str__(self) -> str:
        return ": ".join(filter(None, (str(self.place), self.message)))


class RegionplotError(Exception):
    """Base class of all errors that regionplot raises.

    Parameters
    ----------
    *problems : str or Problem
        The faults that were found. A string is a message without a separate place.
    """

    exit_code = 1

    def __init__(self, *problems: str | Problem) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The faults, in the order in which they were found."""
        return tuple(item if isinstance(item, Problem) else Problem(str(item)) for item in self.args)

    def relocate(self, change: Callable[[Place], Place]) -> None:
        """Replace the place of each problem with `change(place)`."""
        self.args = tuple(replace(problem, place=change(problem.place)) for problem in self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


@contextmanager
def located(**place: Any) -> Iterator[None]:
    """Add a place to the errors that are raised within the context.

    Parameters
    ----------
    **place
        Fields of `Place`. A field that a problem already has is kept, because the inner place is more exact.

    Raises
    ------
    RegionplotError
        The same error, with the place added to each of its problems.

    Examples
    --------
    >>> with located(step=3, step_name="focal"):
    ...     raise ConfigError("size must be an odd number")
    Traceback (most recent call last):
    regionplot.errors.ConfigError: step 3 (focal): size must be an odd number
    """
    outer = Place(**place)
    try:
        yield
    except RegionplotError as error:
        error.relocate(lambda inner: inner.within(outer))
        raise


def _field_names() -> Iterator[str]:
    return (field.name for field in fields(Place))


class ConfigError(RegionplotError):
    """The settings have unknown keys, wrong values or missing files."""

    exit_code = 2


class RegionsError(RegionplotError):
    """The table of regions has bad rows, or no rows."""

    exit_code = 2


class OutputError(RegionplotError):
    """The output folder cannot be created or written to."""

    exit_code = 2


class LockedError(OutputError):
    """Another run is writing to the output folder."""

    exit_code = 4


class InputError(RegionplotError):
    """An input that all maps need cannot be read."""

    exit_code = 3


class RasterError(InputError):
    """The raster cannot be opened, decoded or georeferenced."""


class RasterReplacedError(RasterError):
    """The file of the raster was replaced by another file while it was in use."""


class FeaturesError(InputError):
    """A vector file cannot be opened, decoded or projected."""


class RegionError(RegionplotError):
    """One region cannot be drawn. The other regions are not affected."""


class NoOverlapError(RegionError):
    """The region lies outside the raster."""


class HeldBackError(RegionError):
    """The data of a region fail a check of `[publish]`. The old map stays."""


class FunctionError(RegionError):
    """A function of the user raised an error, or returned an object of a wrong type."""


class NoSpaceError(RegionplotError):
    """A map cannot be written because the disk or a quota is full."""


class BlockError(RegionplotError):
    """One block of a raster cannot be processed. The raster is not written."""


class ExecutorError(RegionplotError):
    """Worker processes cannot be started, or this kind of executor cannot be used here."""

    exit_code = 3


class UnpicklableError(ExecutorError, TypeError):
    """An argument cannot be sent to worker processes, because it does not pickle."""
