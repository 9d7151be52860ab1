"""Run one render command: open logs, draw the maps or keep them, report."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from regionplot.cli.display import Verbosity, make_display, short_path, stage_table
from regionplot.cli.interrupts import (
    describe_interrupt,
    exit_code,
    raised_interrupt,
    report_unexpected,
    until_deadline,
)
from regionplot.cli.known_runs import keep_known_run, known_run_name, repeat_known_run
from regionplot.cli.logs import log_to_stderr
from regionplot.cli.request import Request
from regionplot.cli.session import Session
from regionplot.errors import RegionplotError
from regionplot.runs.metrics import check_target
from regionplot.runs.report import RunReport
from regionplot.system.marks import Mark
from regionplot.system.signals import interrupts_held

if TYPE_CHECKING:
    from regionplot.layers.base import Layer
    from regionplot.settings.config import Config


_NOT_USED = ("pyproj.sync", "pyproj._show_versions", "importlib.metadata")
"""Modules that pyproj and pydantic import for functions that a run does not call. They import urllib.request, ssl and
email."""


def set_up(request: Request) -> None:
    """Set up the process: log to stderr."""
    log_to_stderr(request.log_format, level=request.verbosity.log_level)
    if request.verbosity is not Verbosity.VERBOSE:  # hides warnings, for example about a read-only home folder
        logging.getLogger("matplotlib").setLevel(logging.ERROR)


def import_for_drawing() -> ModuleType:
    """Import `cli.draw_maps` and the libraries, which a run without changes does not need.

    The renderer is imported later, while threads read the raster (`runs.ahead`).

    Interrupts wait until the imports are complete, because an interrupt during an import can become any error.
    """
    from regionplot.system.lazy_import import functions_imported_on_first_use  # noqa: PLC0415 (kept maps need no imports)
    from regionplot.system.memory import imports_uncollected  # noqa: PLC0415

    with interrupts_held(), imports_uncollected(), functions_imported_on_first_use(*_NOT_USED):
        from regionplot.cli import draw_maps  # noqa: PLC0415
        from regionplot.settings.config import Config  # noqa: PLC0415

        draw_maps.avoid_matplotlibrc()
        Config.model_rebuild()  # imports further modules of pydantic, and builds what reading settings needs
        return draw_maps


@contextmanager
def reading_early(request: Request, name: str | None) -> Iterator[None]:
    """Read the cells of the last run with these settings in a child process, while this process imports libraries.

    Parameters
    ----------
    request : Request
        Options of the command.
    name : str or None
        Name of the record of the run. None: do not use records.
    """
    if name is None or request.wait_for is not None:
        yield
        return
    from regionplot.system.memory import imports_uncollected  # noqa: PLC0415 (kept maps need no imports)

    with ExitStack() as stack:
        with interrupts_held(), imports_uncollected():
            from regionplot.runs.early_cells import early_cells, record_name  # noqa: PLC0415 (imports NumPy, rasterio)

            stack.enter_context(early_cells(record_name(request.config_path, request.overrides.get("raster"))))
        yield


class Prepared(NamedTuple):
    """Settings and layers that a watcher has prepared for a run."""

    config: Config
    layers: Sequence[Layer] = ()
    """Layers that are already loaded."""
    name: str | None = None
    """Name of the record of the watcher's runs. None: use and write no record."""
    settings: Mark = None
    """Mark of the settings file when it was read. None if there is no such file."""


def render_once(request: Request, prepared: Prepared | None = None) -> int:
    """Draw the maps once. Report, log and measure the run, even if it fails.

    Parameters
    ----------
    request : Request
        Options of the command.
    prepared : Prepared, optional
        Settings and layers. By default, they are read from the files and options of the request. If the request has
        `wait_for`, the function first waits for the raster.

    Returns
    -------
    int
        Exit code.
    """
    session = Session(make_display(request.verbosity, request.log_format))
    code, report = 1, None
    with ExitStack() as cleanup:
        try:
            _open_records(session, request, cleanup)
            report = _render(request, session, prepared)
            code = report.exit_code
        except (KeyboardInterrupt, Exception) as error:
            code = _report_error(session, request, raised_interrupt() or error)
        finally:
            session.end(code, report)
    return code


def _report_error(session: Session, request: Request, error: BaseException) -> int:
    """Show and log the error that ended a run. Return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        session.interrupted(describe_interrupt(error))
        return exit_code(error)
    if isinstance(error, RegionplotError):
        request.at_options(error)
        for problem in error.problems:
            session.error(str(problem))
        return error.exit_code
    return report_unexpected(error, session.error)


def _open_records(session: Session, request: Request, cleanup: ExitStack) -> None:
    """Check that the metrics can be written, then open the log."""
    if request.metrics:
        session.metrics = check_target(request.metrics)
    if request.log_file:
        from regionplot.cli.log_file import log_to_file  # noqa: PLC0415 (imports modules for sockets, too)

        cleanup.enter_context(log_to_file(request.log_file, request.log_format))


def _render(request: Request, session: Session, prepared: Prepared | None) -> RunReport:
    """Keep all maps if nothing can have changed since a known run. Otherwise, draw the maps. Report the run."""
    with session.display, until_deadline(request.deadline):
        name = known_run_name(request) if prepared is None else prepared.name
        raster = None if prepared is None else prepared.config.raster.path
        report = None if name is None else keep_known_run(request, session, name, raster)
        if report is None and name is not None:
            report = repeat_known_run(request, session, name, raster)
        if report is None:
            with reading_early(request, name if prepared is None else None):
                report = import_for_drawing().draw_maps(request, session, name, prepared)
    if report.outcomes:
        session.display.summarize(report, session.directory, request.config_path)
    else:
        session.display.note(f"{request.regions}: no regions, nothing to draw")
    if report.leftovers and not request.prune:
        session.display.note(_leftovers_text(report))
    if report.uploaded:
        session.display.note(report.uploaded)
    if report.network is not None and request.verbosity is Verbosity.VERBOSE:
        session.display.note(f"read from servers: {report.network}")
    if request.profile:
        session.display.print_line(stage_table(report))
    return report


def _leftovers_text(report: RunReport) -> str:
    """Return a line about maps whose regions are no longer in the table."""
    count, first = len(report.leftovers), short_path(report.leftovers[0])
    what = f"the map {first} belongs to a region" if count == 1 else f"{count} maps, such as {first}, belong to regions"
    return f"{what} that the table no longer contains; --prune removes such maps"
