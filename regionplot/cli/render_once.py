"""Run one render command: read settings, open logs, draw, report."""

from __future__ import annotations

import importlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.cli.display import Verbosity, make_display, short_path, stage_table
from regionplot.cli.interrupts import describe_interrupt, exit_code, raised_interrupt, report_unexpected, until_deadline
from regionplot.cli.logs import log_to_file, log_to_stderr
from regionplot.cli.request import Request
from regionplot.cli.session import Session
from regionplot.errors import ConfigError, InputError, RegionplotError
from regionplot.inputs.arrival import wait_for
from regionplot.runs.checks import check_all, check_config
from regionplot.runs.metrics import check_target
from regionplot.runs.report import RunReport
from regionplot.runs.run import render_regions
from regionplot.settings.config import Config

if TYPE_CHECKING:
    from regionplot.layers.base import Layer


_NEUTRAL_FOLDER = Path(__file__).parent / "starter"
"""Folder without a matplotlibrc."""


def set_up(request: Request) -> None:
    """Set up the process: log to stderr, and import the libraries that draw maps."""
    log_to_stderr(request.log_format, level=request.verbosity.log_level)
    if request.verbosity is not Verbosity.VERBOSE:  # hides warnings, for example about a read-only home folder
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
    _import_libraries()


def _import_libraries() -> None:
    """Import what draws maps. If the working directory has a matplotlibrc, also import matplotlib, but elsewhere.

    matplotlib reads a matplotlibrc in the working directory when it is imported. The file does not change the maps,
    because its settings are reset before drawing. But a bad file can make the import fail or block: a pipe blocks, a
    binary file raises an error, and wrong settings cause warnings. Without such a file, matplotlib is imported when it
    is needed, because most runs draw with ink that is kept from earlier runs.
    """
    for module in ("regionplot.render.renderer", "regionplot.runs.digests"):
        importlib.import_module(module)
    if os.path.lexists("matplotlibrc"):
        with _working_directory(_NEUTRAL_FOLDER):
            importlib.import_module("regionplot.render.agg")


@contextmanager
def _working_directory(folder: Path) -> Iterator[None]:
    """Change the working directory until the context exits.

    `os.fchdir` also returns to a folder that was renamed or whose parent cannot be read. Windows lacks `os.fchdir`.
    """
    if not hasattr(os, "fchdir"):
        with chdir(folder):
            yield
        return
    try:
        here = os.open(".", os.O_RDONLY)
    except OSError:  # the working directory has been removed
        yield
        return
    try:
        os.chdir(folder)
        yield
    finally:
        os.fchdir(here)
        os.close(here)


def render_once(request: Request, config: Config | None = None, layers: Sequence[Layer] = ()) -> int:
    """Draw the maps once. Report, log and measure the run, even if it fails.

    Parameters
    ----------
    request : Request
        Options of the command.
    config : Config, optional
        Settings. By default, they are read from the files and options of the request. If the request has `wait_for`,
        the function first waits for the raster.
    layers : sequence of Layer
        Layers that are already loaded.

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
            report = _render(request, session, config, layers)
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
        cleanup.enter_context(log_to_file(request.log_file, request.log_format))


def _render(request: Request, session: Session, config: Config | None, layers: Sequence[Layer]) -> RunReport:
    with session.display, until_deadline(request.deadline):
        config = config or _read_settings(request, session)
        session.set_inputs(request.config_path, config)
        if request.verbosity is Verbosity.VERBOSE:
            session.display.note(f"settings: {request.config_path or 'none'}; raster: {config.raster.path}")
        report = session.with_wait(
            render_regions(
                request.table,
                config,
                only=request.only,
                force=request.force,
                allow_empty=request.allow_empty,
                prune=request.prune,
                layers=layers,
                observer=session,
            )
        )
    if report.outcomes:
        session.display.summarize(report, config.output.directory, request.config_path)
    else:
        session.display.note(f"{request.regions}: no regions, nothing to draw")
    if report.leftovers and not request.prune:
        session.display.note(_leftovers_text(report))
    if request.profile:
        session.display.print_line(stage_table(report))
    return report


def _leftovers_text(report: RunReport) -> str:
    """Return a line about maps whose regions are no longer in the table."""
    count, first = len(report.leftovers), short_path(report.leftovers[0])
    what = f"the map {first} belongs to a region" if count == 1 else f"{count} maps, such as {first}, belong to regions"
    return f"{what} that the table no longer contains; --prune removes such maps"


def _read_settings(request: Request, session: Session) -> Config:
    """Wait for the raster if the request has `wait_for`. Then read the settings.

    If the settings have faults, report the faults of the table and the faults of all other settings, too.
    """
    try:
        return _settings(request, session)
    except (ConfigError, InputError) as error:
        if not any(problem.place.section for problem in error.problems):  # the file is missing or is not TOML
            raise
        raise check_all(error, request.valid_part(), request.read_regions) from None


def _settings(request: Request, session: Session) -> Config:
    if request.wait_for is None:
        return request.config()
    return request.config(_wait_for_raster(request.config_before_raster(), request.wait_for, request, session))


def _wait_for_raster(config: Config, seconds: float, request: Request, session: Session) -> Path:
    """Check settings and regions. Then wait until the raster is complete, and return its path."""
    check_config(config, request.read_regions())
    session.waiting(f"waiting for {config.raster.pattern}, at most {seconds:g} s")
    start = time.monotonic()
    try:
        return wait_for(config.raster.pattern, seconds, config.raster.settle)
    finally:
        session.waited = time.monotonic() - start
