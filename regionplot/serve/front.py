"""The front process: accept requests, and hand them to the workers of the newest generation."""

from __future__ import annotations

import asyncio
import logging
import queue
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import uvicorn

from regionplot.serve.app import make_app
from regionplot.serve.channel import receive, send
from regionplot.serve.connection import MAX_CONNECTIONS, OWN_FILES, Connection
from regionplot.serve.pool import RemoteSnapshot
from regionplot.settings.serve import ServeSettings

logger = logging.getLogger(__name__)
GENERATION, DRAIN = "generation", "drain"
"""Kinds of messages from the parent: with a socket to a generation, and before the end."""
CURRENT = "current"
"""Kind of messages to the parent: the generation of a number is in use."""
_KEEP_ALIVE = 15
_BACKLOG = 2048
_FILES = 2 * MAX_CONNECTIONS + OWN_FILES
_MAX_LOG_LINES = 10_000


class AccessLog:
    """Write lines to stdout in a thread, so that a slow reader delays no answer. Lines that do not fit are lost."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue(_MAX_LOG_LINES)
        self.lost = 0
        threading.Thread(target=self._write, daemon=True).start()

    def __call__(self, line: str) -> None:
        """Add a line."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.lost += 1

    def _write(self) -> None:
        while True:
            lines = [self._lines.get()]
            while not self._lines.empty():
                lines.append(self._lines.get())
            try:
                sys.stdout.write("\n".join(lines) + "\n")
                sys.stdout.flush()
            except (OSError, ValueError):
                self.lost += len(lines)


class RemoteBackend:
    """The generations, as the parent announces them. See `backend.Backend`.

    Parameters
    ----------
    parent : socket
        Socket to the parent.
    log : AccessLog
        The access log, whose lost lines are counted.
    """

    def __init__(self, parent: socket.socket, log: AccessLog) -> None:
        self.current: RemoteSnapshot | None = None
        self._parent, self._log = parent, log
        self._numbers: dict[RemoteSnapshot, int] = {}
        self._previous: list[RemoteSnapshot] = []
        """Generations that are no longer in use, but not closed yet."""
        self._deaths = self._renewals = 0

    def start(self, stop: asyncio.Event) -> None:
        """Read messages of the parent from now on.

        Parameters
        ----------
        stop : asyncio.Event
            Set when the parent wants the front to end, or has ended.
        """
        self._parent.setblocking(False)
        asyncio.get_running_loop().add_reader(self._parent, self._read, stop)

    def _read(self, stop: asyncio.Event) -> None:
        try:
            found = receive(self._parent)
        except BlockingIOError:
            return
        if found is None or found[0][0] == DRAIN:
            asyncio.get_running_loop().remove_reader(self._parent)
            stop.set()
            return
        (_, number), (descriptor,) = found
        snapshot = RemoteSnapshot(socket.socket(fileno=descriptor), self._use, self._forget)
        self._numbers[snapshot] = number

    def _use(self, snapshot: RemoteSnapshot) -> None:
        """Use a generation for all further requests. The previous generation ends when its requests are done."""
        previous, self.current = self.current, snapshot
        self._renewals += 1
        self._tell_current(self._numbers[snapshot])
        if previous is not None:
            self._numbers.pop(previous, None)
            self._deaths += previous.deaths
            self._previous = [*(each for each in self._previous if not each.is_closed), previous]
            previous.retire()

    def _forget(self, snapshot: RemoteSnapshot) -> None:
        """Forget a generation whose process has ended by itself."""
        self._numbers.pop(snapshot, None)
        if self.current is snapshot:
            self.current = None

    def _tell_current(self, number: int) -> None:
        try:
            send(self._parent, (CURRENT, number))
        except OSError:
            logger.warning("the parent of the front has ended")

    def find(self, run: str) -> RemoteSnapshot | None:
        """Return the generation of a run, if its data are still loaded."""
        generations = [self.current, *reversed(self._previous)]
        return next((each for each in generations if each and not each.is_closed and each.catalog.run == run), None)

    def gauges(self) -> Mapping[str, float]:
        """Return numbers for the metrics."""
        now = self.current
        return {
            "workers": now.workers if now else 0,
            "workers_busy": now.busy if now else 0,
            "queue_length": now.waiting if now else 0,
            "worker_deaths": self._deaths + (now.deaths if now else 0),
            "generations": self._renewals,
            "access_log_lines_lost": self._log.lost,
        }


class _Server(uvicorn.Server):
    """A server whose signals are handled here."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers alone."""
        yield


def _allow_files() -> int:
    """Raise the limit of open files of this process for many connections. Return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def front_main(listener: socket.socket, parent: socket.socket, settings: ServeSettings) -> int:
    """Accept requests until the parent wants the front to end. Return the exit code.

    Parameters
    ----------
    listener : socket
        Socket on which clients connect.
    parent : socket
        Socket to the parent.
    settings : ServeSettings
        The settings.
    """
    log = AccessLog()
    backend = RemoteBackend(parent, log)
    config = uvicorn.Config(
        make_app(backend, settings, log),
        http=Connection.limited(_allow_files()),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips="*" if "unix" in settings.trusted_proxies else list(settings.trusted_proxies),
        root_path="",
        lifespan="off",
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, int(settings.drain)),
        backlog=_BACKLOG,
    )
    server = _Server(config)

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        backend.start(stop)
        running = asyncio.ensure_future(server.serve(sockets=[listener]))
        await asyncio.wait({running, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await running

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve())
    return 0
