"""The `[run]` section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from regionplot.registry import EXECUTORS
from regionplot.settings.base import NOT_IN_DIGEST, InputPath, Section, Text
from regionplot.settings.command import CommandSetting

START_METHODS = ("auto", *EXECUTORS.builtin)
"""Start methods that this package provides. Other packages can add more."""


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
    """Number, start method and limits of the workers."""

    workers: Annotated[Annotated[int, Field(ge=1, le=1024)] | Literal["auto"], NOT_IN_DIGEST] = "auto"
    """Number of workers; `auto` is one per usable CPU, but at most one per map."""
    start_method: Annotated[StartMethod, NOT_IN_DIGEST] = "auto"
    """How workers are started; `auto` is `fork` on Linux, if the program has one thread."""
    executor: Annotated[StartMethod, NOT_IN_DIGEST] = "auto"
    """Another name of `start_method`."""
    scheduler: Annotated[Text, NOT_IN_DIGEST] = ""
    """Address of the scheduler of a dask cluster, such as `tcp://host:8786`. `local`, and `dask` without an address,
    start a cluster on this machine."""
    scheduler_file: Annotated[InputPath | None, NOT_IN_DIGEST] = None
    """File of a dask scheduler that contains its address, as written by `dask scheduler --scheduler-file`."""
    output: Annotated[Literal["auto", "gather"], NOT_IN_DIGEST] = "auto"
    """Who writes the maps of a dask cluster. `auto`: a worker that does not see the output folder sends its maps to the
    client, which writes them. `gather`: all workers send their maps. Other executors write their maps."""
    timeout: Annotated[float, Field(gt=0, le=86_400), NOT_IN_DIGEST] = 300
    """Time limit for one map in seconds."""
    maps_per_worker: Annotated[int, Field(ge=1), NOT_IN_DIGEST] = 200
    """Number of maps after which a worker process is replaced by a new process."""
    memory: Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], NOT_IN_DIGEST] = "auto"
    """Memory limit for the loaded raster in MB. If the raster is larger, each map reads its own part."""
    retries: Annotated[int, Field(ge=0, le=10), NOT_IN_DIGEST] = 1
    """How often to redo a map whose worker died or ran out of memory. Retries run alone, after all other maps."""
    worker_memory: Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], NOT_IN_DIGEST] = "auto"
    """Memory limit per worker in MB, not counting the shared data (Linux only). `auto`: no limit."""
    nice: Annotated[int, Field(ge=0, le=19), NOT_IN_DIGEST] = 0
    """Scheduling priority of the workers, as in nice(1)."""
    cache: Annotated[bool, NOT_IN_DIGEST] = True
    """Reuse projected vectors, prepared rasters and drawn ink of earlier runs from the user's cache folder."""
    on_published: Annotated[CommandSetting | None, NOT_IN_DIGEST] = None
    """Command that is run after a run is published, without a shell: a list of the program and its arguments. Fields of
    the arguments are path, time, maps, drawn and failed."""
    on_published_timeout: Annotated[float, Field(gt=0, le=86_400), NOT_IN_DIGEST] = 300
    """Time limit for the command of `on_published` in seconds."""

    @model_validator(mode="after")
    def _check_method(self) -> RunSettings:
        """Check that the keys that choose the executor agree."""
        if "auto" not in (self.executor, self.start_method) and self.executor != self.start_method:
            raise ValueError("executor and start_method differ; give only one of them")
        if self.scheduler and self.scheduler_file is not None:
            raise ValueError("scheduler and scheduler_file exclude each other; give only one of them")
        if self.has_scheduler and self.method != "dask":
            raise ValueError(f"only dask has a scheduler, but the executor is {self.method}; set executor to dask")
        return self

    @property
    def has_scheduler(self) -> bool:
        """True if a key names the scheduler of a dask cluster."""
        return bool(self.scheduler) or self.scheduler_file is not None

    @property
    def method(self) -> str:
        """Name of the executor, or `auto`. A scheduler selects dask."""
        chosen = self.start_method if self.executor == "auto" else self.executor
        return "dask" if self.has_scheduler and chosen == "auto" else chosen

    @property
    def cluster(self) -> str | Path | None:
        """Address or file of the scheduler of a running dask cluster, or None."""
        return self.scheduler_file or (self.scheduler if self.scheduler not in ("", "local") else None)

    @property
    def needs_time(self) -> bool:
        """True if the command of `on_published` needs the time of the data."""
        return self.on_published is not None and self.on_published.needs_time
