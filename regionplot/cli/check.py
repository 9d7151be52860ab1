"""Define `regionplot check`: check the settings, and name colors that readers cannot tell apart."""

from __future__ import annotations

from pathlib import Path

import click

from regionplot.cli.options import OnceCommand, check_table_name

_DEFAULT_NAME = "regionplot.toml"


@click.command(cls=OnceCommand, short_help="Check the settings, the table and the colors.")
@click.argument("regions", metavar="REGIONS", type=click.Path(path_type=Path))
@click.option("-c", "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Settings (TOML).")
@click.option("--raster", metavar="PATH", help="Raster to check with, instead of the raster in the settings.")
def check(regions: Path, config_file: Path | None, raster: str | None) -> int:
    """Check the settings and the table of REGIONS without drawing a map.

    Name scales that color-blind readers cannot follow, and lines that do not stand out on the scale. Exit codes: 0
    nothing found; 1 colors are hard to read; 2 settings or table have faults; 3 the raster is missing or unreadable.
    """
    from regionplot.colors.check import reading_problems  # noqa: PLC0415 (so that --help is fast)
    from regionplot.regions.table import read_regions  # noqa: PLC0415
    from regionplot.runs.checks import check_config  # noqa: PLC0415
    from regionplot.settings.loading import read_config  # noqa: PLC0415
    from regionplot.shared.fields import first_fields  # noqa: PLC0415
    from regionplot.shared.load import DrawnRaster  # noqa: PLC0415

    check_table_name(regions)
    nearby = (path for path in (regions.parent / _DEFAULT_NAME, Path(_DEFAULT_NAME)) if path.is_file())
    path = config_file or next(nearby, None)
    config = read_config(path, {} if raster is None else {"raster": {"path": raster}})
    check_config(config, read_regions(regions))
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
