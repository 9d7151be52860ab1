"""Keep running and draw each time the raster is updated.

::

    the watcher: imports and vector layers, warm ─ Arrivals ─ fork ─► one run, as the command does it ─► its exit code
                      ▲ SIGHUP: the settings anew                         └─ fork ─► workers
                      ▲ another table, or a failed run after a pause: the same raster again

Each renewal is drawn by a process of its own, so that whatever a raster does to it, the watcher is as it was before.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regionplot.cli.interrupts import SignalReceived, describe_interrupt, exit_code
from regionplot.cli.rendering import render_once
from regionplot.cli.request import Request
from regionplot.errors import ConfigError, RegionplotError
from regionplot.inputs.arrival import Arrivals
from regionplot.settings.config import Config
from regionplot.shared.load import preload_layers
from regionplot.system.files import Fingerprint
from regionplot.system.processes import terminate_with_parent

if TYPE_CHECKING:
    from regionplot.layers.base import Layer


_LOOK = 0.5
"""Seconds after which a watcher that has seen nothing minds whether it has been hung up."""


_PAUSES = (5.0, 30.0, 300.0)
"""Seconds before a raster whose run has failed is tried again; then it is left until it is renewed."""


_GRACE = 5.0
"""Seconds that a run has to end in order once the watcher is ended."""


def watch(request: Request) -> int:
    """Draw whenever the raster is renewed, until a signal ends that; returns the exit code.

    Raises
    ------
    RegionplotError
        If the settings cannot be used at the start. Later ones that cannot are told, and the last good ones stay.
    """
    if not hasattr(os, "fork"):
        raise ConfigError("--watch forks a process for each renewal, which this platform cannot")
    watcher = _Watcher(request)
    try:
        watcher.watch()
    except KeyboardInterrupt as interrupt:
        click.echo(f"regionplot: {describe_interrupt(interrupt)}, watching no more", err=True)
        return exit_code(interrupt)
    return 0


class _Watcher:
    """Waits, forks, and waits again."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._layers: Sequence[Layer] = ()
        self._hung_up = False
        self._take(request.wanted())

    def _take(self, config: Config) -> None:
        """Go by these settings from now on, and draw by them what is there."""
        self._config = config
        self._arrivals = Arrivals(config.raster.pattern, config.raster.settle)
        self._layers = ()
        self._drawn: Path | None = None
        self._table: Fingerprint | None = None
        self._pauses: Iterator[float] = iter(())
        self._again = float("inf")

    def watch(self) -> None:
        """For ever."""
        signal.signal(signal.SIGHUP, self._hang_up)
        self._note(f"watching {self._config.raster.pattern}")
        while True:
            path = self._arrivals.next(_LOOK)
            if path is not None:
                self._drawn, self._pauses = path, iter(_PAUSES)
            if self._hung_up:
                self._read_anew()
            elif path is not None or self._is_due():
                self._draw()

    def _is_due(self) -> bool:
        """Whether the last raster is to be drawn again: the table is another one, or a run has failed for a while."""
        if self._drawn is None:
            return False
        return self._table != Fingerprint.of(self._request.regions) or time.monotonic() >= self._again

    def _draw(self) -> None:
        assert self._drawn is not None, "there has been a raster"
        self._table = Fingerprint.of(self._request.regions)
        config = _with_raster(self._config, self._drawn)
        self._layers = self._layers or _warm(config)
        code = _run_apart(self._request, config, self._layers)
        pause = next(self._pauses, None) if code else None
        self._again = float("inf") if pause is None else time.monotonic() + pause

    def _hang_up(self, _number: int, _frame: object) -> None:
        self._hung_up = True

    def _read_anew(self) -> None:
        """Take up the settings as they are now."""
        self._hung_up = False
        try:
            self._take(self._request.wanted())
        except RegionplotError as error:
            for problem in error.problems:
                click.echo(f"regionplot: {problem}", err=True)
            self._note("the settings stay as they were")
            return
        self._note(f"settings read again, watching {self._config.raster.pattern}")

    def _note(self, text: str) -> None:
        if not self._request.quiet:
            click.echo(text)


def _with_raster(config: Config, path: Path) -> Config:
    """Settings that name a pattern, for the file that it means."""
    return config.model_copy(update={"raster": config.raster.model_copy(update={"path": path})})


def _warm(config: Config) -> Sequence[Layer]:
    """The vector layers, which stay the same; without them if they, or the raster, are no good: the run tells."""
    try:
        return preload_layers(config)
    except RegionplotError:
        return ()


def _run_apart(request: Request, config: Config, layers: Sequence[Layer]) -> int:
    """One run in a forked process, and its exit code; a signal that ends the watcher ends it first, in order."""
    sys.stdout.flush()
    sys.stderr.flush()
    watcher = os.getpid()
    pid = os.fork()
    if not pid:
        run_child(watcher, request, config, layers)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except KeyboardInterrupt:
        os.kill(pid, signal.SIGTERM)
        _see_off(pid)
        raise


def run_child(watcher: int, request: Request, config: Config, layers: Sequence[Layer]) -> None:
    """The life of the forked process; it never returns."""
    code = 1
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is the watcher's affair
        terminate_with_parent(watcher)
        code = render_once(request, config, layers)
    except SignalReceived as interrupt:  # before or after what tells of it
        code = interrupt.exit_code
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _see_off(pid: int) -> None:
    """Wait until a run has ended, and kill it if it does not."""
    end = time.monotonic() + _GRACE
    while time.monotonic() < end:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
