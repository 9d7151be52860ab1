"""Define `regionplot check`: check the settings, and name colors that readers cannot tell apart."""

from __future__ import annotations

from pathlib import Path

import click

from regionplot.cli.options import OnceCommand, region_options


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
    from regionplot.cli.read_run import read_run  # noqa: PLC0415 (so that --help is fast)
    from regionplot.colors.check import reading_problems  # noqa: PLC0415
    from regionplot.shared.fields import first_fields  # noqa: PLC0415
    from regionplot.shared.load import DrawnRaster  # noqa: PLC0415

    config, _ = read_run(regions, config_file, {"raster": {"path": raster}}, options)
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
