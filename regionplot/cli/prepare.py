"""Define `regionplot prepare`: apply steps to a raster in the order given on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionplot.cli.executors import ExecutorName
from regionplot.cli.interrupts import describe_interrupt, exit_code, raised_interrupt
from regionplot.cli.options import check_once
from regionplot.errors import ConfigError, InputError, Place, located
from regionplot.registry import STEPS
from regionplot.system.guard import handle_signals

if TYPE_CHECKING:
    from regionplot.prepare.base import Step
    from regionplot.prepare.options import Modifier


_FIRST = 2
"""Number of parameters that the help text shows before the steps: INPUTS and --output."""
_SUFFIXES = {"", ".tif", ".tiff", ".gtiff", ".cog"}
"""Suffixes of output files. All outputs are GeoTIFF files."""
_EPILOG = """Steps run in the given order. Bands are b1, b2 ... of the first input, and NAME.b1 of further inputs.
NAME is the file name without its suffix. NAME=PATH sets another name. Exit codes: 0 success; 1 a step failed; 2 bad
command line; 3 an input is unreadable, or the disk is full; 128+n ended by signal n."""


class _PrepareCommand(click.Command):
    """A command with one option per raster step. The steps keep their order on the command line.

    The options are built from the registry when they are needed, because building them imports all steps.
    """

    @cached_property
    def steps(self) -> dict[str, type[Step]]:
        """Classes of all steps by name."""
        return dict(STEPS)

    @cached_property
    def modifiers(self) -> dict[str, Modifier]:
        """Options that change steps, by name. Several steps can share an option."""
        return {modifier.name: modifier for step in self.steps.values() for modifier in step.modifiers}

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return INPUTS and OUT, then the options of steps and modifiers, then all other options."""
        first, others = self.params[:_FIRST], super().get_params(ctx)[_FIRST:]
        return [*first, *self._step_options, *others]

    @cached_property
    def _step_options(self) -> list[click.Parameter]:
        steps: list[click.Parameter] = [
            click.Option(
                [f"--{name}"], metavar=step.option.metavar, help=step.option.help, multiple=True, expose_value=False
            )
            for name, step in self.steps.items()
        ]
        return steps + [
            click.Option([f"--{name}"], metavar=modifier.metavar, help=modifier.help, is_flag=modifier.metavar is None)
            for name, modifier in self.modifiers.items()
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line. Store the steps in `ctx.meta`, because click does not keep the order of options."""
        bare = {f"--{name}": step.option.default for name, step in self.steps.items() if step.option.default}
        args = [f"{word}={bare[word]}" if word in bare else word for word in args]
        given, _, order = self.make_parser(ctx).parse_args(list(args))
        check_once(order)
        values = {name: iter(given[name]) for name in self.steps if given.get(name)}
        names = [parameter.name for parameter in order]
        ctx.meta["steps"] = [(name, next(values[name])) for name in names if name in values]
        return super().parse_args(ctx, args)


@click.command(
    cls=_PrepareCommand,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUTS...")
@click.option(
    "-o", "--output", metavar="OUT", required=True, type=click.Path(path_type=Path), help="GeoTIFF file to write."
)
@click.option("--long-name", metavar="TEXT", help="Name of the result.")
@click.option("--units", metavar="TEXT", help="Units of the result.")
@click.option("--dtype", metavar="TYPE", help="Data type of the result, such as int16; float32 by default.")
@click.option("--nodata", metavar="NUMBER", type=float, help="Value of missing cells.")
@click.option("--cog", is_flag=True, help="Write a cloud-optimized GeoTIFF, with overviews and statistics.")
@click.option("--force", is_flag=True, help="Run the steps even if nothing has changed.")
@click.option(
    "-j", "--workers", metavar="N|auto", default="auto", help="Number of workers; auto is one per usable CPU."
)
@click.option(
    "--executor",
    type=ExecutorName(),
    default="auto",
    help="How to start workers; auto chooses a safe method.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print more information.")
@click.pass_context
def prepare(ctx: click.Context, /, inputs: tuple[str, ...], output: Path, **options: Any) -> int:
    """Derive a raster from one or several rasters, block by block.

    Steps apply to the first of INPUTS. Formulas (--expression) and --accumulate use further inputs, too.
    """
    from regionplot.cli.display import Verbosity, make_display  # noqa: PLC0415 (so that --help is fast)
    from regionplot.cli.logs import log_to_stderr  # noqa: PLC0415
    from regionplot.prepare.run import Existing, prepare_raster  # noqa: PLC0415

    handle_signals()  # imported here, because an interrupt during an import can become any error
    verbosity = Verbosity.from_flags(quiet=options["quiet"], verbose=options["verbose"])
    log_to_stderr("text", level=verbosity.log_level)
    command = ctx.command
    assert isinstance(command, _PrepareCommand)
    _check_inputs(inputs, command.steps)
    if output.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"--output {output}: the output is a GeoTIFF file; use a name that ends in .tif")
    _check_modifiers(command, options, {name for name, _ in ctx.meta["steps"]})
    steps = _read_steps(command, ctx.meta["steps"], options)
    storage = {name: options[name] for name in ("dtype", "nodata") if options[name] is not None}
    display = make_display(verbosity)
    try:
        with display:
            report = prepare_raster(
                inputs,
                output,
                steps,
                storage=storage,
                driver="COG" if options["cog"] else "GTiff",
                existing=Existing.REPLACE if options["force"] else Existing.KEEP_CURRENT,
                executor=options["executor"],
                workers=_workers(options["workers"]),
                observer=display.preparing(),
                labels={name: options[name] for name in ("long_name", "units") if options[name] is not None},
            )
    except (KeyboardInterrupt, Exception) as error:
        interrupt = raised_interrupt() or error
        if not isinstance(interrupt, KeyboardInterrupt):
            raise
        display.error(f"{describe_interrupt(interrupt)}: {output} is not written")
        return exit_code(interrupt)
    if not options["quiet"]:
        display.print_line(f"{output}: {report}")
    return 0


def _check_inputs(inputs: Sequence[str], steps: Mapping[str, type[Step]]) -> None:
    """Reject an input that looks like the value of an option, as in `--slope percent` instead of `--slope=percent`."""
    optional = {name: step.option for name, step in steps.items() if step.option.default is not None}
    for text in inputs:
        for name, option in optional.items():
            if re.fullmatch(option.pattern, text) and not Path(text).exists():
                raise ConfigError(f"there is no file {text}; for the step, write --{name}={text}")


def _check_modifiers(command: _PrepareCommand, options: Mapping[str, Any], given: set[str]) -> None:
    """Reject a modifier if the command line has no step that uses it."""
    for name in command.modifiers:
        changed = [step for step, kind in command.steps.items() if name in {other.name for other in kind.modifiers}]
        if options[_parameter(name)] and not given.intersection(changed):
            steps = " or ".join(f"--{step}" for step in changed)
            raise ConfigError(f"--{name} changes {steps}, but no such step is given")


def _workers(text: str) -> int | str:
    if text == "auto" or (text.isdecimal() and int(text) > 0):
        return text if text == "auto" else int(text)
    raise ConfigError(f"--workers: {text!r} must be a number from 1, or auto")


def _read_steps(
    command: _PrepareCommand, given: Sequence[tuple[str, str]], options: Mapping[str, Any]
) -> Sequence[Step]:
    """Return the steps with checked values. All errors in their values are reported together."""
    from regionplot.settings.loading import read_config  # noqa: PLC0415

    tables = [_table_of(command.steps[name], name, text, options) for name, text in given]
    try:
        return read_config({"raster": {"path": "sample:relief"}, "prepare": tables}).prepare
    except (ConfigError, InputError) as error:
        error.relocate(lambda place: _at_option(place, given))
        raise


def _table_of(step: type[Step], name: str, text: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `[[prepare]]` table for an option and the modifiers of its step."""
    with located(option=f"--{name} {text}"):
        table = {"step": name, **step.parse(text)}
    changed = {modifier.key: options[_parameter(modifier.name)] for modifier in step.modifiers}
    return {**table, **{key: value for key, value in changed.items() if value}}


def _parameter(option: str) -> str:
    """Return the name that click gives to the value of an option."""
    return option.replace("-", "_")


def _at_option(place: Place, given: Sequence[tuple[str, str]]) -> Place:
    """Return the command-line option that caused a problem of a step."""
    if place.step is None:
        return place
    name, text = given[place.step - 1]
    return Place(option=f"--{name} {text}", key=place.key)
