"""The command line: parse options, start a run, show its progress, and turn its report into an exit code.

This is the only package that prints.
"""

from regionplot.cli.start import main

__all__ = ["main"]
