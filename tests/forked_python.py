"""Run a Python program whose own Python programs are forks of this process, which has imported the libraries.

``forked_python.py PROGRAM [ARGUMENT ...]`` runs a program that starts further programs with `subprocess` and
`sys.executable`. Such a program is forked instead of executed. Its process has streams, an environment, a working
directory and an exit status of its own. So are the processes that `multiprocessing` spawns: they get their pickled
target, but do not import the libraries again. Other commands, such as those of other interpreters, are executed.
"""

from __future__ import annotations

import atexit
import multiprocessing.util
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

_MOST_DESCRIPTORS = os.sysconf("SC_OPEN_MAX")


class ForkedPopen(subprocess.Popen):
    """A process that is forked if its command is a Python program of this interpreter."""

    def _execute_child(self, args: Any, *options: Any) -> None:
        """Replace the method of the standard library. `options` are the further arguments of that method."""
        if isinstance(args, str) or args[0] != sys.executable:
            super()._execute_child(args, *options)
            return
        _, _, _, _, folder, environment, _, _, _, *pipes = options[:15]
        in_read, in_write, out_read, out_write, err_read, err_write = pipes
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            _become([str(arg) for arg in args[1:]], [in_read, out_write, err_write], folder, environment)
        self._child_created = True
        self._close_pipe_fds(in_read, in_write, out_read, out_write, err_read, err_write)


_execute = multiprocessing.util.spawnv_passfds


def spawn_forked(path: str, args: Sequence[str], passed: Sequence[int]) -> int:
    """Start a process of `multiprocessing` as a fork; like `spawnv_passfds`, it inherits only some descriptors."""
    if args[-1] != "--multiprocessing-fork":
        return _execute(path, args, passed)
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        kept = sorted({0, 1, 2, *passed})
        for low, high in zip(kept, [*kept[1:], _MOST_DESCRIPTORS], strict=True):
            os.closerange(low + 1, high)
        _become(list(args[args.index("-c") :]), [], None, None)
    return pid


def _become(arguments: list[str], streams: Sequence[int], folder: Any, environment: Any) -> NoReturn:
    """Run a Python program in this process, and exit."""
    try:
        atexit._clear()  # the exit of this process does not delete temporary folders of its parent
        for number, stream in enumerate(streams):
            if stream != -1:
                os.dup2(stream, number)
        os.chdir(folder or ".")
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        _inherited = sys.stdout, sys.stderr  # as long as these exist, they do not close their descriptors
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (open as long as the process lives)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
        run_program(arguments)
        code: object = 0
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def run_program(arguments: list[str]) -> None:
    """Run a program as the interpreter does for these arguments: ``-c CODE``, ``-m MODULE ...`` or ``FILE ...``."""
    first, *rest = arguments
    if first == "-c":
        sys.argv = [first, *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    subprocess.Popen = ForkedPopen  # type: ignore[misc]
    multiprocessing.util.spawnv_passfds = spawn_forked
    _become(sys.argv[1:], [], None, None)
