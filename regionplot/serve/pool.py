"""The front's side of the workers: hand each request to an idle worker, and handle deaths and timeouts.

::

    draw ─► idle worker? ─► send ─► reply ─► read the shared buffer
               │ no                  └ died ─► once more on another worker, then refuse this request
               └► queue (full: BusyError)
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from regionplot.serve.backend import BusyError, DrawingFailedError, Reply
from regionplot.serve.catalog import Catalog
from regionplot.serve.channel import SharedBuffer, receive, receive_job, send
from regionplot.serve.host import KILL, READY, WORKER
from regionplot.serve.metatiles import MetatileRequest
from regionplot.serve.parameters import RequestError
from regionplot.serve.request import Drawing, digest_of
from regionplot.serve.worker import Done, Failed, Refused

logger = logging.getLogger(__name__)
_ATTEMPTS = 2
_REMEMBERED = 1000
"""Number of requests that killed workers and are remembered."""
_FORGET_AFTER = 300.0
"""Seconds after which such a request may be tried again."""
_RETIRE_SECONDS = 0.25
"""Seconds between two checks whether an old generation is still needed."""


_Found = tuple[Done, bytes] | Refused | Failed
"""Reply of a worker, and the content."""


class WorkerDiedError(Exception):
    """A worker has died during a request."""


class _Worker:
    """One worker, as the front sees it."""

    def __init__(self, pid: int, connection: socket.socket, buffer: SharedBuffer) -> None:
        self.pid, self.connection, self.buffer = pid, connection, buffer
        self.reply: asyncio.Future[_Found] | None = None

    def close(self) -> None:
        self.connection.close()
        self.buffer.close()


class RemoteSnapshot:
    """A generation in other processes. See `backend.Snapshot`.

    Parameters
    ----------
    control : socket
        Socket to the process of the generation.
    on_ready : callable
        Called when the first worker is ready.
    on_lost : callable
        Called when the process of the generation has ended.
    """

    catalog: Catalog

    def __init__(
        self,
        control: socket.socket,
        on_ready: Callable[[RemoteSnapshot], None],
        on_lost: Callable[[RemoteSnapshot], None],
    ) -> None:
        self._control, self._on_ready, self._on_lost = control, on_ready, on_lost
        self._loop = asyncio.get_running_loop()
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._queue: OrderedDict[int, asyncio.Future[_Worker]] = OrderedDict()
        self._tickets = 0
        self._killers: OrderedDict[str, float] = OrderedDict()
        self.is_ready = self.is_closed = False
        self.deaths = 0
        control.setblocking(False)
        self._loop.add_reader(control, self._read_control)

    @property
    def busy(self) -> int:
        """Number of workers that draw."""
        return sum(worker.reply is not None for worker in self._workers)

    @property
    def waiting(self) -> int:
        """Number of requests that wait for a worker."""
        return len(self._queue)

    @property
    def workers(self) -> int:
        """Number of workers."""
        return len(self._workers)

    async def draw(self, drawing: Drawing | MetatileRequest) -> Reply:
        """Draw a request in a worker. See `backend.Snapshot.draw`."""
        digest = digest_of("", drawing)
        self._refuse_killer(digest)
        start = time.perf_counter()
        for _ in range(_ATTEMPTS):
            worker = await self._acquire()
            queued = time.perf_counter() - start
            try:
                return await self._draw_in(worker, drawing, queued)
            except WorkerDiedError:
                logger.warning("worker %d died while it drew an image", worker.pid)
        self._remember_killer(digest)
        raise BusyError(5)

    async def _draw_in(self, worker: _Worker, drawing: Drawing | MetatileRequest, queued: float) -> Reply:
        try:
            send(worker.connection, drawing)
        except OSError:  # it has died while it was idle; the reader of its connection notices this, too
            self._lose(worker)
            raise WorkerDiedError from None
        reply = worker.reply = self._loop.create_future()
        late = self._loop.call_later(self.catalog.settings.timeout, self._stop_late, worker, drawing)
        try:
            found = await reply
        finally:
            late.cancel()
        if isinstance(found, Refused):
            raise found.error
        if isinstance(found, Failed):
            raise BusyError(2) if found.is_passing else DrawingFailedError(found.message)
        done, content = found
        return Reply(content, done.media_type, {"queue": queued, **done.stages}, done.parts)

    async def _acquire(self) -> _Worker:
        """Return an idle worker. Wait in the queue if there is none."""
        if self.is_closed:
            raise BusyError
        if self._idle and not self._queue:
            return self._idle.pop()
        if len(self._queue) >= self.catalog.settings.queue:
            raise BusyError
        self._tickets += 1
        ticket, place = self._loop.create_future(), self._tickets
        self._queue[place] = ticket
        try:
            worker: _Worker = await ticket
            return worker
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled() and ticket.exception() is None:
                self._release(ticket.result())
            raise
        finally:
            self._queue.pop(place, None)

    def _release(self, worker: _Worker) -> None:
        """Give an idle worker to the next request that waits."""
        if worker not in self._workers:
            return
        while self._queue:
            _, ticket = self._queue.popitem(last=False)
            if not ticket.done():
                ticket.set_result(worker)
                return
        self._idle.append(worker)

    def _read_control(self) -> None:
        """Read the messages of the process of the generation: its catalog, then its workers."""
        try:
            found = receive(self._control)
        except BlockingIOError:
            return
        if found is None:
            self._end()
            self._on_lost(self)
            return
        (kind, number), descriptors = found
        if kind == READY:
            buffer = SharedBuffer(descriptors[0])
            self.catalog = pickle.loads(buffer.read(number))
            buffer.close()
        elif kind == WORKER:
            self._add(_Worker(number, socket.socket(fileno=descriptors[0]), SharedBuffer(descriptors[1])))

    def _add(self, worker: _Worker) -> None:
        worker.connection.setblocking(False)
        self._workers.add(worker)
        self._loop.add_reader(worker.connection, self._read_worker, worker)
        self._release(worker)
        if not self.is_ready:
            self.is_ready = True
            self._on_ready(self)

    def _read_worker(self, worker: _Worker) -> None:
        """Read the reply of a worker. Copy its content before the worker gets another request."""
        try:
            found = receive_job(worker.connection)
        except BlockingIOError:
            return
        if found is None:
            self._lose(worker)
            return
        reply, worker.reply = worker.reply, None
        if reply is not None and not reply.done():
            reply.set_result((found, worker.buffer.read(found.size)) if isinstance(found, Done) else found)
        if found.is_last:
            self._lose(worker)
        else:
            self._release(worker)

    def _lose(self, worker: _Worker) -> None:
        """Forget a worker that has ended. Its request fails."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        self._loop.remove_reader(worker.connection)
        worker.close()
        if worker.reply is not None and not worker.reply.done():
            self.deaths += 1
            worker.reply.set_exception(WorkerDiedError())

    def _stop_late(self, worker: _Worker, drawing: Drawing | MetatileRequest) -> None:
        """Have a worker killed that takes too long. Its request is not tried again."""
        logger.error("a request takes more than %g s: %r", self.catalog.settings.timeout, drawing)
        self._remember_killer(digest_of("", drawing))
        if worker.reply is not None and not worker.reply.done():
            worker.reply.set_exception(BusyError(5))
        with suppress(OSError):
            send(self._control, (KILL, worker.pid))

    def _remember_killer(self, digest: str) -> None:
        while len(self._killers) >= _REMEMBERED:
            self._killers.popitem(last=False)
        self._killers[digest] = time.monotonic()

    def _refuse_killer(self, digest: str) -> None:
        """Raise RequestError for a request that has killed workers, or took too long, a short time ago."""
        if time.monotonic() - self._killers.get(digest, float("-inf")) < _FORGET_AFTER:
            raise RequestError("this image cannot be drawn; ask for a smaller one", 422, "NoApplicableCode")

    def retire(self, since: float | None = None) -> None:
        """Close the connections after the time `[serve] keep`, when no request needs this generation.

        Parameters
        ----------
        since : float, optional
            Monotonic time at which another generation came into use. By default, now.
        """
        since = self._loop.time() if since is None else since
        if self._queue or self.busy or self._loop.time() - since < self.catalog.settings.keep:
            self._loop.call_later(_RETIRE_SECONDS, self.retire, since)
        elif not self.is_closed:
            self._end()

    def _end(self) -> None:
        """Close all connections. Requests that wait fail."""
        if self.is_closed:
            return
        self.is_closed = True
        self._loop.remove_reader(self._control)
        for worker in list(self._workers):
            self._lose(worker)
        for ticket in self._queue.values():
            if not ticket.done():
                ticket.set_exception(BusyError())
        self._control.close()
