"""A worker: draw one request after another, and write the images into shared memory."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from regionplot.errors import RasterReplacedError, RegionplotError
from regionplot.serve.channel import SharedBuffer, receive_job, send
from regionplot.serve.drawing import Drawer
from regionplot.serve.parameters import RequestError
from regionplot.serve.request import Drawing

logger = logging.getLogger(__name__)
STACK_SIGNAL = signal.SIGUSR1
"""Signal that makes a worker write its Python stack to stderr."""
_STDERR = 2
_GC_THRESHOLDS = 2000, 10, 10
"""Thresholds of the garbage collector. The data are frozen, so a collection is fast."""
_CHECKED_EVERY = 50
"""Number of images between two checks of the memory."""
_PAGES_OF_MEGABYTE = 2**20 // os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Done:
    """Reply of a worker: the content is in the shared buffer."""

    size: int
    media_type: str
    stages: dict[str, float]
    parts: tuple[int, ...]
    """Sizes of the contents of several tiles. Empty: there is one content."""
    is_last: bool
    """True: the worker ends. The front must not send it another request."""


@dataclass(frozen=True)
class Refused:
    """Reply of a worker: the request cannot be drawn."""

    error: RequestError
    is_last: bool = False


@dataclass(frozen=True)
class Failed:
    """Reply of a worker: the data cannot be drawn."""

    message: str
    is_last: bool = False
    is_passing: bool = False
    """True if the same request can be drawn soon, because the new raster is being loaded."""


@dataclass(frozen=True)
class WorkerLimits:
    """When a worker ends."""

    images: int
    megabytes: int


def worker_main(drawer: Drawer, connection: socket.socket, buffer: SharedBuffer, limits: WorkerLimits) -> int:
    """Draw until the front closes the connection, or a limit is reached. Return the exit code.

    Parameters
    ----------
    drawer : Drawer
        Draws requests of one generation.
    connection : socket
        Socket from the front: one request, then one reply.
    buffer : SharedBuffer
        Buffer for the content of replies.
    limits : WorkerLimits
        Limits of the worker.
    """
    faulthandler.enable(file=_STDERR)
    faulthandler.register(STACK_SIGNAL, file=_STDERR)
    gc.set_threshold(*_GC_THRESHOLDS)
    start = private_megabytes()
    for number in range(1, limits.images + 1):
        drawing = receive_job(connection)
        if drawing is None:
            return 0
        is_large = number % _CHECKED_EVERY == 0 and private_megabytes() - start > limits.megabytes
        reply = _reply(drawer, drawing, buffer, is_last=is_large or number == limits.images)
        try:
            send(connection, reply)
        except OSError:  # the front has ended
            return 0
        if reply.is_last:
            return 0
    return 0


def _reply(drawer: Drawer, drawing: Drawing, buffer: SharedBuffer, *, is_last: bool) -> Done | Refused | Failed:
    try:
        answer = drawer(drawing)
        size = buffer.write(answer.content)
    except RequestError as error:
        return Refused(error, is_last)
    except MemoryError:
        return Failed("out of memory", is_last=True, is_passing=True)
    except RasterReplacedError:
        return Failed("the raster was replaced", is_last, is_passing=True)
    except RegionplotError as error:
        logger.error("%s", error)
        return Failed("the data cannot be read", is_last)
    except Exception:
        logger.exception("a request failed: %r", drawing)
        return Failed("internal error", is_last)
    return Done(size, answer.media_type, dict(answer.stages), answer.parts, is_last)


def private_megabytes() -> int:
    """Return the memory of this process in MB, without the pages of files. Shared pages of the parent count, too."""
    resident, shared = Path("/proc/self/statm").read_text(encoding="ascii").split()[1:3]
    return (int(resident) - int(shared)) // _PAGES_OF_MEGABYTE
