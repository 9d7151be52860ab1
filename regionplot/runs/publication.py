"""Publish maps: each one as it is drawn, or all of a run at once.

::

    replace    output/map.png           each map takes the place of the older one as soon as it is drawn
    runs       output/RUN/map.png       a folder for each run
               output/latest -> RUN     switched, atomically, when the run is over
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from regionplot.errors import OutputError
from regionplot.settings.output import OutputSettings
from regionplot.system.files import RUN, atomic_replace

LATEST = "latest"


_RUN = re.compile(RUN)


_COMPLETE = ".complete"
"""Stands in the folder of a run that lacks no map; only such runs count as history."""


class Publication(Protocol):
    """How the maps of one run are published."""

    @property
    def folder(self) -> Path:
        """Where they are written."""
        ...

    @property
    def previous(self) -> Path:
        """Where those of the run before lie."""
        ...

    def finish(self, *, complete: bool, ended: bool = True) -> None:
        """Publish what was written; `complete` if no map is missing, `ended` if the run was not cut short."""


@dataclass(frozen=True)
class Replace:
    """Each map replaces the older one: there is nothing left to be published in the end."""

    folder: Path

    @property
    def previous(self) -> Path:
        """See `Publication`."""
        return self.folder

    def finish(self, *, complete: bool, ended: bool = True) -> None:
        """See `Publication`."""


@dataclass(frozen=True)
class Runs:
    """A folder for each run, and a link to the latest one that is complete."""

    directory: Path
    run: str
    """The run's id: its time first, so that folders sort by it."""
    keep: int
    """How many runs beside the latest are kept."""
    partial: bool
    """Publish a run of which maps are missing, too."""

    @property
    def folder(self) -> Path:
        """See `Publication`."""
        return self.directory / self.run

    @property
    def previous(self) -> Path:
        """See `Publication`."""
        return self.directory / LATEST

    def finish(self, *, complete: bool, ended: bool = True) -> None:
        """See `Publication`.

        Raises
        ------
        OutputError
            If the link cannot be made.
        """
        try:
            if not any(self.folder.rglob("*.png")):  # a run that drew nothing is nobody's history
                shutil.rmtree(self.folder, ignore_errors=True)
            elif complete or (ended and self.partial):
                self._switch()
            if complete and self.folder.is_dir():
                (self.folder / _COMPLETE).touch()
        finally:
            with suppress(OSError):  # the folder may have been taken away meanwhile
                self._prune()

    def _switch(self) -> None:
        latest = self.directory / LATEST
        try:
            with atomic_replace(latest, self.run) as temporary:
                temporary.symlink_to(self.run)
        except OSError as error:
            raise OutputError(f"{latest}: cannot be made a link to {self.run}: {error.strerror or error}") from None

    def _prune(self) -> None:
        """Remove the oldest complete runs, and all others, but neither the latest nor this one."""
        latest = self.directory / LATEST
        kept = {self.run, latest.readlink().name if latest.is_symlink() else ""}
        runs = [
            entry.name
            for entry in self.directory.iterdir()
            if _RUN.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink() and entry.name not in kept
        ]
        marks = [self.directory / name / _COMPLETE for name in runs]
        ages = {mark.parent.name: mark.stat().st_mtime_ns for mark in marks if mark.exists()}
        complete = sorted(ages, key=lambda name: ages[name])
        history = complete[max(0, len(complete) - self.keep) :]
        for name in runs:
            if name not in history:
                shutil.rmtree(self.directory / name, ignore_errors=True)


def publication(settings: OutputSettings, run: str) -> Publication:
    """The way of publishing that a config asks for.

    Raises
    ------
    OutputError
        If something else stands where the link to the latest run must be.
    """
    if settings.publish == "runs":
        latest = settings.directory / LATEST
        if latest.exists() and not latest.is_symlink():
            raise OutputError(f"{latest}: it is not the link that [output] publish = 'runs' makes; move it away")
        return Runs(settings.directory, run, settings.keep, settings.publish_partial)
    return Replace(settings.directory)


def link_or_copy(image: Path, target: Path) -> None:
    """Have an unchanged map of the run before stand in this run's folder, too; a hard link, where that can be."""
    if image == target:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(image, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(image, target, follow_symlinks=False)
