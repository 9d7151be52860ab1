"""The parent: start a generation when an input is replaced, and restart processes that end by themselves.

The parent has one thread, loads no rasters and answers no requests. A damaged raster can crash a generation, but not
the parent.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from regionplot.errors import RegionplotError
from regionplot.geo.region import Region
from regionplot.regions.table import read_regions
from regionplot.serve.channel import receive, send, socket_pair
from regionplot.serve.forking import fork
from regionplot.serve.inputs import WatchedInputs
from regionplot.serve.listening import address, open_listener
from regionplot.settings.config import Config

logger = logging.getLogger(__name__)
_POLL_SECONDS = 0.2
_PAUSES = (1.0, 5.0, 30.0)
"""Seconds before a generation that has ended by itself is started again. The last pause is repeated."""
_FRONT_PAUSE = 1.0
_END_SECONDS = 3.0
"""Seconds that a generation may take to end."""
_FRONT, _GENERATION = "front", "generation"


@dataclass(frozen=True)
class Loaded:
    """The settings and the table, which the parent reads again after SIGHUP."""

    config: Config
    regions: Sequence[Region]
    table: Path | None


class Parent:
    """The parent process.

    Parameters
    ----------
    read : callable
        Function that reads the settings and the table. It raises RegionplotError if they cannot be used.
    note : callable
        Function that shows a message.
    """

    def __init__(self, read: Callable[[], Loaded], note: Callable[[str], None]) -> None:
        self._read, self._note = read, note
        self._loaded = read()
        self._inputs = WatchedInputs(self._loaded.config, self._loaded.table)
        self._before: tuple[Loaded, WatchedInputs] | None = None
        """The settings before SIGHUP, until a generation with the new settings is in use."""
        self._last_before = 0
        """Number of the last generation with the settings before SIGHUP."""
        self._children: dict[int, str] = {}
        self._numbers: dict[int, int] = {}
        """Numbers of the generations by process id."""
        self._number = 0
        self._current: int | None = None
        self._control: socket.socket | None = None
        self._signal: int | None = None
        self._reload_requested = False
        self._retry_at = float("inf")
        self._is_due = False
        """True if an input was replaced that no generation has loaded yet."""
        self._failures = 0
        self._front_at = 0.0

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT. Return the exit code.

        Raises
        ------
        ConfigError
            If the address cannot be used.
        """
        listener = open_listener(self._loaded.config.serve.bind)
        self._note(f"serving on {address(listener)}")
        with listener:
            self._start_front(listener)
            self._import_libraries()
            while self._signal is None:
                self._reap(listener)
                if self._reload_requested:
                    self._reload()
                self._is_due |= self._inputs.are_renewed() or time.monotonic() >= self._retry_at
                if self._is_due and not self._is_loading:
                    self._renew()
                self._wait()
        return self._drain()

    @property
    def _is_loading(self) -> bool:
        """True if a generation is loading its data. Only one does so at a time."""
        return self._current != self._number and self._number in self._numbers.values()

    def stop(self, number: int, _frame: object) -> None:
        """Handle SIGTERM and SIGINT."""
        self._signal = number

    def request_reload(self, _number: int, _frame: object) -> None:
        """Handle SIGHUP."""
        self._reload_requested = True

    @staticmethod
    def _import_libraries() -> None:
        """Import what draws, so that all generations inherit it."""
        import regionplot.serve.host  # noqa: F401, PLC0415 (after the front was forked, which does not need it)

    def _start_front(self, listener: socket.socket) -> None:
        own, front = socket_pair()

        def main() -> int:
            from regionplot.serve.front import front_main  # noqa: PLC0415 (only the front needs Starlette)

            own.close()
            return front_main(listener, front, self._loaded.config.serve)

        pid = fork(main)
        front.close()
        if self._control is not None:
            self._control.close()
        self._control = own
        self._children[pid] = _FRONT
        self._front_at = time.monotonic()

    def _renew(self) -> None:
        """Start a generation. It loads the data beside the one in use."""
        from regionplot.serve.host import host_main  # noqa: PLC0415 (imported by `_import_libraries`)

        assert self._control is not None, "the front was started"
        self._retry_at, self._is_due = float("inf"), False
        self._read_table()
        self._number += 1
        front, own = socket_pair()
        loaded, control = self._loaded, self._control

        def main() -> int:
            front.close()
            control.close()
            return host_main(loaded.config, loaded.regions, own)

        pid = fork(main)
        self._children[pid], self._numbers[pid] = _GENERATION, self._number
        with suppress(OSError):  # the front has ended, and starts again
            send(self._control, ("generation", self._number), [front.fileno()])
        front.close()
        own.close()

    def _read_table(self) -> None:
        """Read the table again. Keep the old regions if it cannot be used."""
        if self._loaded.table is None:
            return
        try:
            regions = read_regions(self._loaded.table, self._loaded.config.regions)
        except RegionplotError as error:
            self._report(error)
            self._note("the old table stays in use")
            return
        self._loaded = replace(self._loaded, regions=regions)

    @staticmethod
    def _report(error: RegionplotError) -> None:
        for problem in error.problems:
            logger.error("%s", problem)

    def _reap(self, listener: socket.socket) -> None:
        """Handle children that have ended."""
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            kind, code = self._children.pop(pid), os.waitstatus_to_exitcode(status)
            if kind == _FRONT:
                self._restart_front(listener, code)
            elif self._numbers.pop(pid) == self._number and (code or self._current == self._number):
                self._plan_retry(code)

    def _restart_front(self, listener: socket.socket, code: int) -> None:
        """Start the front again, and a generation for it. The old generations end with the old front."""
        logger.error("the front ended with code %d and is started again", code)
        time.sleep(max(0.0, _FRONT_PAUSE - (time.monotonic() - self._front_at)))
        self._start_front(listener)
        self._renew()

    def _plan_retry(self, code: int) -> None:
        """Start the newest generation again after a pause, because it has ended by itself."""
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        if self._before is not None and self._number > self._last_before:
            self._keep_old_settings()
            return
        logger.error("the newest data cannot be served (code %d); trying again in %g s", code, pause)
        self._retry_at = time.monotonic() + pause

    def _reload(self) -> None:
        """Read the settings and the table again. Keep the old ones if they cannot be used."""
        self._reload_requested = False
        try:
            loaded = self._read()
            inputs = WatchedInputs(loaded.config, loaded.table)
        except RegionplotError as error:
            self._report(error)
            self._keep_old_settings()
            return
        if loaded.config.serve.bind != self._loaded.config.serve.bind:
            logger.warning("[serve] bind has changed; restart the service to use the new address")
        self._before, self._last_before = self._before or (self._loaded, self._inputs), self._number
        self._loaded, self._inputs = loaded, inputs
        self._note("settings read again")

    def _keep_old_settings(self) -> None:
        """Use the settings before SIGHUP again. The generation with these settings has never ended."""
        if self._before is not None:
            (self._loaded, self._inputs), self._before = self._before, None
        self._note("the old settings stay in use")

    def _wait(self) -> None:
        """Wait a moment, or until the front sends a message."""
        assert self._control is not None, "the front was started"
        readable, _, _ = select.select([self._control], [], [], _POLL_SECONDS)
        found = receive(self._control) if readable else None
        if found is None:
            time.sleep(_POLL_SECONDS * bool(readable))  # the front has ended
            return
        _, self._current = found[0]
        self._failures = 0
        if self._current > self._last_before:
            self._before = None
        self._note(f"serving generation {self._current}")

    def _drain(self) -> int:
        """Let running requests end, then end all children. Return the exit code."""
        self._note("stopping")
        deadline = time.monotonic() + self._loaded.config.serve.drain + 1
        with suppress(OSError):
            send(self._control, ("drain", 0))  # type: ignore[arg-type]  # the front was started
        self._wait_for(_FRONT, deadline)
        self._wait_for(_GENERATION, time.monotonic() + _END_SECONDS)  # it ends when the front has closed its sockets
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return 0

    def _wait_for(self, kind: str, deadline: float) -> None:
        """Wait until the children of a kind have ended, or until a time."""
        while kind in self._children.values() and time.monotonic() < deadline:
            for pid in [pid for pid, own in self._children.items() if own == kind]:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._children[pid]
            time.sleep(0.01)


def handle_signals(parent: Parent) -> None:
    """Let the parent handle the signals of this process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, parent.stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, parent.request_reload)
