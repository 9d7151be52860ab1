"""Define `regionplot prepare`: apply steps to a raster in the order given on the command line."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionplot.cli.executors import ExecutorName
from regionplot.cli.interrupts import describe_interrupt, exit_code
from regionplot.errors import ConfigError, InputError, Place

if TYPE_CHECKING:
    from regionplot.settings.steps import Step


_BARE = {"--hillshade": "--hillshade=315:45", "--slope": "--slope=degree"}
"""Steps whose value may be left out."""


_VALUES = {
    "--hillshade": re.compile(r"[-+.\d]+(:[-+.\d]*){1,2}"),
    "--slope": re.compile(r"(degree|percent)(:[-+.\d]*)?"),
}
"""What values of those look like."""


_EPILOG = """Steps are done in the order in which they are given. Bands are b1, b2 ... of the first input, and
NAME.b1 of further ones; NAME is the file's stem, or given as NAME=PATH. Exit codes: 0 all well; 1 a step failed; 2 bad
command line; 3 an input is unreadable, or the disk is full; 128+n ended by signal n."""


def _pairs(text: str, names: tuple[str, ...]) -> dict[str, Any]:
    """`A:B` as settings: the parts that are there, by name."""
    parts = text.split(":")
    if len(parts) > len(names):
        raise ConfigError(f"it has more than {len(names)} parts: {':'.join(names).upper()}")
    return {name: part for name, part in zip(names, parts, strict=False) if part}


def _number(text: str) -> float | str:
    """A number, if it is one; what is not is left to the check of the settings, which says what is wrong."""
    try:
        return float(text)
    except ValueError:
        return text


def _numbers(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: _number(value) if name in names else value for name, value in given.items()}


def _focal(text: str) -> dict[str, Any]:
    kind, _, size = text.partition(":")
    if not size:
        return {"kind": kind}
    if kind == "gaussian":
        return {"kind": kind, "sigma": _number(size)}
    return {"kind": kind, "size": int(size) if size.isdecimal() else size}


def _mask(text: str) -> dict[str, Any]:
    path, colon, keep = text.rpartition(":")
    return {"path": path, "keep": keep} if colon and keep in ("inside", "outside") else {"path": text}


def _convert(text: str) -> dict[str, Any]:
    before, _, after = text.rpartition(":")
    return {"units": after, **({"from_units": before} if before else {})}


def _resolution(text: str) -> dict[str, Any]:
    """A file, a number, or two."""
    parts = [_number(part) for part in text.split(",")]
    if all(isinstance(part, float) for part in parts):
        return {"resolution": parts[0] if len(parts) == 1 else parts}
    return {"like": text}


def _projection(text: str) -> dict[str, Any]:
    """`CRS`, or `CRS@RESOLUTION`; an `@` may as well be a part of the CRS, as in `+nadgrids=@null`."""
    crs, at, size = text.rpartition("@")
    if not at:
        return {"crs": text}
    resolution = _resolution(size)
    return {"crs": crs, **resolution} if "resolution" in resolution or Path(size).is_file() else {"crs": text}


_STEPS: dict[str, tuple[str, str, Callable[[str], dict[str, Any]]]] = {
    "expression": ("FORMULA", "Bands combined, such as '(b4 - b3) / (b4 + b3)'.", lambda text: {"formula": text}),
    "focal": ("KIND[:SIZE]", "mean, median, min or max of SIZE cells a side; gaussian:SIGMA.", _focal),
    "mask": ("FILE[:outside]", "Only cells inside a vector file's polygons, or outside.", _mask),
    "reclassify": ("RULES", "'0:10=1,10:20=2,99=missing,else=keep'.", lambda text: {"rules": text.split(",")}),
    "hillshade": (
        "[=AZIMUTH:ALTITUDE[:Z]]",
        "Light and shade; 315:45 by default.",
        lambda text: _numbers(_pairs(text, ("azimuth", "altitude", "z_factor")), "azimuth", "altitude", "z_factor"),
    ),
    "slope": (
        "[=degree|percent[:Z]]",
        "How steep it is.",
        lambda text: _numbers(_pairs(text, ("units", "z_factor")), "z_factor"),
    ),
    "convert": ("FROM:TO", "Other units, such as mm:inch; TO alone takes the raster's own.", _convert),
    "scale": (
        "SCALE[:OFFSET]",
        "SCALE * value + OFFSET.",
        lambda text: _numbers(_pairs(text, ("scale", "offset")), "scale", "offset"),
    ),
    "resample": ("SIZE|FILE", "Cells of another size, or the grid of another raster.", _resolution),
    "reproject": ("CRS[@SIZE]", "Another CRS.", _projection),
    "accumulate": ("HOW", "sum, mean, min, max or last of all inputs, or of all bands.", lambda text: {"how": text}),
}
"""Of each step: what its value is called, help, and how the value becomes settings."""


class _InOrder(click.Command):
    """A command that knows in which order its steps were given; click keeps that only option by option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        args = [_BARE.get(word, word) for word in args]
        given, _, order = self.make_parser(ctx).parse_args(list(args))
        values = {name: iter(given[name]) for name in _STEPS if given.get(name)}
        names = [parameter.name for parameter in order]
        ctx.meta["steps"] = [(name, next(values[name])) for name in names if name in values]
        return super().parse_args(ctx, args)


def _with_steps(command: Callable[..., int]) -> Callable[..., int]:
    for name, (metavar, text, _) in reversed(_STEPS.items()):
        command = click.option(f"--{name}", metavar=metavar, multiple=True, help=text, expose_value=False)(command)
    return command


@click.command(
    cls=_InOrder, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUTS...")
@click.option("-o", "--output", metavar="OUT", required=True, type=click.Path(path_type=Path), help="A GeoTIFF.")
@_with_steps
@click.option("--resampling", metavar="METHOD", help="For other grids: nearest, average ...; bilinear by default.")
@click.option("--layer", metavar="NAME", help="For masks: the layer of a file that holds several.")
@click.option("--all-touched", is_flag=True, help="For masks: take each cell that a polygon touches.")
@click.option("--long-name", metavar="TEXT", help="What the result is called.")
@click.option("--units", metavar="TEXT", help="Its units, where an expression has made them others.")
@click.option("--dtype", metavar="TYPE", help="Store as this type, such as int16; float32 by default.")
@click.option("--nodata", metavar="NUMBER", type=float, help="What missing cells are stored as.")
@click.option("--cog", is_flag=True, help="Write a cloud-optimised GeoTIFF, with overviews and statistics.")
@click.option("--force", is_flag=True, help="Do it even if nothing has changed.")
@click.option("-j", "--workers", metavar="N|auto", default="auto", help="Workers; auto is one for each usable CPU.")
@click.option(
    "--executor",
    type=ExecutorName(),
    default="auto",
    help="How workers are started.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print what is done.")
@click.pass_context
def prepare(ctx: click.Context, /, inputs: tuple[str, ...], output: Path, **options: Any) -> int:
    """Derive a raster, block by block, from one or several.

    The steps are done to the first of INPUTS; further ones are for expressions, and to be accumulated.
    """
    from regionplot.cli.display import Verbosity, make_display  # noqa: PLC0415 (so that --help is quick)
    from regionplot.cli.logs import log_to_stderr  # noqa: PLC0415
    from regionplot.prepare.run import prepare_raster  # noqa: PLC0415

    log_to_stderr("text", level=logging.INFO if options["verbose"] else logging.WARNING)
    _check_inputs(inputs)
    steps = list(_read_steps(ctx.meta["steps"], options))
    storage = {name: options[name] for name in ("dtype", "nodata") if options[name] is not None}
    display = make_display(Verbosity.from_flags(quiet=options["quiet"], verbose=options["verbose"]))
    try:
        with display:
            report = prepare_raster(
                inputs,
                output,
                steps,
                storage=storage,
                cog=options["cog"],
                force=options["force"],
                executor=options["executor"],
                workers=_workers(options["workers"]),
                observer=display.preparing(),
                named={name: options[name] for name in ("long_name", "units") if options[name] is not None},
            )
    except KeyboardInterrupt as interrupt:
        display.error(f"{describe_interrupt(interrupt)}: {output} is not written")
        return exit_code(interrupt)
    if not options["quiet"]:
        display.print_line(f"{output}: {report}")
    return 0


def _check_inputs(inputs: tuple[str, ...]) -> None:
    """A value after `--hillshade` or `--slope` without `=` is taken for an input."""
    for text in inputs:
        for bare, pattern in _VALUES.items():
            if pattern.fullmatch(text) and not Path(text).exists():
                raise ConfigError(f"there is no file {text}; for the step, write {bare}={text}")


def _workers(text: str) -> int | str:
    if text == "auto" or (text.isdecimal() and int(text) > 0):
        return text if text == "auto" else int(text)
    raise ConfigError(f"--workers: {text!r} is neither a number from 1 nor auto")


def _read_steps(given: list[tuple[str, str]], options: dict[str, Any]) -> Iterator[Step]:
    """The steps, checked; all faults of their values together."""
    from regionplot.settings.loading import read_config  # noqa: PLC0415

    _check_that_all_count({name for name, _ in given}, options)
    settings = [_settings_of(name, text) for name, text in given]
    for step in settings:
        if step["step"] in ("resample", "reproject"):
            step["method"] = options["resampling"] or "bilinear"
        if step["step"] == "mask":
            step |= {"layer": options["layer"], "all_touched": options["all_touched"]}
    try:
        yield from read_config({"raster": {"path": "sample:relief"}, "prepare": settings}).prepare
    except (ConfigError, InputError) as error:
        error.relocate(lambda place: _at_option(place, given))
        raise


def _check_that_all_count(steps: set[str], options: dict[str, Any]) -> None:
    """An option that no step looks at is a mistake."""
    needs = {"layer": ("mask",), "all_touched": ("mask",), "resampling": ("resample", "reproject")}
    for option, wanted in needs.items():
        if options[option] and not steps.intersection(wanted):
            names = " or ".join(f"--{name}" for name in wanted)
            raise ConfigError(f"--{option.replace('_', '-')} says how {names} is done, but there is none")


def _settings_of(name: str, text: str) -> dict[str, Any]:
    try:
        return {"step": name, **_STEPS[name][2](text)}
    except ConfigError as error:
        raise ConfigError(f"--{name} {text}: {error}") from None


def _at_option(place: Place, given: list[tuple[str, str]]) -> Place:
    """Return the place of a step's problem on the command line."""
    if place.step is None:
        return place
    name, text = given[place.step - 1]
    return Place(option=f"--{name} {text}", key=place.key)
