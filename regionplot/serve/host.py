"""The process of one generation: load the data, fork workers, and replace workers that end.

When the front closes the connection, no request needs the generation any more, and the process ends with its workers.
All its memory returns to the system.
"""

from __future__ import annotations

import logging
import os
import pickle
import selectors
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from regionplot.errors import RegionplotError
from regionplot.geo.region import Region
from regionplot.serve.channel import SharedBuffer, receive, send, socket_pair
from regionplot.serve.drawing import Drawer
from regionplot.serve.forking import fork
from regionplot.serve.generation import load_generation
from regionplot.serve.worker import STACK_SIGNAL, WorkerLimits, worker_main
from regionplot.settings.config import Config
from regionplot.settings.serve import ServeSettings
from regionplot.system.machine import usable_cpus
from regionplot.system.memory import frozen_objects, return_large_blocks

logger = logging.getLogger(__name__)
_MIN_WORKERS = 2
_MAX_FAILURES = 5
"""Number of consecutive workers that die within `_YOUNG` seconds, after which the generation ends."""
_YOUNG = 1.0
_STACK_SECONDS = 0.2
_END_SECONDS = 3.0
READY, WORKER, KILL = "ready", "worker", "kill"
"""Kinds of messages: to the front, to the front with a socket and a buffer, and from the front with a process id."""
LOAD_FAILED = 3
"""Exit code of a generation whose data cannot be loaded."""


def worker_count(settings: ServeSettings) -> int:
    """Return the number of workers."""
    if settings.workers == "auto":
        return max(_MIN_WORKERS, usable_cpus())
    return settings.workers


def host_main(config: Config, regions: Sequence[Region], control: socket.socket) -> int:
    """Load a generation and run its workers until the front closes the connection. Return the exit code.

    Parameters
    ----------
    config : Config
        The settings.
    regions : sequence of Region
        The regions.
    control : socket
        Socket to the front.
    """
    try:
        generation = load_generation(config, regions)
        drawer = Drawer(generation)
        drawer.warm()
    except RegionplotError as error:
        for problem in error.problems:
            logger.error("%s", problem)
        return LOAD_FAILED
    return_large_blocks()
    with frozen_objects():
        return _Host(drawer, config.serve, control).run(pickle.dumps(generation.catalog))


@dataclass
class _Host:
    drawer: Drawer
    settings: ServeSettings
    control: socket.socket
    started: dict[int, float] = field(default_factory=dict)
    """Start times of the workers by process id."""
    failures: int = 0

    def run(self, catalog: bytes) -> int:
        """Send the catalog, then keep the workers running."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.control, selectors.EVENT_READ)
            try:
                self._announce(catalog)
                while self.failures < _MAX_FAILURES:
                    while len(self.started) < worker_count(self.settings):
                        self._start(selector)
                    for key, _ in selector.select():
                        if key.fileobj is self.control:
                            if not self._obey():
                                return self._end()
                        else:
                            self._reap(selector, key)
            except ConnectionError:  # the front has closed the connection
                return self._end()
            except OSError as error:
                logger.error("no worker can be started: %s", error.strerror or error)
            else:
                logger.error("%d consecutive workers died at once", self.failures)
        self._end()
        return 1

    def _announce(self, catalog: bytes) -> None:
        buffer = SharedBuffer()
        send(self.control, (READY, buffer.write(catalog)), [buffer.descriptor])
        buffer.close()

    def _start(self, selector: selectors.BaseSelector) -> None:
        front, own = socket_pair()
        buffer = SharedBuffer()
        limits = WorkerLimits(self.settings.maps_per_worker, self.settings.worker_memory)
        opened = [key.fd for key in selector.get_map().values()]

        def main() -> int:
            for descriptor in (front.fileno(), *opened):
                os.close(descriptor)
            return worker_main(self.drawer, own, buffer, limits)

        try:
            pid = fork(main)
            self.started[pid] = time.monotonic()
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
            send(self.control, (WORKER, pid), [front.fileno(), buffer.descriptor])
        finally:
            front.close()
            own.close()
            buffer.close()

    def _obey(self) -> bool:
        """Read a message of the front. Return False if the front has closed the connection."""
        found = receive(self.control)
        if found is None:
            return False
        kind, pid = found[0]
        if kind == KILL and pid in self.started:
            self._kill(pid)
        return True

    @staticmethod
    def _kill(pid: int) -> None:
        """Make a late worker write its stack, then kill it."""
        with suppress(ProcessLookupError):
            os.kill(pid, STACK_SIGNAL)
            time.sleep(_STACK_SECONDS)
            os.kill(pid, signal.SIGKILL)

    def _reap(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        pid = key.data
        selector.unregister(key.fileobj)
        os.close(key.fd)
        _, status = os.waitpid(pid, 0)
        code, age = os.waitstatus_to_exitcode(status), time.monotonic() - self.started.pop(pid)
        self.failures = self.failures + 1 if code and age < _YOUNG else 0
        if code:
            logger.warning("worker %d ended with %s", pid, f"signal {-code}" if code < 0 else f"exit code {code}")

    def _end(self) -> int:
        """Wait for the workers, whose connections the front has closed. Kill those that do not end."""
        deadline = time.monotonic() + _END_SECONDS
        while self.started and time.monotonic() < deadline:
            self._reap_ended()
            time.sleep(0.01)
        for pid in self.started:
            os.kill(pid, signal.SIGKILL)
        return 0

    def _reap_ended(self) -> None:
        for pid in list(self.started):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self.started[pid]
