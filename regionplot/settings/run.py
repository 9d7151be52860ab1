"""The `[run]` section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from regionplot.registry import EXECUTORS
from regionplot.settings.base import Section

START_METHODS = ("auto", *EXECUTORS.builtin)
"""Start methods of this package. Other packages can add more."""


def _check_start_method(name: str) -> str:
    if name != "auto" and name not in EXECUTORS:
        raise ValueError(f"use one of {', '.join(dict.fromkeys([*START_METHODS, *EXECUTORS]))}")
    return name


StartMethod = Annotated[
    str,
    AfterValidator(_check_start_method),
    WithJsonSchema({"anyOf": [{"enum": list(START_METHODS)}, {"type": "string"}]}),
]


class RunSettings(Section):
    """`[run]`: the processes."""

    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    start_method: StartMethod = "auto"
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 300
    """Seconds that one map may take."""
    maps_per_worker: Annotated[int, Field(ge=1)] = 12
    """A worker process is replaced by a fresh one after so many maps."""
    memory: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Megabytes that the loaded raster may take; beyond that each map reads its own part of it."""
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    """How often a map whose worker died or ran out of memory is tried again, alone, after all others."""
    worker_memory: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Megabytes that a worker may take beside the shared data (Linux); `auto` sets no limit."""
    nice: Annotated[int, Field(ge=0, le=19)] = 0
    """How far workers give way to other programs, as in nice(1)."""
    cache: bool = True
    """Keep projected vectors in the user's cache folder for the next run."""
