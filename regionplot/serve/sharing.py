"""Draw identical requests once, and drop drawings whose clients have all gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from regionplot.serve.backend import Reply

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""The ASGI function that returns the next message of a client."""
_PATIENCE = 0.1
"""Seconds after which the front checks whether the client is still there. Most drawings take less time."""


class ClientGoneError(Exception):
    """The client has closed its connection, so there is nobody to answer."""


class _Running:
    """A drawing that has begun or waits, and the number of clients that want it."""

    def __init__(self, task: asyncio.Task[Reply]) -> None:
        self.task, self.clients = task, 0


class SharedDrawings:
    """The drawings that have begun or wait, by digest."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    async def reply(self, digest: str, draw: Callable[[], Coroutine[Any, Any, Reply]], receive: Receive) -> Reply:
        """Return the reply to a drawing request. If the same request is being drawn, wait for its reply.

        Parameters
        ----------
        digest : str
            Digest of the drawing request and the data.
        draw : callable
            Coroutine function that draws.
        receive : callable
            ASGI function that returns the messages of the client.

        Raises
        ------
        ClientGoneError
            If the client has gone.
        """
        running = self._running.get(digest)
        if running is None:
            running = _Running(asyncio.ensure_future(draw()))
            self._running[digest] = running
            running.task.add_done_callback(lambda _: self._running.pop(digest, None))
        running.clients += 1
        try:
            return await _while_connected(running.task, receive)
        finally:
            running.clients -= 1
            if not running.clients and not running.task.done():
                self._running.pop(digest, None)
                running.task.cancel()


async def _while_connected(task: asyncio.Task[Reply], receive: Receive) -> Reply:
    """Return the result of a task. Raise ClientGoneError if the client goes before."""
    done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
    if done:
        return task.result()
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
    if not task.done():
        raise ClientGoneError
    return task.result()


async def _disconnected(receive: Receive) -> None:
    """Return when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
