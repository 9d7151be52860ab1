"""Check whether a process runs, and end with the parent process."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def terminate_with_parent(parent: int, *, forked: bool) -> None:
    """Have this process end when its parent dies, however it dies.

    On Linux the kernel does that (prctl(2)), but it minds the process that forked this one. Under forkserver that is
    the server, which lives as long as its workers do; so a process that was not forked by its parent watches it too.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if not forked:
        threading.Thread(target=_watch_parent, daemon=True).start()
    elif os.getppid() != parent:  # it died before prctl took effect
        os._exit(1)


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def is_running(pid: int) -> bool:
    """Whether a process is still at work; one that only waits to be buried is not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is somebody else's, or the system has no /proc
        return True
    return state not in ("Z", "X")
