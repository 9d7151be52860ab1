"""Errors that regionplot raises, named after the user's problem.

::

    RegionplotError                      anything this package reports                  exit
    ├── ConfigError                      the configuration cannot be used                2
    ├── RegionsError                     the table of regions cannot be used             2
    ├── OutputError                      the output folder cannot be used                2
    │   └── LockedError                  another run is writing to it                    4
    ├── InputError                       an input that all regions share is unreadable   3
    │   ├── RasterError
    │   └── FeaturesError
    ├── RegionError                      one region cannot be drawn; the others can      1
    │   └── NoOverlapError               it lies outside the raster
    ├── NoSpaceError                     a map cannot be written for want of space       1
    ├── BlockError                       one block of a raster cannot be worked out      1
    └── ExecutorError                    the processes cannot be started or kept         3

Every fault found in one input is reported in one error: `RegionplotError.problems` lists them.
"""

from __future__ import annotations


class RegionplotError(Exception):
    """Base of all errors of this package; `problems` holds one message per fault."""

    exit_code = 1

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[str, ...]:
        """One message for each fault, in the order in which they were found."""
        return tuple(str(problem) for problem in self.args)

    def __str__(self) -> str:
        return "\n".join(self.problems)


class ConfigError(RegionplotError):
    """The configuration has unknown keys, wrong values or files that are not there."""

    exit_code = 2


class RegionsError(RegionplotError):
    """The table of regions has rows that cannot be used, or none at all."""

    exit_code = 2


class OutputError(RegionplotError):
    """The output folder cannot be made or written to."""

    exit_code = 2


class LockedError(OutputError):
    """Another run is drawing into the output folder."""

    exit_code = 4


class InputError(RegionplotError):
    """An input that every region needs cannot be read."""

    exit_code = 3


class RasterError(InputError):
    """The raster cannot be opened, decoded or placed on the earth."""


class FeaturesError(InputError):
    """A vector file cannot be opened, decoded or projected."""


class RegionError(RegionplotError):
    """One region cannot be drawn; the others are not affected."""


class NoOverlapError(RegionError):
    """The region lies outside the raster."""


class NoSpaceError(RegionplotError):
    """A map cannot be written, because the disk or a quota is full."""


class BlockError(RegionplotError):
    """One block of a raster cannot be worked out; the raster is not written without it."""


class ExecutorError(RegionplotError):
    """Worker processes cannot be started, or the start method cannot be used here."""

    exit_code = 3
