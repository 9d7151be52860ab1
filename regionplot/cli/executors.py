"""Define the command-line type of executor names."""

from __future__ import annotations

from typing import Any

import click

from regionplot.registry import EXECUTORS


class ExecutorName(click.Choice):  # type: ignore[type-arg]  # generic since click 8.2 only
    """The name of an executor, or `auto`. The help names the executors of this package. Other packages can add more."""

    def __init__(self) -> None:
        super().__init__(["auto", *EXECUTORS.builtin])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name. Search for executors of other packages only if the name is not one of this package."""
        if value not in self.choices and value in EXECUTORS:
            return value
        return super().convert(value, param, ctx)
