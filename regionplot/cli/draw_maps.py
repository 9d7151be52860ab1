"""Draw the maps of one render command: wait for the raster, read the settings, run."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.cli.display import Verbosity
from regionplot.cli.known_runs import waiting_text
from regionplot.cli.logs import counted_warnings
from regionplot.cli.request import Request
from regionplot.cli.session import Session
from regionplot.errors import ConfigError, InputError
from regionplot.inputs.arrival import wait_for
from regionplot.runs.checks import check_all, check_config
from regionplot.runs.early_cells import record_name, remember_cells
from regionplot.runs.remember import RunMemory
from regionplot.runs.report import RunReport
from regionplot.runs.run import render_regions
from regionplot.settings.config import Config
from regionplot.settings.loading import raster_as_written
from regionplot.system.marks import mark_of

if TYPE_CHECKING:
    from regionplot.cli.render_once import Prepared
    from regionplot.layers.base import Layer


_NEUTRAL_FOLDER = Path(__file__).parent / "starter"
"""Folder without a matplotlibrc."""


def avoid_matplotlibrc() -> None:
    """If the working directory has a matplotlibrc, import matplotlib elsewhere.

    matplotlib reads a matplotlibrc in the working directory when it is imported. The file does not change the maps,
    because its settings are reset before drawing. But a bad file can make the import fail or block: a pipe blocks, a
    binary file raises an error, and wrong settings cause warnings. Without such a file, matplotlib is imported when it
    is needed, because most runs draw with ink that is kept from earlier runs.
    """
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


def draw_maps(request: Request, session: Session, name: str | None, prepared: Prepared | None = None) -> RunReport:
    """Draw the maps that have changed. Write a record of the run, so that the next run can recognize its inputs.

    Parameters
    ----------
    request : Request
        Options of the command.
    session : Session
        Receives the events of the run.
    name : str or None
        Name of the record. None: write no record.
    prepared : Prepared, optional
        Settings and layers. By default, read them.
    """
    layers = () if prepared is None else prepared.layers
    if name is None:
        return _draw(request, session, _config_of(request, session, prepared), layers)
    memory = RunMemory(name, request.regions, request.config_path)
    if prepared is not None and mark_of(request.config_path or "") != prepared.settings:  # written to since it was read
        return _draw(request, session, prepared.config, layers)
    with counted_warnings() as warnings:
        config = _config_of(request, session, prepared)
        if not config.has_fields:
            memory.add_inputs(config)
        report = _draw(request, session, config, layers)
    if not (warnings.count or config.has_fields):  # the next run must show the warnings, too
        memory.write(config, report, raster_as_written(request.config_path, request.overrides), session.task)
    if session.task is not None:
        remember_cells(record_name(request.config_path, request.overrides.get("raster")), session.task)
    return report


def _config_of(request: Request, session: Session, prepared: Prepared | None) -> Config:
    return _read_settings(request, session) if prepared is None else prepared.config


def _draw(request: Request, session: Session, config: Config, layers: Sequence[Layer]) -> RunReport:
    session.set_inputs(request.config_path, config.raster.path, config.output.directory)
    _open_no_windows(config)
    if request.verbosity is Verbosity.VERBOSE:
        session.display.note(f"settings: {request.config_path or 'none'}; raster: {config.raster.path}")
    report = render_regions(
        request.table,
        config,
        only=request.only,
        force=request.force,
        allow_empty=request.allow_empty,
        prune=request.prune,
        products=request.product,
        layers=layers,
        observer=session,
    )
    return session.with_wait(report)


def _open_no_windows(config: Config) -> None:
    """Let matplotlib open no windows in functions of the user."""
    if config.has_functions:
        os.environ.setdefault("MPLBACKEND", "agg")


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
    config = request.config_before_raster()
    raster = _wait_for_raster(config, request.wait_for, request, session)
    return request.config(None if config.has_fields else raster)


def _wait_for_raster(config: Config, seconds: float, request: Request, session: Session) -> Path:
    """Check settings and regions. Then wait until the raster is complete, and return its path."""
    _open_no_windows(config)
    check_config(config, request.read_regions())
    session.waiting(waiting_text(config.raster.pattern, seconds))
    start = time.monotonic()
    try:
        return wait_for(config.raster.pattern, seconds, config.raster.settle)
    finally:
        session.waited = time.monotonic() - start
