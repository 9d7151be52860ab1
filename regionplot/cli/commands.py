"""The command and its few subcommands; `regionplot regions.csv` always renders."""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionplot.errors import ConfigError, RegionplotError

if TYPE_CHECKING:
    from regionplot.cli.session import Session
    from regionplot.config import Config
    from regionplot.report import RunReport

_STARTER = Path(__file__).parent / "starter"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_TIDYING = 3.0
"""Seconds that the end of a run may take; the supervisor gives workers two."""
_GC_THRESHOLD = 100_000
"""New objects between two garbage collections: imports make many and leave little garbage."""
_LONGEST = 366 * 86_400
"""Seconds; a longer wait or deadline is a slip."""
_AGAIN = 5.0
"""Seconds after which a deadline strikes again: an exception raised inside a destructor is lost."""
_EPILOG = """Exit codes: 0 all maps drawn; 1 some regions failed, or the deadline has passed; 2 bad command line, config
or table of regions; 3 the raster or a vector file is unreadable; 4 another run is drawing into the folder; 128+n ended
by signal n."""


class EndedBySignal(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP, ending a run in order."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.exit_code = 128 + int(number)


class DeadlinePassed(KeyboardInterrupt):
    """The time for the whole run is over; it ends in the same order as by Ctrl-C."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.exit_code = 1


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
            formatter.write_dl([("init [DIR]", init.get_short_help_str(80))])


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
    type=click.Choice(["auto", "fork", "forkserver", "spawn", "serial"]),
    help="How workers are started; auto is fork where that is safe.",
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
@click.option("--deadline", metavar="SECONDS", type=float, callback=_some_time, help="Longest time for the whole run.")
@click.option("--no-cache", is_flag=True, help="Project the vectors anew, and do not keep them.")
@click.option("--profile", is_flag=True, help="Print where the time went, by stage.")
@click.option("--log-file", metavar="FILE", type=click.Path(path_type=Path), help="Log the run there, too; it rotates.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Of the log and of errors.")
@click.option("--metrics", metavar="FILE", type=click.Path(path_type=Path), help="Numbers of the run for Prometheus.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print every map and what is done.")
def render(regions: Path, config_file: Path | None, only: tuple[str, ...], **options: Any) -> int:
    """Draw the map of every region in the table REGIONS."""
    from regionplot.batch import render_regions  # noqa: PLC0415 (so that --help is quick)
    from regionplot.cli.display import make_display, stage_table  # noqa: PLC0415
    from regionplot.cli.session import Session  # noqa: PLC0415

    quiet, verbose, profile, log_format = (options[name] for name in ("quiet", "verbose", "profile", "log_format"))
    _set_up_logging(log_format, quiet=quiet, verbose=verbose)
    _import_away_from_here()
    session = Session(make_display(quiet=quiet, verbose=verbose, log_format=log_format))
    with ExitStack() as until_the_end:

        def work() -> RunReport:
            _open_records(session, options, until_the_end)
            with session.display, _deadline(options["deadline"]):
                config = _read_settings(regions, config_file, options, session)
                how = {name: options[name] for name in ("force", "allow_empty")}
                report = session.complete(render_regions(regions, config, only=only, **how, observer=session))
            if report.outcomes:
                session.display.summarize(report, config.output.directory)
            else:
                session.display.note(f"{regions}: no regions, nothing to draw")
            if profile:
                session.display.say(stage_table(report))
            return report

        return _in_order(work, session)


def _open_records(session: Session, options: dict[str, Any], until_the_end: ExitStack) -> None:
    """See that the metrics can be written, then open the log."""
    from regionplot.cli.logs import log_to_file  # noqa: PLC0415
    from regionplot.metrics import check_target  # noqa: PLC0415

    if options["metrics"]:
        session.metrics = check_target(options["metrics"])
    if options["log_file"]:
        until_the_end.enter_context(log_to_file(options["log_file"], options["log_format"]))


def _in_order(work: Callable[[], RunReport], session: Session) -> int:
    """Do the work; however it ends, that is said, logged and measured."""
    code, report = 1, None
    try:
        report = work()
        code = report.exit_code
    except KeyboardInterrupt as interrupt:
        code = _exit_code(interrupt)
        session.interrupted(_explain(interrupt))
    except RegionplotError as error:
        code = error.exit_code
        for problem in error.problems:
            session.error(problem)
    except Exception:
        _confess()
    finally:
        session.end(code, report)
    return code


def _explain(interrupt: KeyboardInterrupt) -> str:
    if isinstance(interrupt, DeadlinePassed):
        return f"the deadline of {interrupt.seconds:g} s has passed"
    number = interrupt.number if isinstance(interrupt, EndedBySignal) else signal.SIGINT
    return f"ended by {signal.Signals(number).name}"


def _exit_code(interrupt: BaseException) -> int:
    return int(getattr(interrupt, "exit_code", 128 + signal.SIGINT))


def _confess() -> None:
    logging.getLogger("regionplot").critical("this is a bug in regionplot; please report it", exc_info=True)


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


def _read_settings(regions: Path, config_file: Path | None, options: dict[str, Any], session: Session) -> Config:
    """The config file, if there is one, under what the command line says; once the raster is there."""
    from regionplot.config import read_config  # noqa: PLC0415

    source, overrides = _settings_file(regions, config_file, options), _overrides(options)
    if options["wait_for"] is not None:
        wanted = read_config(source, overrides, raster_may_come=True)
        path = _wait_for_raster(wanted, regions, options["wait_for"], session)
        overrides["raster"] = {**overrides.get("raster", {}), "path": path}
    config = read_config(source, overrides)
    session.draws(source, config)
    return config


def _settings_file(regions: Path, config_file: Path | None, options: dict[str, Any]) -> Path | None:
    from regionplot.config import DEFAULT_NAME  # noqa: PLC0415

    nearby = [regions.parent / DEFAULT_NAME, Path(DEFAULT_NAME)]
    source = config_file or next((path for path in nearby if path.is_file()), None)
    if source is None and not options["raster"]:
        places = " or ".join(dict.fromkeys(str(path.absolute()) for path in nearby))
        raise ConfigError(
            f"no settings: there is no {places}; give --config FILE or --raster PATH, or run regionplot init"
        )
    return source


def _wait_for_raster(wanted: Config, regions: Path, seconds: float, session: Session) -> Path:
    """The raster, as soon as it is complete; what is wrong with the rest is told before the wait, not after it."""
    from regionplot.arrival import wait_for  # noqa: PLC0415
    from regionplot.batch import check_config  # noqa: PLC0415
    from regionplot.regions import read_regions  # noqa: PLC0415

    check_config(wanted, read_regions(regions))
    session.waits(f"waiting for {wanted.raster.pattern}, at most {seconds:g} s")
    start = time.monotonic()
    try:
        return wait_for(wanted.raster.pattern, seconds, wanted.raster.settle)
    finally:
        session.waited = time.monotonic() - start


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    """Options as config sections; those that were not given are left out."""
    workers = options["workers"]
    sections: dict[str, dict[str, Any]] = {
        "raster": {"path": options["raster"], "crs": options["crs"]},
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


def _import_away_from_here() -> None:
    """Import what imports matplotlib from a folder without a matplotlibrc, for one in the working directory is read.

    Its parameters would be reset before anything is drawn, but it may be a pipe, or no text, or a page of warnings.
    """
    try:
        here = os.open(".", os.O_RDONLY)
    except OSError:  # there is no working directory that could hold one
        return
    try:
        os.chdir(_STARTER)
        importlib.import_module("regionplot.drawing")
    finally:
        os.fchdir(here)
        os.close(here)


def _set_up_logging(log_format: str, *, quiet: bool, verbose: bool) -> None:
    from regionplot.cli.logs import log_to_stderr  # noqa: PLC0415

    log_to_stderr(log_format, level=logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING)
    if not verbose:  # a home that cannot be written, a lock on its fonts: matplotlib then does without
        logging.getLogger("matplotlib").setLevel(logging.ERROR)


@contextmanager
def _deadline(seconds: float | None) -> Iterator[None]:
    """Raise DeadlinePassed after so many seconds, by a timer that setting the clock does not move."""
    if seconds is None:
        yield
        return

    def end(_number: int, _frame: object) -> None:
        raise DeadlinePassed(seconds)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """The first signal ends the run in order; more of them hasten that, for they must not cut the tidying short."""
    first: list[float] = []

    def interrupt(number: int, _frame: object) -> None:
        if first and time.monotonic() - first[0] < _TIDYING:
            _kill_workers()
            return
        first[:] = [time.monotonic()]
        raise EndedBySignal(number)

    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kill_workers() -> None:
    for worker in multiprocessing.active_children():
        with suppress(ValueError):  # it has been closed by now
            worker.kill()


def main() -> None:
    """Run the command and exit with its code."""
    for variable in _THREAD_VARIABLES:  # before numpy: one worker for each CPU already keeps them all busy
        os.environ.setdefault(variable, "1")
    gc.set_threshold(_GC_THRESHOLD)
    code = run()
    for name in _ENDING:  # the exit code is settled
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
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
        return _exit_code(interrupt.__cause__ or interrupt)  # click makes an Abort of what it was interrupted by
    except Exception:
        _confess()
        return 1
