"""The command line: parse, call a workflow, turn its report into an exit code. Nothing else in the package prints."""

from regionplot.cli.commands import main

__all__ = ["main"]
