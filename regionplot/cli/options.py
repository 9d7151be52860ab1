"""Check the command line for options that are given twice, and for misspelled commands in the place of the table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from regionplot.errors import RegionsError
from regionplot.registry import COMMANDS
from regionplot.system.files import exists
from regionplot.text import path_hint, path_text

_REGION_OPTIONS = (
    click.option("--name-field", metavar="COLUMN", help="Column of REGIONS that holds the names; default: name."),
    click.option(
        "--where", metavar="SQL", help="Draw only features of the vector file REGIONS that meet this condition."
    ),
    click.option("--layer", metavar="NAME", help="Layer of the vector file REGIONS; default: the first layer."),
    click.option("--margin", metavar="SIZE", help="Space around each region, such as 10% or '25 km'."),
    click.option("--clip", metavar="KIND", help="Outside of each feature: none, fade or polygon, which hides it."),
)
REGION_KEYS = ("name_field", "where", "layer", "margin", "clip")
"""Keys of `[regions]` that the options of `region_options` set."""


class OnceCommand(click.Command):
    """A command that rejects an option given more than once.

    click would silently use the last value. Flags and repeatable options are not affected.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Check how often each option is given, then parse the command line."""
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(list(args))
            check_once(order)
        return super().parse_args(ctx, args)


def region_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that say how REGIONS is read."""
    for option in reversed(_REGION_OPTIONS):
        command = option(command)
    return command


def check_once(order: Sequence[click.Parameter]) -> None:
    """Raise click.UsageError if an option that is not repeatable occurs more than once in a parsed command line."""
    single = [
        option
        for option in order
        if isinstance(option, click.Option) and not (option.multiple or option.is_flag or option.count)
    ]
    for option, count in Counter(single).items():
        if count > 1:
            raise click.UsageError(f"{max(option.opts, key=len)} is given {count} times; give it once.")


def find_table(table: Path, *, allows_remote: bool) -> Path:
    """Return the path of the table of regions. Copy it to the user's cache folder if it is a remote object.

    Parameters
    ----------
    table : Path
        The table as the user gives it.
    allows_remote : bool
        True if the table can be an address.

    Raises
    ------
    RegionsError
        If the table is an address that is not allowed, or cannot be read.
    click.UsageError
        As for `check_table_name`.
    """
    name = str(table)
    if not exists(table) and re.match(r"[A-Za-z0-9]+:/|/vsi", name):
        from regionplot.settings.remote_path import RemotePath, is_address  # noqa: PLC0415 (few tables are remote)

        if is_address(name) and not allows_remote:
            raise RegionsError(f"{path_text(name)}: {path_hint(name)}, or allow the address: --allow-remote")
        if is_address(name):
            from regionplot.cli.remote_table import local_table  # noqa: PLC0415

            return local_table(RemotePath.of(name))
    check_table_name(table)
    return table


def check_table_name(table: Path) -> None:
    """Check that the table is not an address, and not a misspelled command.

    Raises
    ------
    RegionsError
        If the table is an address.
    click.UsageError
        If there is no such table, and its name looks like the name of a command.
    """
    name = str(table)
    if not exists(table) and (hint := path_hint(name)):
        raise RegionsError(f"{path_text(name)}: {hint}")
    if not re.fullmatch(r"[A-Za-z][\w-]*", name) or exists(table):
        return
    commands = [command for command in COMMANDS.builtin if not COMMANDS[command].hidden]
    import difflib  # noqa: PLC0415 (only this error needs it)

    near = difflib.get_close_matches(name.casefold(), commands, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(commands)}."
    raise click.UsageError(f"there is no table and no command {name!r}; {hint}")
