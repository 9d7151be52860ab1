"""Define `regionplot check`: check the settings, and name colors that readers cannot tell apart."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from regionplot.cli.options import REGION_KEYS, OnceCommand, check_table_name, region_options

_DEFAULT_NAME = "regionplot.toml"


@click.command(cls=OnceCommand, short_help="Check the settings, the table and the colors.")
@click.argument("regions", metavar="REGIONS", type=click.Path(path_type=Path))
@click.option("-c", "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Settings (TOML).")
@click.option("--raster", metavar="PATH", help="Raster to check with, instead of the raster in the settings.")
@region_options
def check(regions: Path, config_file: Path | None, raster: str | None, **options: str | None) -> int:
    """Check the settings and the table or vector file REGIONS without drawing a map.

    Name scales that color-blind readers cannot follow, and lines that do not stand out on the scale. Exit codes: 0
    nothing found; 1 colors are hard to read; 2 settings or table have faults; 3 the raster is missing or unreadable.
    """
    from regionplot.cli.request import at_option  # noqa: PLC0415 (so that --help is fast)
    from regionplot.colors.check import reading_problems  # noqa: PLC0415
    from regionplot.errors import RegionplotError  # noqa: PLC0415
    from regionplot.regions.table import read_regions  # noqa: PLC0415
    from regionplot.runs.checks import check_config  # noqa: PLC0415
    from regionplot.settings.loading import read_config  # noqa: PLC0415
    from regionplot.shared.fields import first_fields  # noqa: PLC0415
    from regionplot.shared.load import DrawnRaster  # noqa: PLC0415

    check_table_name(regions)
    nearby = (path for path in (regions.parent / _DEFAULT_NAME, Path(_DEFAULT_NAME)) if path.is_file())
    path = config_file or next(nearby, None)
    sections = {"raster": {"path": raster}, "regions": {key: options[key] for key in REGION_KEYS}}
    given = {name: {key: value for key, value in keys.items() if value is not None} for name, keys in sections.items()}
    overrides = {name: keys for name, keys in given.items() if keys}
    try:
        config = read_config(path, overrides)
        check_config(config, read_regions(regions, config.regions))
    except RegionplotError as error:
        error.relocate(partial(at_option, overrides))
        raise
    configs = [config] if not config.has_fields else [each.config for each in first_fields(config)]
    found = []
    for own in configs:
        drawn = DrawnRaster.of(own)
        problems = reading_problems(drawn.coloring, drawn.config)
        found += [f"{own.places.locate(problem.place)}: {problem.message}" for problem in problems]
    for text in dict.fromkeys(found):
        click.echo(text)
    if not found:
        click.echo("settings, table and raster can be used; color-blind readers can follow the colors")
    return 1 if found else 0
