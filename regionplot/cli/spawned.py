"""Execute one run of `--watch` in a new process, on platforms that cannot fork."""

from __future__ import annotations

import multiprocessing
import sys

from regionplot.cli.render_once import Prepared, render_once, set_up
from regionplot.cli.request import Request
from regionplot.settings.config import Config

_TERMINATE_TIMEOUT = 5.0
"""Seconds that a run may take to clean up when a signal ends the watcher."""


def run_in_spawned_process(request: Request, config: Config) -> int:
    """Execute one run in a new process and return its exit code. If this process is interrupted, end the run first.

    The new process imports the package and loads the layers again.
    """
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(request, config))
    process.start()
    try:
        process.join()
    except KeyboardInterrupt:
        process.terminate()
        process.join(_TERMINATE_TIMEOUT)
        process.kill()
        process.join()
        raise
    code = process.exitcode
    return 1 if code is None else code


def _run(request: Request, config: Config) -> None:
    """Execute one run and exit with its code. Called in the new process."""
    set_up(request)
    sys.exit(render_once(request, Prepared(config)))
