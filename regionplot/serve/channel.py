"""Messages between the processes of the service, over Unix sockets that keep the bounds of messages.

All processes are forked from one parent, so messages are pickled. Nothing that a client sends is unpickled.
"""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Sequence
from typing import Any

_MAX_MESSAGE = 65_536
_MAX_DESCRIPTORS = 4


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets. Each message arrives as a whole."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(connection: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send a message, and file descriptors.

    Raises
    ------
    OSError
        If the other process has closed its end.
    """
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    if descriptors:
        socket.send_fds(connection, [content], list(descriptors))
    else:
        connection.send(content)


def receive(connection: socket.socket) -> tuple[Any, list[int]] | None:
    """Return a message and its file descriptors. Return None if the other process has closed its end.

    Raises
    ------
    BlockingIOError
        If the socket does not block, and there is no message.
    """
    try:
        content, descriptors, _, _ = socket.recv_fds(connection, _MAX_MESSAGE, _MAX_DESCRIPTORS)
    except ConnectionError:
        return None
    return (pickle.loads(content), descriptors) if content else None


def receive_job(connection: socket.socket) -> Any:
    """Return a message without file descriptors. Return None if the other process has closed its end."""
    try:
        content = connection.recv(_MAX_MESSAGE)
    except ConnectionError:
        return None
    return pickle.loads(content) if content else None


class SharedBuffer:
    """A file in memory, without a name, that two processes share. It ends with them.

    Parameters
    ----------
    descriptor : int, optional
        File descriptor that another process has sent. By default, a new file is made.
    """

    KEPT = 4 * 2**20
    """Bytes that an idle buffer keeps. Larger contents are freed before the next content."""

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = os.memfd_create("regionplot", os.MFD_CLOEXEC) if descriptor is None else descriptor
        self._size = 0

    def write(self, content: bytes) -> int:
        """Write a content and return its size."""
        if self._size > self.KEPT:
            os.ftruncate(self.descriptor, 0)
            self._size = 0
        view, written = memoryview(content), 0
        while written < len(content):
            written += os.pwrite(self.descriptor, view[written:], written)
        self._size = max(self._size, len(content))
        return len(content)

    def read(self, size: int) -> bytes:
        """Return the content.

        Raises
        ------
        OSError
            If there are fewer bytes.
        """
        content = os.pread(self.descriptor, size, 0)
        if len(content) != size:
            raise OSError(f"the buffer holds {len(content)} bytes instead of {size}")
        return content

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)
