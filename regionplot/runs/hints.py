"""Add hints about settings to the errors of executors. Executors do not know the settings."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from regionplot.errors import ExecutorError
from regionplot.executors.base import OUT_OF_MEMORY, J, Outcome


@contextmanager
def start_hints() -> Iterator[None]:
    """Add a hint about settings to the error of an executor that cannot start a worker process.

    Raises
    ------
    ExecutorError
        The executor's error with the hint.
    """
    try:
        yield
    except ExecutorError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError):
            raise
        less = ", or load less of the raster ([run] memory)" if cause.errno == errno.ENOMEM else ""
        raise ExecutorError(f'{error}{less}, or draw without workers ([run] start_method = "serial")') from cause


def with_memory_hint(outcome: Outcome[J], workers: int) -> Outcome[J]:
    """Add a hint about settings to a failure if the worker ran out of memory.

    Parameters
    ----------
    outcome : Outcome
        Outcome of a map.
    workers : int
        Number of workers of the run.
    """
    failure = outcome.failure
    if failure is None or failure.cause != OUT_OF_MEMORY:
        return outcome
    if failure.memory is not None:
        hint = "; raise the limit with [run] worker_memory"
    else:
        hint = "; use fewer workers ([run] workers)" if workers > 1 else ""
    return replace(outcome, failure=replace(failure, message=failure.message + hint))
