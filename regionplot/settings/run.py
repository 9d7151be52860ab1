"""The `[run]` section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from regionplot.registry import EXECUTORS
from regionplot.settings.base import NOT_IN_DIGEST, Section

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
    """`[run]`: the worker processes."""

    workers: Annotated[Annotated[int, Field(ge=1, le=1024)] | Literal["auto"], NOT_IN_DIGEST] = "auto"
    start_method: Annotated[StartMethod, NOT_IN_DIGEST] = "auto"
    timeout: Annotated[float, Field(gt=0, le=86_400), NOT_IN_DIGEST] = 300
    """Time limit for one map in seconds."""
    maps_per_worker: Annotated[int, Field(ge=1), NOT_IN_DIGEST] = 12
    """A worker process is replaced by a fresh one after this many maps."""
    memory: Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], NOT_IN_DIGEST] = "auto"
    """Memory limit for the loaded raster in MB. If the raster is larger, each map reads its own part."""
    retries: Annotated[int, Field(ge=0, le=10), NOT_IN_DIGEST] = 1
    """How often to redo a map whose worker died or ran out of memory. Retries run alone, after all other maps."""
    worker_memory: Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], NOT_IN_DIGEST] = "auto"
    """Memory limit per worker in MB, beside the shared data (Linux only); `auto` is no limit."""
    nice: Annotated[int, Field(ge=0, le=19), NOT_IN_DIGEST] = 0
    """Scheduling priority of the workers, as in nice(1)."""
    cache: Annotated[bool, NOT_IN_DIGEST] = True
    """Keep projected vectors in the user's cache folder for the next run."""
