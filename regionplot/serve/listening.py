"""Open the socket on which clients connect: TCP, a Unix socket, or a socket of systemd."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from regionplot.errors import ConfigError, Place, Problem

_UNIX = "unix:"
_FIRST_PASSED = 3
"""First file descriptor that systemd passes; see sd_listen_fds(3)."""
_BACKLOG = 2048


def open_listener(bind: str) -> socket.socket:
    """Return a socket that listens.

    Parameters
    ----------
    bind : str
        `HOST:PORT`, or `unix:PATH`. It is ignored if systemd has passed a socket.

    Raises
    ------
    ConfigError
        If the address cannot be used.
    """
    own = str(os.getpid()), str(os.getppid())  # the guard of this process is its parent
    if os.environ.get("LISTEN_PID") in own and os.environ.get("LISTEN_FDS", "0") != "0":
        return socket.socket(fileno=_FIRST_PASSED)
    try:
        listener = _unix(bind.removeprefix(_UNIX)) if bind.startswith(_UNIX) else _tcp(bind)
        listener.listen(_BACKLOG)
    except OSError as error:
        place = Place(section="serve", key="bind")
        raise ConfigError(Problem(f"{bind}: {error.strerror or error}; choose another address", place)) from None
    return listener


def _tcp(bind: str) -> socket.socket:
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except OSError:
        listener.close()
        raise
    return listener


def _unix(name: str) -> socket.socket:
    """Return a Unix socket. Replace a socket that a former process has left."""
    path = Path(name)
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode) and not _is_used(path):
            path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(name)
    except OSError:
        listener.close()
        raise
    return listener


def _is_used(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def address(listener: socket.socket) -> str:
    """Return the address of a listening socket for messages."""
    name = listener.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}/"
