"""Define `regionplot info`: describe a raster or vector file, and print settings to start from."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionplot.cli.options import OnceCommand
from regionplot.errors import ConfigError, RasterError
from regionplot.sample import PREFIX

if TYPE_CHECKING:
    from regionplot.cli.file_facts import Facts

_SETTINGS, _TABLE = "regionplot.toml", "regions.csv"


@click.command(cls=OnceCommand, short_help="Describe a raster or vector file, and print settings to start from.")
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option("--variable", metavar="NAME", help="Print settings for this variable; default: the first.")
@click.option("--crs", metavar="CRS", help="CRS of a raster that states none, such as EPSG:4326.")
@click.option(
    "--write", metavar="DIR", type=click.Path(path_type=Path), help="Write the settings and a table into a folder."
)
def info(file: str, as_json: bool, variable: str | None, crs: str | None, write: Path | None) -> int:
    """List variables, bands, levels, members, times, grid and colors of a raster, or layers and fields of vectors.

    Then print settings to start from. Exit codes: 0 success; 2 the folder or the variable cannot be used; 3 the file is
    missing or unreadable.
    """
    from regionplot.cli.file_facts import file_facts  # noqa: PLC0415 (so that --help is fast)

    notes = _Notes()
    path = _located(file)
    with notes:
        facts = file_facts(path if write is None else path.absolute(), crs)
    settings, table = _first_files(facts, variable)
    if write is not None:
        return _write(write, settings, table, path)
    if as_json:
        import json  # noqa: PLC0415

        found = {**facts, "settings": settings, "regions": table, "warnings": list(notes.texts)}
        click.echo(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
        return 0
    _print(facts, list(notes.texts), settings, table)
    return 0


class _Notes(logging.Handler):
    """Context manager that collects the warnings of this package, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: dict[str, None] = {}
        self._logger = logging.getLogger("regionplot")

    def emit(self, record: logging.LogRecord) -> None:
        self.texts[record.getMessage()] = None

    def __enter__(self) -> None:
        self._logger.addHandler(self)
        self._propagates, self._logger.propagate = self._logger.propagate, False

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagates


def _located(file: str) -> Path:
    """Return the path of a file, or of a sample file."""
    from regionplot import sample  # noqa: PLC0415
    from regionplot.system.files import exists  # noqa: PLC0415
    from regionplot.text import path_hint, path_text  # noqa: PLC0415

    if file.startswith(PREFIX):
        try:
            return sample.locate(file.removeprefix(PREFIX))
        except FileNotFoundError as error:
            raise RasterError(str(error)) from None
    if not exists(Path(file)):
        raise RasterError(f"{path_text(file)}: {path_hint(file) or 'there is no such file'}")
    return Path(file)


def _first_files(facts: Facts, variable: str | None) -> tuple[str, str]:
    """Return settings and a table to start from. They are empty if nothing can be drawn."""
    from regionplot.cli.first_settings import (  # noqa: PLC0415
        first_quantity,
        raster_regions,
        raster_settings,
        vector_regions,
        vector_settings,
    )

    if facts["kind"] == "vector":
        usable = next((layer for layer in facts["layers"] if not layer["problem"]), None)
        return ("", "") if usable is None else (vector_settings(facts, usable), vector_regions(usable))
    chosen = first_quantity(facts, variable)
    if chosen is None and variable is not None:
        names = ", ".join(each["name"] for each in facts["quantities"] if not each["problem"]) or "none"
        raise ConfigError(f"{facts['path']}: there is no variable {variable!r} that can be drawn; choose from: {names}")
    return ("", "") if chosen is None else (raster_settings(facts, chosen), raster_regions(chosen))


def _print(facts: Facts, notes: list[str], settings: str, table: str) -> None:
    """Print text for readers."""
    from regionplot.cli.info_text import info_lines  # noqa: PLC0415

    for line, is_heading in info_lines(facts):
        click.echo(click.style(line, bold=True) if is_heading else line)
    for note in notes:
        click.echo(f"regionplot: {note}", err=True)
    if settings:
        _print_file(f"Settings to start from ({_SETTINGS})", settings)
    if table:
        _print_file(f"Table of regions to start from ({_TABLE})", table)
    if settings:
        click.echo(f"\nregionplot info {shlex.quote(facts['path'])} --write DIR writes these files.")


def _print_file(title: str, content: str) -> None:
    click.echo(f"\n{click.style(title, bold=True)}\n")
    click.echo(click.style(content.rstrip(), dim=True))


def _write(folder: Path, settings: str, table: str, file: Path) -> int:
    """Write the settings and the table. Existing files are not overwritten."""
    if not settings:
        raise RasterError(f"{file}: nothing in the file can be drawn; `regionplot info {file}` says why")
    files: dict[Path, Any] = {folder / _SETTINGS: settings, **({folder / _TABLE: table} if table else {})}
    taken = [str(target) for target in files if target.exists()]
    if taken:
        raise ConfigError(f"{' and '.join(taken)}: existing files are not overwritten; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target, content in files.items():
            target.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror or error}") from None
    words = [folder / _TABLE] if table else [file, "-c", folder / _SETTINGS]
    click.echo(f"Wrote {' and '.join(map(str, files))}.\nNow: regionplot {shlex.join(map(str, words))}")
    return 0
