"""Publish each map as soon as it is drawn, or all maps of a run at once.

::

    replace    output/map.png           each map replaces the older map as soon as it is drawn
    runs       output/RUN/map.png       one folder per run
               output/latest -> RUN     switched atomically at the end of the run
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from regionplot.errors import OutputError
from regionplot.system.files import RUN, atomic_replace

if TYPE_CHECKING:
    from regionplot.runs.facts import RunFacts
    from regionplot.settings.output import OutputSettings

LATEST = "latest"
_RUN = re.compile(RUN)
_COMPLETE = ".complete"
"""Name of the file that marks the folder of a complete run. The setting `keep` counts only marked folders."""


class RunEnd(NamedTuple):
    """State of a run at its end."""

    has_maps: bool
    """True if the folder of the run holds a map, or if the run has found that there is no map to publish."""
    is_complete: bool
    """True if no map is missing."""
    is_interrupted: bool = False
    """True if an error or a signal stopped the run."""


class Publication(Protocol):
    """Strategy for publishing the maps of one run."""

    @property
    def folder(self) -> Path:
        """Folder that the run writes to."""
        ...

    @property
    def previous(self) -> Path:
        """Folder with the maps of the previous run."""
        ...

    def finish(self, end: RunEnd) -> bool:
        """Publish the maps that were written. Return True if the maps of this run are published."""


@dataclass(frozen=True)
class PublicationInPlace(Publication):
    """Each map replaces the older map. Nothing is left to publish at the end."""

    directory: Path

    @property
    def folder(self) -> Path:
        """Output folder."""
        return self.directory

    @property
    def previous(self) -> Path:
        """Output folder."""
        return self.directory

    def finish(self, end: RunEnd) -> bool:
        """Return True if the run was not interrupted."""
        return not end.is_interrupted


@dataclass(frozen=True)
class PublicationByRun(Publication):
    """A folder for each run, and a link to the latest published run."""

    directory: Path
    run: str
    """Id of the run. It begins with the time, so folders sort by time."""
    keep: int
    """Number of older complete runs to keep."""
    partial: bool
    """Also publish a run with missing maps."""

    @property
    def folder(self) -> Path:
        """Folder of this run."""
        return self.directory / self.run

    @property
    def previous(self) -> Path:
        """Link to the latest published run."""
        return self.directory / LATEST

    def finish(self, end: RunEnd) -> bool:
        """Switch the link to this run if it may be published, and remove old runs. Remove the folder if it has no maps.

        Returns
        -------
        bool
            True if the link leads to this run.

        Raises
        ------
        OutputError
            If the link cannot be switched.
        """
        is_published = end.has_maps and (end.is_complete or (self.partial and not end.is_interrupted))
        try:
            if not end.has_maps:
                _remove_folder(self.folder)
            elif is_published:
                self._switch()
            if end.is_complete and self.folder.is_dir():
                (self.folder / _COMPLETE).touch()
        finally:
            with suppress(OSError):  # the output folder may have been removed
                self._prune()
        return is_published

    def _switch(self) -> None:
        latest = self.directory / LATEST
        try:
            with atomic_replace(latest, self.run) as temporary:
                temporary.symlink_to(self.run)
        except OSError as error:
            raise OutputError(f"{latest}: cannot be made a link to {self.run}: {error.strerror or error}") from None

    def _prune(self) -> None:
        """Remove incomplete runs and the oldest complete runs, but never the latest run or this run."""
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
                _remove_folder(self.directory / name)


def _remove_folder(folder: Path) -> None:
    import shutil  # noqa: PLC0415 (takes 5 ms; few runs need it)

    shutil.rmtree(folder, ignore_errors=True)


def make_publication(settings: RunFacts | OutputSettings, run: str) -> Publication:
    """Return the publication strategy that the settings select.

    Raises
    ------
    OutputError
        If a file or folder has the name of the link to the latest run.
    """
    if settings.publish == "runs":
        latest = settings.directory / LATEST
        if latest.exists() and not latest.is_symlink():
            raise OutputError(
                f"{latest}: not a link, but [output] publish = 'runs' needs this name for its link; "
                "move or rename the file or folder"
            )
        return PublicationByRun(settings.directory, run, settings.keep, settings.publish_partial)
    return PublicationInPlace(settings.directory)


def link_or_copy(image: Path, target: Path) -> None:
    """Put a map of the previous run into the folder of this run, as a hard link if possible.

    Raises
    ------
    OSError
        If the map can neither be linked nor copied.
    """
    if image == target:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(image, target, follow_symlinks=False)
    except OSError:
        import shutil  # noqa: PLC0415 (takes 5 ms; few runs need it)

        shutil.copy2(image, target, follow_symlinks=False)
