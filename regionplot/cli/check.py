"""Define `regionplot check`: check the settings and the regions, and name colors that readers cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regionplot.cli.options import OnceCommand, region_options

if TYPE_CHECKING:
    from regionplot.geo.region import Region
    from regionplot.shared.load import DrawnRaster


@click.command(cls=OnceCommand, short_help="Check the settings, the regions and the colors.")
@click.argument("regions", metavar="REGIONS", type=click.Path(path_type=Path))
@click.option("-c", "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path), help="Settings (TOML).")
@click.option("--raster", metavar="PATH", help="Raster to check with, instead of the raster in the settings.")
@click.option(
    "--map", "index", metavar="FILE", type=click.Path(path_type=Path), help="Draw a map with the boxes of all regions."
)
@region_options
def check(
    regions: Path, config_file: Path | None, raster: str | None, index: Path | None, **options: str | None
) -> int:
    """Check the settings and the table or vector file REGIONS without drawing their maps.

    Name regions without overlap, with few data or with odd shapes, scales that color-blind readers cannot follow, and
    lines that do not stand out on the scale. Exit codes: 0 nothing found; 1 problems are named; 2 settings or table
    have faults; 3 the raster is missing or unreadable.
    """
    from regionplot.cli.read_run import read_run  # noqa: PLC0415 (so that --help is fast)
    from regionplot.shared.fields import first_fields  # noqa: PLC0415
    from regionplot.shared.load import DrawnRaster  # noqa: PLC0415

    config, rows = read_run(regions, config_file, {"raster": {"path": raster}}, options)
    configs = [config] if not config.has_fields else [each.config for each in first_fields(config)]
    found = dict.fromkeys(text for own in configs for text in _problems(DrawnRaster.of(own), rows))
    for text in found:
        click.echo(text)
    if index is not None:
        from regionplot.runs.index_map import draw_index_map  # noqa: PLC0415 (imports the renderer)

        draw_index_map(configs[0], rows, index)
        click.echo(f"{index}: a map of the boxes of all regions")
    if not found:
        click.echo("settings, table and raster can be used; color-blind readers can follow the colors")
    return 1 if found else 0


def _problems(raster: DrawnRaster, regions: Sequence[Region]) -> Iterator[str]:
    """Yield a line for each problem with the colors and the regions of one field."""
    from regionplot.colors.check import reading_problems  # noqa: PLC0415 (imports matplotlib)
    from regionplot.runs.region_checks import RegionChecker  # noqa: PLC0415

    places = raster.config.places
    for problem in reading_problems(raster.coloring, raster.config):
        yield f"{places.locate(problem.place)}: {problem.message}"
    yield from RegionChecker.of(raster).problems(regions)
