"""Run the command of `[run] on_published` after a run is published."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from shutil import which
from typing import Any, NamedTuple

from regionplot.runs.report import RunReport
from regionplot.settings.command import Command
from regionplot.settings.run import RunSettings
from regionplot.system.programs import ProgramEnd, run_program
from regionplot.text import TemplateError, one_line, render

logger = logging.getLogger(__name__)
_LONGEST_LINE = 300
"""Number of characters of a line of the error output that are shown."""


class CommandResult(NamedTuple):
    """The result of a command, for the manifest."""

    command: tuple[str, ...]
    """The program and its arguments, with their fields filled in."""
    exit_code: int | None
    """Exit code. None: the command could not be started, or exceeded its time limit."""
    seconds: float
    error: str | None
    """The failure. None: the command succeeded."""

    @property
    def items(self) -> dict[str, Any]:
        """The result as an object of JSON."""
        return {**self._asdict(), "command": list(self.command), "seconds": round(self.seconds, 3)}


def command_problem(command: Command) -> str:
    """Return the reason why the program of a command cannot be started, or an empty text."""
    if which(command.program) is not None:
        return ""
    where = "there is no such program" if Path(command.program).name == command.program else "it is not a program"
    return f"{command.program!r}: {where}; check the name, and that the file can be executed"


def run_on_published(settings: RunSettings, folder: Path, report: RunReport, moment: object) -> CommandResult | None:
    """Run the command of the settings. Log its failure. Return None if there is no command.

    Parameters
    ----------
    settings : RunSettings
        The section `[run]`.
    folder : Path
        Folder of the published maps.
    report : RunReport
        Report of the run.
    moment : datetime or object
        Time of the data. An object of another type means that the time is unknown.
    """
    command = settings.on_published
    if command is None:
        return None
    start = time.monotonic()
    try:
        arguments = _arguments(command, folder, report, moment)
    except TemplateError as error:
        return _logged(CommandResult(command.arguments, None, 0.0, str(error)))
    code, failure = _run(arguments, settings.on_published_timeout)
    return _logged(CommandResult(arguments, code, time.monotonic() - start, failure))


def _arguments(command: Command, folder: Path, report: RunReport, moment: object) -> tuple[str, ...]:
    fields: dict[str, object] = {
        "path": str(folder.absolute()),
        "maps": len(report.drawn) + len(report.unchanged),
        "drawn": len(report.drawn),
        "failed": len(report.failed),
    }
    if isinstance(moment, datetime):
        fields["time"] = moment
    elif command.needs_time:
        raise TemplateError("cannot be started, because the time of the data is unknown; remove {time}")
    return (command.program, *(render(text, fields) for text in command.arguments[1:]))


def _run(arguments: Sequence[str], seconds: float) -> tuple[int | None, str | None]:
    """Return the exit code of a command, and its failure."""
    try:
        end = run_program(arguments, seconds)
    except OSError as error:
        return None, f"cannot be started: {error.strerror or error}"
    return end.exit_code, _failure(end, seconds)


def _failure(end: ProgramEnd, seconds: float) -> str | None:
    if end.exit_code == 0:
        return None
    if end.exit_code is None:
        what = f"exceeded its time limit of {seconds:g} s (on_published_timeout) and was ended"
    elif end.exit_code < 0:
        what = f"was killed by signal {-end.exit_code}"
    else:
        what = f"ended with exit code {end.exit_code}"
    lines = [one_line(line[:_LONGEST_LINE]) for line in end.errors]
    return f"{what}: {' | '.join(lines)}" if lines else what


def _logged(result: CommandResult) -> CommandResult:
    name = result.command[0]
    if result.error is None:
        logger.info("[run] on_published: %s ended after %.1f s", name, result.seconds)
    else:
        logger.error("[run] on_published: %s %s; the maps are published", name, result.error)
    return result
