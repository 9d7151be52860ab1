"""Define the type of command-line options that take the name of an executor."""

from __future__ import annotations

from typing import Any

import click

from regionplot.registry import EXECUTORS


class ExecutorName(click.Choice):  # type: ignore[type-arg]  # generic only since click 8.2
    """The name of an executor, or `auto`. The help lists the executors of this package. Other packages can add more."""

    def __init__(self) -> None:
        super().__init__(["auto", *EXECUTORS.builtin])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name. Search other packages only if this package has no executor of this name."""
        if value not in self.choices and value in EXECUTORS:
            return value
        return super().convert(value, param, ctx)
