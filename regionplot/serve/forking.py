"""Fork the processes of the service."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from regionplot.system.guard import leave_guard
from regionplot.system.processes import terminate_with_parent
from regionplot.system.signals import ending_signals_held, release_ending_signals


def fork(main: Callable[[], int]) -> int:
    """Run a function in a forked process, which ends with its parent. Return the process id.

    The process ignores SIGINT and SIGHUP, because the parent reacts to them. SIGTERM ends it.

    Parameters
    ----------
    main : callable
        Called in the forked process. Returns the exit code.

    Raises
    ------
    OSError
        If no process can be started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    with ending_signals_held():
        pid = os.fork()
        if not pid:
            _run(main, parent)
    return pid


def _run(main: Callable[[], int], parent: int) -> None:
    code = 1
    try:
        leave_guard()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        release_ending_signals()
        terminate_with_parent(parent)
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)
