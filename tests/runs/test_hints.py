"""A run adds hints about settings to the errors of executors."""

from __future__ import annotations

import errno
import logging
import os

import pytest

from regionplot.errors import ExecutorError
from regionplot.executors.base import Failure, Outcome
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.hints import start_hints, with_memory_hint
from regionplot.runs.run import render_regions


def raise_like_an_executor(code):
    error = OSError(code, os.strerror(code))
    raise ExecutorError(f"no worker process can be started: {error.strerror}; a remedy") from error


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.EMFILE, '; a remedy, or draw without workers ([run] start_method = "serial")'),
        (
            errno.ENOMEM,
            "; a remedy, or load less of the raster ([run] memory), "
            'or draw without workers ([run] start_method = "serial")',
        ),
    ],
)
def test_failed_start_names_settings_that_help(code, hint):
    with pytest.raises(ExecutorError) as caught, start_hints():
        raise_like_an_executor(code)
    assert str(caught.value).endswith(hint)
    assert caught.value.__cause__.errno == code


def test_other_errors_of_executors_are_unchanged():
    error = ExecutorError("worker processes die before they start a job")
    with pytest.raises(ExecutorError) as caught, start_hints():
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("failure", "workers", "expected"),
    [
        (Failure("memory", "out of memory", memory=300), 2, "out of memory; raise the limit with [run] worker_memory"),
        (Failure("memory", "out of memory"), 2, "out of memory; use fewer workers ([run] workers)"),
        (Failure("memory", "out of memory"), 1, "out of memory"),
        (Failure("timeout", "too late"), 2, "too late"),
    ],
)
def test_map_without_enough_memory_names_the_setting_that_helps(failure, workers, expected):
    outcome = with_memory_hint(Outcome("job", failure=failure), workers)
    assert outcome.failure.message == expected


def test_outcome_without_failure_is_unchanged():
    assert with_memory_hint(Outcome("job", "value"), 2) == Outcome("job", "value")


@pytest.mark.parametrize(("run", "is_logged"), [({"timeout": 60}, True), ({}, False)], ids=str)
def test_time_limit_without_effect_is_logged(run, is_logged, make_config, caplog):
    config = make_config(map={"size": [300, 200]}, run={"start_method": "serial", **run})
    with caplog.at_level(logging.INFO, "regionplot"):
        render_regions([Region("east", Extent(-84.5, -75.3, 33.8, 36.7))], config)
    assert ("[run] timeout has no effect: start method 'serial' cannot stop a map" in caplog.messages) == is_logged
