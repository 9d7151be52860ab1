"""Define `regionplot serve`: a map service."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import Any

import click

from regionplot.cli.options import OnceCommand
from regionplot.errors import ConfigError
from regionplot.system.files import exists
from regionplot.system.guard import continue_after
from regionplot.system.guard import handle_signals as release_signals

_DEFAULT_NAME = "regionplot.toml"
_MISSING = "the map service needs more packages; install them with: pip install 'regionplot[serve]'"


@click.command(cls=OnceCommand, short_help="Serve maps over HTTP.")
@click.argument("regions", metavar="[REGIONS]", required=False, type=click.Path(path_type=Path))
@click.option("-c", "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Settings (TOML).")
@click.option("--raster", metavar="PATH", help="Raster to draw; sample:relief is built in.")
@click.option("--bind", metavar="HOST:PORT", help="Address; default: 127.0.0.1:8080. unix:PATH is a Unix socket.")
@click.option("-j", "--workers", metavar="N|auto", help="Processes that draw; auto is one per usable CPU.")
@click.option("--root-path", metavar="PATH", help="Path under which a proxy offers the service, such as /maps.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors, and no access log.")
def serve(regions: Path | None, config_file: Path | None, *, quiet: bool, **options: Any) -> int:
    """Serve maps of the rasters in the settings over HTTP, until SIGTERM. Renewed rasters are used by themselves.

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

    logging.basicConfig(format="regionplot: %(message)s", level=logging.WARNING)
    overrides = _overrides(options)
    path = _settings_file(config_file, regions, overrides)

    def read() -> Loaded:
        from regionplot.regions.table import read_regions  # noqa: PLC0415
        from regionplot.settings.loading import read_config_before_arrival  # noqa: PLC0415

        config = read_config_before_arrival(path, overrides)
        return Loaded(config, read_regions(regions, config.regions) if regions else (), regions)

    parent = Parent(read, lambda text: None if quiet else click.echo(f"regionplot: {text}", err=True))
    handle_signals(parent)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        continue_after(number)
    release_signals()
    return parent.run()


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
