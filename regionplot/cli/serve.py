"""Define `regionplot serve`: a map service."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import click

from regionplot.cli.options import OnceCommand
from regionplot.errors import ConfigError
from regionplot.system.files import exists
from regionplot.system.guard import continue_after
from regionplot.system.guard import handle_signals as release_signals

_DEFAULT_NAME = "regionplot.toml"
_TABLES = frozenset({".csv", ".tsv", ".txt", ".geojson", ".json", ".shp", ".gpkg", ".fgb", ".zip", ".parquet", ""})
"""Suffixes of tables of regions. A file with another suffix is a raster."""
_REPEAT_SECONDS = 60.0
_MAX_SHOWN = 1000
_MISSING = "the map service needs more packages: pip install starlette uvicorn httptools morecantile"


@click.command(cls=OnceCommand, short_help="Serve maps over HTTP.")
@click.argument("source", metavar="[REGIONS|FILE|FOLDER]", required=False, type=click.Path(path_type=Path))
@click.option("-c", "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Settings (TOML).")
@click.option("--raster", metavar="PATH", help="Raster to draw; sample:relief is built in.")
@click.option("--bind", metavar="HOST:PORT", help="Address; default: 127.0.0.1:8080. unix:PATH is a Unix socket.")
@click.option("-j", "--workers", metavar="N|auto", help="Processes that draw; auto is one per usable CPU.")
@click.option("--root-path", metavar="PATH", help="Path under which a proxy offers the service, such as /maps.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors, and no access log.")
def serve(source: Path | None, config_file: Path | None, *, quiet: bool, **options: Any) -> int:
    """Serve maps of the rasters in the settings over HTTP, until SIGTERM. Renewed rasters are used by themselves.

    With a table of regions, also serve the map of each region. Without settings, serve each variable of a raster FILE,
    or of all rasters in a FOLDER.

    SIGHUP reads the settings and the table again. Exit codes: 0 ended by SIGTERM or SIGINT; 2 bad command line,
    settings, table or address; 3 an input is unreadable.
    """
    if sys.platform != "linux":
        raise ConfigError("regionplot serve needs Linux")
    try:
        import starlette  # noqa: F401, PLC0415 (an optional package)
        import uvicorn  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigError(_MISSING) from error
    from regionplot.serve.parent import Loaded, Parent, handle_signals  # noqa: PLC0415 (so that --help is fast)

    _log_to_stderr()
    if quiet:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (the access log goes there until the end)
    overrides = _overrides(options)
    regions = source if source is not None and _is_table(source) else None
    path = _settings_file(config_file, regions, overrides) if regions == source else None

    def read() -> Loaded:
        from regionplot.regions.table import read_regions  # noqa: PLC0415
        from regionplot.settings.loading import read_config_before_arrival  # noqa: PLC0415

        if source is not None and regions is None:
            from regionplot.cli.served_files import served_tables  # noqa: PLC0415 (imports rasterio)

            return Loaded(read_config_before_arrival(served_tables(source), overrides), (), None)
        config = read_config_before_arrival(path, overrides)
        return Loaded(config, read_regions(regions, config.regions) if regions else (), regions)

    parent = Parent(read, lambda text: None if quiet else click.echo(f"regionplot: {text}", err=True))
    handle_signals(parent)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        continue_after(number)
    release_signals()
    return parent.run()


class _Once(logging.Filter):
    """Leave out a message that was shown less than a minute ago. Generations load the same files again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text, now = record.getMessage(), time.monotonic()
        is_new = now - self._shown.get(text, float("-inf")) > _REPEAT_SECONDS
        if is_new:
            if len(self._shown) >= _MAX_SHOWN:
                self._shown.clear()
            self._shown[text] = now
        return is_new


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.addFilter(_Once())
    logging.basicConfig(format="regionplot: %(message)s", level=logging.WARNING, handlers=[handler])


def _is_table(path: Path) -> bool:
    """Return True if a path is not a folder, and its suffix is not one of rasters."""
    return not path.is_dir() and path.suffix.lower() in _TABLES


def _overrides(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    workers = options["workers"]
    serve = {
        "bind": options["bind"],
        "workers": int(workers) if workers and workers.isdecimal() else workers,
        "root_path": options["root_path"],
    }
    sections = {"serve": serve, "raster": {"path": options["raster"]}}
    given = {name: {key: v for key, v in section.items() if v is not None} for name, section in sections.items()}
    return {name: section for name, section in given.items() if section}


def _settings_file(config_file: Path | None, regions: Path | None, overrides: dict[str, Any]) -> Path | None:
    """Return the settings file: the given one, or one beside the table or in the working directory."""
    nearby = [*([regions.parent / _DEFAULT_NAME] if regions else []), Path(_DEFAULT_NAME)]
    found = config_file or next((path for path in nearby if exists(path) and path.is_file()), None)
    if found is None and "raster" not in overrides:
        places = " or ".join(dict.fromkeys(str(path.absolute()) for path in nearby))
        raise ConfigError(f"no settings: there is no {places}; give --config FILE or --raster PATH")
    return found
