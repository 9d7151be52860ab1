"""Run another program with a time limit, without a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any, NamedTuple

_TAIL_BYTES = 4096
_TAIL_LINES = 5
_PATIENCE = 2.0
"""Seconds between SIGTERM and SIGKILL."""


class ProgramEnd(NamedTuple):
    """The end of a program."""

    exit_code: int | None
    """Exit code; negative: the number of the signal that killed the program. None: it exceeded the time limit."""
    errors: tuple[str, ...]
    """The last lines that the program wrote to its error output."""


def run_program(arguments: Sequence[str], seconds: float) -> ProgramEnd:
    """Run a program without a shell and without input. Its output is discarded.

    The program is the leader of a new session. If it exceeds the time limit, or this process is interrupted, all
    processes of the session's group are killed.

    Parameters
    ----------
    arguments : sequence of str
        The program and its arguments.
    seconds : float
        Time limit.

    Raises
    ------
    OSError
        If the program cannot be started.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.returncode is None:
                _stop(process)
        return ProgramEnd(code, _last_lines(errors))


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and the processes that it has started."""
    _kill(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
    _kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()


def _kill(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.terminate()


def _last_lines(file: IO[Any]) -> tuple[str, ...]:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    lines = file.read(_TAIL_BYTES).decode(errors="replace").splitlines()
    return tuple(line.rstrip() for line in lines if line.strip())[-_TAIL_LINES:]
