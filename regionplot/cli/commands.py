"""The command and its few subcommands; `regionplot regions.csv` always renders."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionplot.cli.prepare import prepare
from regionplot.errors import ConfigError, RegionplotError

if TYPE_CHECKING:
    from regionplot.config import Config

_STARTER = Path(__file__).parent / "starter"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_GC_THRESHOLD = 100_000
"""New objects between two garbage collections: imports make many and leave little garbage."""
_EPILOG = """Exit codes: 0 all maps drawn; 1 some regions failed; 2 bad command line, config or table of regions;
3 the raster or a vector file is unreadable; 4 another run is drawing into the folder; 128+n ended by signal n."""


class EndedBySignal(KeyboardInterrupt):
    """SIGTERM or SIGHUP, ending a run in the same order as Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


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
@click.option("--features", metavar="PATH", multiple=True, help="A vector layer to draw over it; repeatable.")
@click.option("-o", "--output", metavar="DIR", help="Folder for the maps.")
@click.option("-j", "--workers", metavar="N|auto", help="Worker processes; auto is one for each usable CPU.")
@click.option(
    "--start-method",
    type=click.Choice(["auto", "fork", "forkserver", "spawn", "serial"]),
    help="How workers are started; auto is fork where that is safe.",
)
@click.option("--only", metavar="PATTERN", multiple=True, help="Only regions whose name matches the glob; repeatable.")
@click.option("--force", is_flag=True, help="Draw maps on which nothing has changed, too.")
@click.option("--timeout", metavar="SECONDS", type=float, help="Longest time for one map.")
@click.option("--no-cache", is_flag=True, help="Project the vectors anew, and do not keep them.")
@click.option("--profile", is_flag=True, help="Print where the time went, by stage.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print every map and what is done.")
def render(regions: Path, config_file: Path | None, only: tuple[str, ...], *, force: bool, **options: Any) -> int:
    """Draw the map of every region in the table REGIONS."""
    from regionplot.batch import render_regions  # noqa: PLC0415 (so that --help is quick)
    from regionplot.cli.display import make_display, stage_table  # noqa: PLC0415

    quiet, verbose, profile = (options.pop(name) for name in ("quiet", "verbose", "profile"))
    _set_up_logging(verbose=verbose)
    display = make_display(quiet=quiet, verbose=verbose)
    try:
        config = _read_settings(regions, config_file, options)
        with display:
            report = render_regions(regions, config, only=only, force=force, observer=display)
    except KeyboardInterrupt as interrupt:
        number = interrupt.number if isinstance(interrupt, EndedBySignal) else signal.SIGINT
        display.interrupted(signal.Signals(number).name)
        return 128 + int(number)
    display.summarize(report, config.output.directory)
    if profile:
        display.say(stage_table(report))
    return report.exit_code


@cli.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init(directory: Path) -> int:
    """Write a commented regionplot.toml and regions.csv to start from."""
    targets = [directory / source.name for source in sorted(_STARTER.iterdir())]
    taken = [str(target) for target in targets if target.exists()]
    if taken:
        raise ConfigError(f"{' and '.join(taken)}: already there, and not overwritten; name another folder")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for target in targets:
            target.write_text((_STARTER / target.name).read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror or error}") from None
    click.echo(f"Wrote {' and '.join(map(str, targets))}.\nNow: regionplot {directory / 'regions.csv'}")
    return 0


cli.add_command(prepare)
_OTHERS = (("init [DIR]", init), ("prepare INPUTS... -o OUT", prepare))


def _read_settings(regions: Path, config_file: Path | None, options: dict[str, Any]) -> Config:
    """The config file, if there is one, under what the command line says."""
    from regionplot.config import DEFAULT_NAME, read_config  # noqa: PLC0415

    nearby = [regions.parent / DEFAULT_NAME, Path(DEFAULT_NAME)]
    source = config_file or next((path for path in nearby if path.is_file()), None)
    if source is None and not options["raster"]:
        places = " or ".join(dict.fromkeys(str(path.absolute()) for path in nearby))
        raise ConfigError(
            f"no settings: there is no {places}; give --config FILE or --raster PATH, or run regionplot init"
        )
    return read_config(source, _overrides(options))


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    """Options as config sections; those that were not given are left out."""
    workers = options["workers"]
    sections: dict[str, dict[str, Any]] = {
        "raster": {"path": options["raster"]},
        "output": {"directory": options["output"]},
        "run": {
            "workers": int(workers) if workers and workers.isdecimal() else workers,
            "start_method": options["start_method"],
            "timeout": options["timeout"],
            "cache": False if options["no_cache"] else None,
        },
    }
    given = {name: {key: v for key, v in section.items() if v is not None} for name, section in sections.items()}
    overrides: dict[str, Any] = {name: section for name, section in given.items() if section}
    if options["features"]:
        overrides["features"] = [{"path": path} for path in options["features"]]
    return overrides


def _set_up_logging(*, verbose: bool) -> None:
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("regionplot").setLevel(logging.INFO if verbose else logging.ERROR)


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    def interrupt(number: int, _frame: object) -> None:
        raise EndedBySignal(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Run the command and exit with its code."""
    for variable in _THREAD_VARIABLES:  # before numpy: one worker for each CPU already keeps them all busy
        os.environ.setdefault(variable, "1")
    gc.set_threshold(_GC_THRESHOLD)
    code = run()
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):  # nobody is left to read it
            stream.flush()
    os._exit(code)  # taking the interpreter down, object by object, would take a tenth of a second more


def run() -> int:
    """Run the command; errors and signals become messages and exit codes."""
    try:
        with _signals_as_interrupts():
            return int(cli.main(standalone_mode=False) or 0)
    except RegionplotError as error:
        for problem in error.problems:
            click.echo(f"regionplot: {problem}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as interrupt:
        cause = interrupt.__cause__ or interrupt  # click makes an Abort of what it was interrupted by
        return 128 + (cause.number if isinstance(cause, EndedBySignal) else int(signal.SIGINT))
    except Exception:
        logging.getLogger("regionplot").critical("this is a bug in regionplot; please report it", exc_info=True)
        return 1
