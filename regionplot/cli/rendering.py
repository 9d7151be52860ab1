"""Run one render command: read settings, open logs, draw, report."""

from __future__ import annotations

import importlib
import logging
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.cli.display import make_display, stage_table
from regionplot.cli.interrupts import describe_interrupt, exit_code, log_unexpected, until_deadline
from regionplot.cli.logs import log_to_file, log_to_stderr
from regionplot.cli.request import Request
from regionplot.cli.session import Session
from regionplot.errors import RegionplotError
from regionplot.inputs.arrival import wait_for
from regionplot.regions.table import read_regions, read_regions_if_any
from regionplot.runs.checks import check_config
from regionplot.runs.metrics import check_target
from regionplot.runs.report import RunReport
from regionplot.runs.run import render_regions
from regionplot.settings.config import Config

if TYPE_CHECKING:
    from regionplot.layers.base import Layer


_ELSEWHERE = Path(__file__).parent / "starter"


def set_up(request: Request) -> None:
    """What holds for the whole process: its log on stderr, and imports that must not see the working directory."""
    level = logging.INFO if request.verbose else logging.ERROR if request.quiet else logging.WARNING
    log_to_stderr(request.log_format, level=level)
    if not request.verbose:  # a home that cannot be written, a lock on its fonts: matplotlib then does without
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
    _import_away_from_here()


def _import_away_from_here() -> None:
    """Import what imports matplotlib from a folder without a matplotlibrc, for one in the working directory is read.

    Its parameters would be reset before anything is drawn, but it may be a pipe, or no text, or a page of warnings.
    """
    try:
        here = os.open(".", os.O_RDONLY)
    except OSError:  # there is no working directory that could hold one
        return
    try:
        os.chdir(_ELSEWHERE)
        importlib.import_module("regionplot.render.renderer")
    finally:
        os.fchdir(here)
        os.close(here)


def render_once(request: Request, config: Config | None = None, layers: Sequence[Layer] = ()) -> int:
    """Do what a request asks for, once; however that ends, it is said, logged and measured.

    Parameters
    ----------
    request : Request
        What to do.
    config : Config, optional
        The settings; else those that the request names, now, once the raster is there if that is to be waited for.
    layers : sequence of Layer
        Layers loaded before.

    Returns
    -------
    int
        The exit code.
    """
    session = Session(make_display(quiet=request.quiet, verbose=request.verbose, log_format=request.log_format))
    code, report = 1, None
    with ExitStack() as until_the_end:
        try:
            _open_records(session, request, until_the_end)
            report = _render(request, session, config, layers)
            code = report.exit_code
        except KeyboardInterrupt as interrupt:
            code = exit_code(interrupt)
            session.interrupted(describe_interrupt(interrupt))
        except RegionplotError as error:
            code = error.exit_code
            for problem in error.problems:
                session.error(str(problem))
        except Exception:
            log_unexpected()
        finally:
            session.end(code, report)
    return code


def _open_records(session: Session, request: Request, until_the_end: ExitStack) -> None:
    """See that the metrics can be written, then open the log."""
    if request.metrics:
        session.metrics = check_target(request.metrics)
    if request.log_file:
        until_the_end.enter_context(log_to_file(request.log_file, request.log_format))


def _render(request: Request, session: Session, config: Config | None, layers: Sequence[Layer]) -> RunReport:
    with session.display, until_deadline(request.deadline):
        if config is None:
            late = request.wait_for is not None
            config = request.config(_wait_for_raster(request.wanted(), request, session) if late else None)
        session.draws(request.source, config)
        report = session.complete(
            render_regions(
                request.regions,
                config,
                only=request.only,
                force=request.force,
                allow_empty=request.allow_empty,
                layers=layers,
                observer=session,
            )
        )
    if report.outcomes:
        session.display.summarize(report, config.output.directory)
    else:
        session.display.note(f"{request.regions}: no regions, nothing to draw")
    if request.profile:
        session.display.say(stage_table(report))
    return report


def _wait_for_raster(wanted: Config, request: Request, session: Session) -> Path:
    """The raster, as soon as it is complete; what is wrong with the rest is told before the wait, not after it."""
    seconds = request.wait_for
    assert seconds is not None, "asked for only if it is to be waited"
    read = read_regions_if_any if request.allow_empty else read_regions
    check_config(wanted, read(request.regions))
    session.waits(f"waiting for {wanted.raster.pattern}, at most {seconds:g} s")
    start = time.monotonic()
    try:
        return wait_for(wanted.raster.pattern, seconds, wanted.raster.settle)
    finally:
        session.waited = time.monotonic() - start
