"""Call functions in child processes."""

from __future__ import annotations

import os
import threading

import pytest

from regionplot.errors import OutputError, RasterError
from regionplot.runs.child_call import call_in_child


def test_threads_end_with_the_child() -> None:
    def work() -> tuple[int, int]:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return os.getpid(), threading.active_count()

    before = threading.active_count()
    pid, threads = call_in_child(work, "work")
    assert pid != os.getpid()
    assert threads == 2
    assert threading.active_count() == before
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_errors_of_the_function_are_raised() -> None:
    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(RasterError, match="no such grid"):
        call_in_child(lambda: fail(RasterError("no such grid")), "work")
    with pytest.raises(OutputError, match="no room"):
        call_in_child(lambda: fail(OSError("no room")), "work")


def test_a_child_that_dies_is_an_error() -> None:
    with pytest.raises(OutputError, match="s3://bucket: the process died with exit code 7"):
        call_in_child(lambda: os._exit(7), "s3://bucket")
