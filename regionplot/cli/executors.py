"""Define the command-line options that choose the executor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from regionplot.registry import EXECUTORS
from regionplot.system.files import exists

_DASK = "dask"


class ExecutorName(click.Choice):  # type: ignore[type-arg]  # generic only since click 8.2
    """The name of an executor, or `auto`. The help lists the executors of this package. Other packages can add more."""

    def __init__(self) -> None:
        super().__init__(["auto", *EXECUTORS.builtin])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name. Search other packages only if this package has no executor of this name."""
        if value not in self.choices and value in EXECUTORS:
            return value
        return super().convert(value, param, ctx)


def with_executor(overrides: Mapping[str, Any], name: str | None, scheduler: str | None) -> dict[str, Any]:
    """Return settings of options, with the keys of `[run]` for the options that choose the executor.

    If one of these options is given, the result also has the other keys that choose the executor. So no such key of the
    settings file remains. One case is different: `--executor dask` alone uses the scheduler of the file.

    Parameters
    ----------
    overrides : mapping
        Settings that options give, by section.
    name : str, optional
        Value of `--executor`.
    scheduler : str, optional
        Value of `--scheduler`: an address, or an existing file.
    """
    keys = _executor_keys(name, scheduler)
    return {**overrides, "run": {**overrides.get("run", {}), **keys}} if keys else dict(overrides)


def _executor_keys(name: str | None, scheduler: str | None) -> dict[str, Any]:
    if scheduler is None:
        keys = {} if name is None else {"start_method": name, "executor": name}
        return keys if name in (None, _DASK) else {**keys, "scheduler": "", "scheduler_file": None}
    chosen = {"start_method": name or _DASK, "executor": name or _DASK}
    if "://" not in scheduler and exists(Path(scheduler)):
        return {**chosen, "scheduler": "", "scheduler_file": scheduler}
    return {**chosen, "scheduler": scheduler, "scheduler_file": None}
