"""Define and run the command `regionplot`. Its subcommands are in the registry."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from regionplot.cli.interrupts import (
    describe_interrupt,
    exit_code,
    raised_interrupt,
    report_unexpected,
    signals_as_interrupts,
)
from regionplot.errors import RegionplotError
from regionplot.registry import COMMANDS
from regionplot.system.signals import ENDING_SIGNALS
from regionplot.text import error_text

_DEFAULT = "render"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_EPILOG = """Exit codes: 0 all maps are up to date; 1 some regions failed, or the deadline has passed; 2 bad command
line, settings, table or output folder; 3 the raster or a vector file is missing or unreadable, or no worker can be
started; 4 another run is drawing into the folder; 128+n ended by signal n."""


class LazyGroup(click.Group):
    """A group whose commands come from the registry. Each command is imported when it is used.

    The default command is `render`. Its name can be left out, and the help of the group shows its options.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS.builtin)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and return it. Return None if no command has this name."""
        return COMMANDS[cmd_name] if cmd_name in COMMANDS.builtin else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Add the name of the default command if the first argument is not the name of a command."""
        if args and args[0] not in {*COMMANDS.builtin, "--help", "-h", "--version"}:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Report an interrupt that the command did not report."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            click.echo(f"regionplot: {describe_interrupt(interrupt)}", err=True)
            return exit_code(interrupt)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage of the default command."""
        formatter.write_usage("regionplot", "[OPTIONS] REGIONS")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the default command, then the other commands."""
        parameters = [*COMMANDS[_DEFAULT].params, *self.get_params(ctx)]
        options = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
        with formatter.section("Options"):
            formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])
        others = [COMMANDS[name] for name in COMMANDS.builtin if name != _DEFAULT]
        with formatter.section("Other commands"):
            formatter.write_dl([(_usage(command), command.get_short_help_str(100)) for command in others])


def _usage(command: click.Command) -> str:
    """Return a command's name, arguments and required options."""
    words = [str(command.name)]
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            words.append(str(parameter.metavar))
        elif parameter.required:
            words.append(f"{parameter.opts[0]} {parameter.metavar}")
    return " ".join(words)


@click.group(
    cls=LazyGroup,
    no_args_is_help=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="regionplot")
def cli() -> None:
    """Draw the map of every region in the table or vector file REGIONS. The data are loaded only once.

    Settings come from --config. Without --config, they come from a regionplot.toml beside REGIONS or in the working
    directory. Without a settings file, give --raster. Options override settings.
    """


def main() -> NoReturn:
    """Run the command and exit with its code."""
    for variable in _THREAD_VARIABLES:  # must be set before numpy is imported
        os.environ.setdefault(variable, "1")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for workers that are not forked
    os.environ["MPLBACKEND"] = "agg"  # matplotlib cannot be imported if the variable names no backend
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # pydantic would search all installed packages for plug-ins
    code = run()
    for number in ENDING_SIGNALS:  # signals must not change the exit code from here on
        signal.signal(number, signal.SIG_IGN)
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):  # the reader of the stream has exited
            stream.flush()
    os._exit(code)  # saves 0.1 s: a normal exit first deletes all objects


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. Errors and signals become messages and exit codes.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command line without the program's name. By default, the command line of this process.
    """
    try:
        with signals_as_interrupts(), warnings.catch_warnings():
            return int(cli.main(arguments, prog_name="regionplot", standalone_mode=False) or 0)
    except RegionplotError as error:
        for problem in error.problems:
            click.echo(f"regionplot: {error_text(str(problem))}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as interrupt:
        return exit_code(interrupt.__cause__ or interrupt)  # click raises Abort from the interrupt
    except SystemExit as ended:  # click ends the command if the reader of its output has exited
        return ended.code if isinstance(ended.code, int) else 1
    except Exception as error:
        if raised := raised_interrupt():
            return exit_code(raised)
        return report_unexpected(error, lambda message: click.echo(f"regionplot: {message}", err=True))
