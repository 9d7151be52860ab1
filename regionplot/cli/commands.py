"""Define the command and its subcommands. `regionplot regions.csv` means `regionplot render regions.csv`."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from regionplot.cli.executors import ExecutorName
from regionplot.cli.interrupts import ENDING, exit_code, log_unexpected, signals_as_interrupts
from regionplot.cli.prepare import prepare
from regionplot.errors import ConfigError, RegionplotError

_STARTER = Path(__file__).parent / "starter"


_SCHEMA = Path(__file__).parents[1] / "settings" / "regionplot.schema.json"


_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


_GC_THRESHOLD = 100_000
"""New objects between two garbage collections: imports make many and leave little garbage."""


_LONGEST = 366 * 86_400
"""Seconds; a longer wait or deadline is a slip."""


_EPILOG = """Exit codes: 0 all maps drawn; 1 some regions failed, or the deadline has passed; 2 bad command line, config
or table of regions; 3 the raster or a vector file is unreadable; 4 another run is drawing into the folder; 128+n ended
by signal n."""


def _some_time(_context: click.Context, _option: click.Parameter, seconds: float | None) -> float | None:
    """A time as a timer takes it: click's own ranges let nan pass."""
    if seconds is not None and not 0 < seconds <= _LONGEST:
        raise click.BadParameter(f"{seconds:g} is not between 0 and {_LONGEST:,} seconds.")
    return seconds


class _RendersByDefault(click.Group):
    """A group whose `render` command need not be named, and whose help is that of `render`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help", "-h", "--version"}:
            args = ["render", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("regionplot", "[OPTIONS] REGIONS")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        named = [param for param in render.params if isinstance(param, click.Option)]
        options = [record for param in named if (record := param.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl([*options, *own])
        with formatter.section("Other commands"):
            formatter.write_dl([(usage, command.get_short_help_str(80)) for usage, command in _OTHERS])


@click.group(
    cls=_RendersByDefault,
    no_args_is_help=True,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="regionplot")
def cli() -> None:
    """Draw the map of every region in the table REGIONS, from data that is loaded once.

    Settings come from --config, or else from a regionplot.toml beside REGIONS or in the working directory; without any,
    --raster is enough. Options override settings.
    """


@cli.command(hidden=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("regions", type=click.Path(path_type=Path))
@click.option("-c", "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Settings (TOML).")
@click.option("--raster", metavar="PATH", help="The raster to draw; sample:relief is built in.")
@click.option("--crs", metavar="CRS", help="CRS of a raster that names none, such as EPSG:4326.")
@click.option("--features", metavar="PATH", multiple=True, help="A vector layer to draw over it; repeatable.")
@click.option("-o", "--output", metavar="DIR", help="Folder for the maps.")
@click.option("-j", "--workers", metavar="N|auto", help="Worker processes; auto is one for each usable CPU.")
@click.option(
    "--start-method",
    type=ExecutorName(),
    help="How workers are started; auto is fork if that is safe.",
)
@click.option("--only", metavar="PATTERN", multiple=True, help="Only regions whose name matches the glob; repeatable.")
@click.option("--force", is_flag=True, help="Draw maps on which nothing has changed, too.")
@click.option("--allow-empty", is_flag=True, help="Take a table without regions for nothing to do, not for an error.")
@click.option("--timeout", metavar="SECONDS", type=float, help="Longest time for one map.")
@click.option(
    "--wait-for",
    metavar="SECONDS",
    type=float,
    callback=_some_time,
    help="Longest wait for the raster to be there, and complete.",
)
@click.option("--watch", is_flag=True, help="Stay, and draw each time the raster is renewed.")
@click.option("--deadline", metavar="SECONDS", type=float, callback=_some_time, help="Longest time for the whole run.")
@click.option("--no-cache", is_flag=True, help="Project the vectors anew, and do not keep them.")
@click.option("--profile", is_flag=True, help="Print where the time went, by stage.")
@click.option("--log-file", metavar="FILE", type=click.Path(path_type=Path), help="Log the run there, too; it rotates.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of the log and of errors.")
@click.option("--metrics", metavar="FILE", type=click.Path(path_type=Path), help="Numbers of the run for Prometheus.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print every map and what is done.")
def render(**options: Any) -> int:
    """Draw the map of every region in the table REGIONS."""
    from regionplot.cli.rendering import render_once, set_up  # noqa: PLC0415 (so that --help is quick)
    from regionplot.cli.request import Request  # noqa: PLC0415

    watching = options.pop("watch")
    if watching and options["wait_for"] is not None:
        raise click.UsageError("--watch waits for the raster by itself; leave --wait-for out.")
    request = Request.of(**options)
    set_up(request)
    if watching:
        from regionplot.cli.watch import watch  # noqa: PLC0415

        return watch(request)
    return render_once(request)


@cli.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init(directory: Path) -> int:
    """Write a commented regionplot.toml and regions.csv to start from."""
    sources = [_SCHEMA, *sorted(_STARTER.iterdir())]
    targets = [directory / source.name for source in sources]
    taken = [str(target) for target in targets if target.exists()]
    if taken:
        raise ConfigError(f"{' and '.join(taken)}: already there, and not overwritten; name another folder")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for source, target in zip(sources, targets, strict=True):
            target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror or error}") from None
    click.echo(f"Wrote {' and '.join(map(str, targets))}.\nNow: regionplot {directory / 'regions.csv'}")
    return 0


@cli.command()
def schema() -> int:
    """Print the JSON Schema of regionplot.toml, with the layers and steps of installed plug-ins."""
    from regionplot.settings.schema import schema_text  # noqa: PLC0415 (so that --help is quick)

    click.echo(schema_text(), nl=False)
    return 0


cli.add_command(prepare)


_OTHERS = (("init [DIR]", init), ("prepare INPUTS... -o OUT", prepare), ("schema", schema))


def main() -> None:
    """Run the command and exit with its code."""
    for variable in _THREAD_VARIABLES:  # before numpy: one worker for each CPU already keeps them all busy
        os.environ.setdefault(variable, "1")
    gc.set_threshold(_GC_THRESHOLD)
    code = run()
    for name in ENDING:  # the exit code is settled
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):  # nobody is left to read it
            stream.flush()
    os._exit(code)  # taking the interpreter down, object by object, would take a tenth of a second more


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. Errors and signals become messages and exit codes.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command line without the program's name; by default, that of this process.
    """
    try:
        with signals_as_interrupts():
            return int(cli.main(arguments, prog_name="regionplot", standalone_mode=False) or 0)
    except RegionplotError as error:
        for problem in error.problems:
            click.echo(f"regionplot: {problem}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as interrupt:
        return exit_code(interrupt.__cause__ or interrupt)  # click makes an Abort of what it was interrupted by
    except Exception:
        log_unexpected()
        return 1
