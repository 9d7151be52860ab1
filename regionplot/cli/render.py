"""Define `regionplot render`, the default command: draw the map of every region in a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from regionplot.cli.executors import ExecutorName
from regionplot.cli.options import OnceCommand, find_table, region_options
from regionplot.system.guard import handle_signals

_MAX_SECONDS = 366 * 86_400
"""Maximum wait or deadline in seconds. A longer time is rejected as a typo."""


def _check_seconds(_context: click.Context, _option: click.Parameter, seconds: float | None) -> float | None:
    """Return the time if it is positive and at most `_MAX_SECONDS`. `click.FloatRange` would also accept nan."""
    if seconds is not None and not 0 < seconds <= _MAX_SECONDS:
        raise click.BadParameter(f"{seconds:g} is not between 0 and {_MAX_SECONDS:,} seconds.")
    return seconds


@click.command(
    cls=OnceCommand,
    hidden=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.argument("regions", type=click.Path(path_type=Path))
@click.option("-c", "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Settings (TOML).")
@click.option("--no-config", is_flag=True, help="Use no settings file.")
@click.option("--raster", metavar="PATH", help="Raster to draw; sample:relief is built in.")
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Allow addresses, such as s3://bucket/snow.tif, for the raster, --features and REGIONS.",
)
@click.option("--crs", metavar="CRS", help="CRS of the raster, such as EPSG:4326, instead of the CRS in its file.")
@click.option("--band", metavar="N|NAME", help="Band to draw: its number, or its name.")
@click.option("--variable", metavar="NAME", help="Variable of a NetCDF or HDF5 file to draw.")
@click.option(
    "--time", metavar="TIME", help="Times to draw: all, latest, a number, a slice such as 0:8, or an ISO time."
)
@click.option("--features", metavar="PATH", multiple=True, help="Vector layer to draw over the raster; repeatable.")
@click.option("-o", "--output", metavar="DIR", help="Folder for the maps.")
@click.option("-j", "--workers", metavar="N|auto", help="Worker processes; auto is one per usable CPU.")
@click.option(
    "--executor",
    "--start-method",
    "start_method",
    type=ExecutorName(),
    help="How to start workers; auto is fork if fork is safe.",
)
@click.option("--scheduler", metavar="ADDRESS|FILE", help="Draw on the dask cluster of this scheduler.")
@click.option("--only", metavar="PATTERN", multiple=True, help="Draw only regions whose name matches; repeatable.")
@click.option("--product", metavar="PATTERN", multiple=True, help="Draw only products whose name matches; repeatable.")
@region_options
@click.option("--force", is_flag=True, help="Also draw unchanged maps.")
@click.option("--prune", is_flag=True, help="Remove the maps of regions that are no longer in the table.")
@click.option("--allow-empty", is_flag=True, help="Accept a table without regions.")
@click.option("--timeout", metavar="SECONDS", type=float, help="Time limit for one map.")
@click.option(
    "--wait-for",
    metavar="SECONDS",
    type=float,
    callback=_check_seconds,
    help="Wait at most this long for a complete raster.",
)
@click.option("--watch", is_flag=True, help="Keep running and draw each time the raster is updated.")
@click.option(
    "--deadline", metavar="SECONDS", type=float, callback=_check_seconds, help="Time limit for the whole run."
)
@click.option(
    "--no-cache", is_flag=True, help="Do not reuse the vector layers, prepared rasters and drawn ink of earlier runs."
)
@click.option("--profile", is_flag=True, help="Print the time of each stage.")
@click.option("--log-file", metavar="FILE", type=click.Path(path_type=Path), help="Log file, rotated at one megabyte.")
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", help="Format of the log file and of errors."
)
@click.option(
    "--metrics", metavar="FILE", type=click.Path(path_type=Path), help="Write Prometheus metrics to this file."
)
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print each map and more information.")
def render(**options: Any) -> int:
    """Draw the map of every region in the table or vector file REGIONS."""
    from regionplot.cli.render_once import import_for_drawing, render_once, set_up  # noqa: PLC0415 (so that --help is fast)
    from regionplot.cli.request import Request  # noqa: PLC0415

    watching = options.pop("watch")
    options["regions"] = find_table(options["regions"], allows_remote=options["allow_remote"])
    if options["no_config"] and options["config_file"] is not None:
        raise click.UsageError("--config and --no-config exclude each other.")
    if options["prune"] and (options["only"] or options["product"]):
        raise click.UsageError("--prune needs all regions and products; leave out --only and --product.")
    if watching and str(options["regions"]) == "-":
        raise click.UsageError("--watch reads the table again for each raster; give a file instead of -.")
    if watching and options["wait_for"] is not None:
        raise click.UsageError("--watch waits for the raster by itself; leave out --wait-for.")
    request = Request.from_options(**options)
    set_up(request)
    if not watching:
        handle_signals()
        return render_once(request)
    import_for_drawing()  # before signals are handled, because an interrupt during an import can become any error
    from regionplot.cli.watch import watch  # noqa: PLC0415

    handle_signals()
    return watch(request)
