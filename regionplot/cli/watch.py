"""Keep running and draw each time the raster is updated.

::

    watcher: imports, vector layers ── Arrivals ── fork ─► one run, as without --watch ─► exit code
                  ▲ SIGHUP: read the settings again          └─ fork ─► workers
                  ▲ new table, or a pause after a failed run: draw the same raster again

A separate process draws each version of the raster. Therefore a damaged raster cannot crash the watcher. The process is
forked, or spawned if the platform cannot fork.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regionplot.cli.display import Verbosity
from regionplot.cli.interrupts import SignalReceived, describe_interrupt, exit_code
from regionplot.cli.known_runs import known_run_name
from regionplot.cli.render_once import Prepared, import_for_drawing, render_once
from regionplot.cli.request import Request
from regionplot.cli.spawned import run_in_spawned_process
from regionplot.cli.start import describe_ending
from regionplot.errors import RasterError, RegionplotError
from regionplot.inputs.arrival import Arrivals
from regionplot.settings.config import Config
from regionplot.settings.stac import StacError, with_file
from regionplot.shared.load import preload_layers
from regionplot.system.code import imported_libraries, library_version, source_files
from regionplot.system.files import Fingerprint
from regionplot.system.guard import GuardedProcess, continue_after, handle_signals
from regionplot.system.marks import mark_of
from regionplot.text import error_text

if TYPE_CHECKING:
    from regionplot.layers.base import Layer


_RENDERER = "regionplot.render.renderer"
_MODULES = (
    "numpy.ma", "rasterio", "regionplot.cli.repeat_run", "regionplot.executors.processes", _RENDERER,
    "regionplot.runs.digests", "regionplot.runs.remember_drawing",
)  # fmt: skip
"""Modules that the runs import when they need them."""
_POLL_SECONDS = 0.5
"""Seconds between two checks for SIGHUP while no raster arrives."""
_RETRY_PAUSES = (5.0, 30.0, 300.0)
"""Seconds before each retry of a raster whose run failed. After the last retry, the watcher waits for a new raster."""
_STOP_TIMEOUT = 3.3
"""Seconds that a run may take to clean up after a signal. The timeout of the watcher's guard is a little longer."""


def watch(request: Request) -> int:
    """Draw each time the raster is updated, until a signal ends the command. Return the exit code.

    Raises
    ------
    RegionplotError
        If the settings are not valid at the start. Later errors in the settings are only printed.
    """
    watcher = _Watcher(request)
    try:
        watcher.watch()
    except KeyboardInterrupt as interrupt:
        click.echo(f"regionplot: {describe_interrupt(interrupt)}, stopped watching", err=True)
        return exit_code(interrupt)
    return 0


class _Watcher:
    """Wait for a raster, draw it in a forked process, and wait again."""

    def __init__(self, request: Request) -> None:
        self._request = request
        _import_for_runs()
        self._program = known_run_name(request)  # after the imports, because libraries set environment variables
        self._layers: Sequence[Layer] = ()
        self._reload_requested = False
        self._apply_settings()

    def _apply_settings(self) -> None:
        """Read the settings. Forget the state of the watcher, so that the current raster is drawn again.

        Raises
        ------
        RegionplotError
            If the settings are not valid. The old settings stay in use.
        """
        mark = mark_of(self._request.config_path or "")  # before the file is read
        config = self._request.config_before_raster()
        self._config, self._settings = config, mark
        self._identity = f"watch {os.getpid()} {time.time_ns()}"
        self._arrivals = Arrivals(config.raster.pattern, config.raster.settle)
        self._layers = ()
        self._raster: Path | None = None
        self._inputs: tuple[Fingerprint | None, ...] = ()
        self._input_files: tuple[Path, ...] = ()
        self._pauses: Iterator[float] = iter(())
        self._retry_at = float("inf")

    def watch(self) -> None:
        """Watch until an interrupt is raised."""
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._request_reload)
            continue_after(signal.SIGHUP)
        self._note(f"watching {self._config.raster.pattern}")
        while True:
            raster = self._arrivals.next(_POLL_SECONDS)
            if raster is not None:
                self._raster, self._pauses = raster, iter(_RETRY_PAUSES)
            if self._reload_requested:
                self._reload_settings()
            elif raster is not None or self._is_due():
                self._draw()

    def _is_due(self) -> bool:
        """Return True if the last raster must be drawn again: an input has changed, or a retry is due."""
        if self._raster is None:
            return False
        return self._inputs != self._fingerprints() or time.monotonic() >= self._retry_at

    def _fingerprints(self) -> tuple[Fingerprint | None, ...]:
        """Return the fingerprints of the table, of tracks, and of the files of functions of the user."""
        return tuple(Fingerprint.of(path) for path in (self._request.regions, *self._input_files))

    def _draw(self) -> None:
        assert self._raster is not None, "there is a raster"
        self._input_files = (*_files_of_functions(self._config), *self._config.regions.tracks.values())
        self._inputs = self._fingerprints()
        try:
            code = self._draw_raster(_with_raster(self._config, self._raster))
        except RasterError as error:  # of a STAC item
            click.echo(f"regionplot: {error_text(str(error))}", err=True)
            code = error.exit_code
        pause = next(self._pauses, None) if code else None
        self._retry_at = float("inf") if pause is None else time.monotonic() + pause

    def _draw_raster(self, config: Config) -> int:
        """Draw the maps in another process, and return its exit code."""
        if not hasattr(os, "fork"):
            return run_in_spawned_process(self._request, config)
        self._layers = self._layers or _preload_layers(config)
        return _run_in_fork(self._request, Prepared(config, self._layers, self._record_name(), self._settings))

    def _record_name(self) -> str | None:
        """Return the name of the record of the runs. Return None if the program has changed since the watcher began.

        No other process uses this record, because the watcher keeps its modules and libraries if their files change.
        After new settings were read, the runs have a new record, because the settings can come from several files.
        """
        is_same = self._program is not None and known_run_name(self._request) == self._program
        return known_run_name(self._request, self._identity) if is_same else None

    def _request_reload(self, _number: int, _frame: object) -> None:
        self._reload_requested = True

    def _reload_settings(self) -> None:
        """Read the settings again. Keep the old settings if the new settings are not valid."""
        self._reload_requested = False
        try:
            self._apply_settings()
        except RegionplotError as error:
            self._request.at_options(error)
            for problem in error.problems:
                click.echo(f"regionplot: {error_text(str(problem))}", err=True)
            self._note("the old settings stay in use")
            return
        self._note(f"settings read again, watching {self._config.raster.pattern}")

    def _note(self, text: str) -> None:
        if self._request.verbosity is not Verbosity.QUIET:
            click.echo(text)


def _import_for_runs() -> None:
    """Import once what the runs need, because the process of each run inherits the modules."""
    import_for_drawing()
    for module in _MODULES:
        importlib.import_module(module)


def _with_raster(config: Config, path: Path) -> Config:
    """Return the settings with the path of a raster instead of a pattern.

    Settings with several products or times are returned unchanged: the run finds their files itself.

    Raises
    ------
    RasterError
        If the path is that of a STAC item from which no raster can be chosen.
    """
    if config.has_fields:
        return config
    try:
        return config.model_copy(update={"raster": with_file(config.raster, path)})
    except StacError as error:
        raise RasterError(str(error)) from None


def _files_of_functions(config: Config) -> tuple[Path, ...]:
    """Return the files of functions of the user. The watcher does not import these files, but each run does."""
    if not config.has_functions:
        return ()
    from regionplot.shared.functions import function_files  # noqa: PLC0415 (only settings with functions need it)

    return function_files(config)


def _preload_layers(config: Config) -> Sequence[Layer]:
    """Load the layers for all runs. After an error, return no layers, because the run reports the error.

    The process of each run also inherits the imports of the renderer, which are a part of all digests.
    """
    source_files(_RENDERER)
    for library in imported_libraries(_RENDERER):
        library_version(library)
    try:
        return preload_layers(config)
    except RegionplotError:
        return ()


def _run_in_fork(request: Request, prepared: Prepared) -> int:
    """Do one run in a forked process and return its exit code. If the watcher is interrupted, end the run first."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = GuardedProcess(lambda: _run(request, prepared), _STOP_TIMEOUT)
    try:
        code, message = describe_ending(process.wait())
    except KeyboardInterrupt:
        process.send(signal.SIGTERM)
        process.wait()
        raise
    if message:
        click.echo(f"regionplot: {message}", err=True)
    return code


def _run(request: Request, prepared: Prepared) -> int:
    """Do one run and return its exit code. Called in the forked process."""
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # only the watcher reacts to SIGHUP
        handle_signals()
        return render_once(request, prepared)
    except SignalReceived as interrupt:  # raised outside the `try` block of `render_once`
        return interrupt.exit_code
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
