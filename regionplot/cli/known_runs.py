"""Recognize a command whose inputs, settings and program are unchanged since a known run, and keep all its maps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from regionplot.cli.display import Verbosity
from regionplot.cli.request import STANDARD_INPUT, Request
from regionplot.cli.session import Session
from regionplot.errors import RegionplotError
from regionplot.runs.identity import program_digest
from regionplot.runs.known import KnownRun, read_known_run
from regionplot.runs.record import Scope
from regionplot.runs.report import RunReport
from regionplot.runs.unchanged import all_maps_kept, seconds_unchanged
from regionplot.system.signals import interrupts_held


def known_run_name(request: Request, *parts: str) -> str | None:
    """Return the name of the record for runs of this command. Return None if a full run is needed.

    Only Linux reports the file times that are needed. `--verbose` shows what only a full run finds.

    Parameters
    ----------
    request : Request
        Options of the command.
    *parts : str
        Further texts. Only runs with the same texts share a record.
    """
    if (
        sys.platform != "linux"
        or request.prune
        or request.product
        or request.verbosity is Verbosity.VERBOSE
        or str(request.regions) == STANDARD_INPUT
        or request.overrides.get("run", {}).get("cache") is False  # type: ignore[union-attr]
    ):
        return None
    try:
        return program_digest(repr(request), *parts)
    except OSError:  # such as a working directory that was removed
        return None


def scope_of(request: Request) -> Scope:
    """Return the regions of the table that a run includes."""
    return Scope.SELECTION if request.only else Scope.TABLE


def waiting_text(pattern: object, seconds: float) -> str:
    """Return the note that a run waits for its raster."""
    return f"waiting for {pattern}, at most {seconds:g} s"


def keep_known_run(request: Request, session: Session, name: str, raster: Path | None = None) -> RunReport | None:
    """Keep all maps of a known run. Return None if a full run is needed.

    Parameters
    ----------
    request : Request
        Options of the command.
    session : Session
        Receives the events of the run.
    name : str
        Name of the record, as returned by `known_run_name`.
    raster : Path, optional
        The raster, if it is already known. By default, the raster that the settings name.
    """
    known = None if request.force else read_known_run(name)
    if known is None or not _can_use(known.is_current, known, request, raster):
        return None
    with all_maps_kept(known, scope_of(request)) as kept:
        if kept is None:
            return None
        show_inputs(known, request, session)
        return session.with_wait(kept.finish(session))


def repeat_known_run(request: Request, session: Session, name: str, raster: Path | None = None) -> RunReport | None:
    """Draw the maps of a known run from a new raster. Return None if a full run is needed.

    Parameters
    ----------
    request, session, name, raster
        See `keep_known_run`.
    """
    known = read_known_run(name)
    if known is None or not _can_use(known.has_new_raster, known, request, raster):
        return None
    with interrupts_held():
        from regionplot.cli import repeat_run  # noqa: PLC0415 (imports numpy and rasterio)
    return repeat_run.repeat(request, session, name, known)


def show_inputs(known: KnownRun, request: Request, session: Session) -> None:
    """Show and log the inputs of a known run."""
    if request.wait_for is not None:
        session.waiting(waiting_text(known.pattern, request.wait_for))
        session.waited = 0.0
    session.set_inputs(request.config_path, known.facts.raster, known.facts.directory)


def _can_use(check: Callable[[Path | None], bool], known: KnownRun, request: Request, raster: Path | None) -> bool:
    """Return True if a check of a known run succeeds. With `--wait-for`, the raster must also count as complete."""
    if raster not in (None, known.facts.raster):
        return False
    try:
        return check(request.config_path) and (
            request.wait_for is None or seconds_unchanged(known.facts.raster) >= known.settle
        )
    except (RegionplotError, OSError):  # the full run reports the error
        return False
