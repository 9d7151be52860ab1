"""Check whether a process is running, and end a worker process when its parent dies."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def terminate_with_parent(parent: int) -> None:
    """End this forked process when its parent dies for any reason. This needs Linux.

    Parameters
    ----------
    parent : int
        Process id of the parent.
    """
    _request_death_signal()
    if os.getppid() != parent:  # the parent died before prctl took effect
        os._exit(1)


def watch_parent() -> None:
    """End this process, which was started by spawn or forkserver, when its parent dies.

    The kernel watches the process that forked this process. Under forkserver, the server forked this process, and the
    server lives as long as its workers. A thread therefore watches the parent.
    """
    _request_death_signal()
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def end_with_parent() -> None:
    """End this process, which was started by forkserver, when its parent dies. This needs Linux.

    No thread is needed, so this process can fork safely. The parent holds one end of a pipe. When this end is closed,
    the kernel kills this process: see F_SETSIG in fcntl(2).
    """
    import fcntl  # noqa: PLC0415 (not on every platform)
    import multiprocessing  # noqa: PLC0415 (only processes that are not forked need it)

    _request_death_signal()
    parent = multiprocessing.parent_process()
    assert parent is not None, "multiprocessing has started this process"
    pipe = parent.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if not parent.is_alive():  # the parent died before fcntl took effect
        os._exit(1)


def _request_death_signal() -> None:
    """Make the kernel kill this process when the process that forked this process dies; see prctl(2). Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _exit_after_parent() -> None:
    import multiprocessing  # noqa: PLC0415 (only workers that are not forked need it)

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def is_running(pid: int) -> bool:
    """Return True if a process is running. A zombie is not running."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # the process belongs to another user, or the system has no /proc
        return True
    return state not in ("Z", "X")


def start_time(pid: int) -> int | None:
    """Return the start time of a process in clock ticks since boot, or None if there is no such process.

    Process ids are reused. Id and start time together identify a process of one boot.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def host_name() -> str:
    """Return the name of this machine."""
    if hasattr(os, "uname"):
        return os.uname().nodename  # as `socket.gethostname`, without the import of a module that is not needed here
    import socket  # noqa: PLC0415 (Windows)

    return socket.gethostname()


def boot_id() -> str:
    """Return an id that changes when the machine starts; empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
