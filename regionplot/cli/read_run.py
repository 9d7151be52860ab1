"""Read the settings and the table for commands that examine a run without drawing its maps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionplot.cli.executors import with_executor
from regionplot.cli.options import REGION_KEYS, check_table_name

if TYPE_CHECKING:
    from regionplot.geo.region import Region
    from regionplot.settings.config import Config

_DEFAULT_NAME = "regionplot.toml"


def read_run(
    regions: Path, config_file: Path | None, sections: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any]
) -> tuple[Config, list[Region]]:
    """Return the settings and the regions of a run, and check both.

    Parameters
    ----------
    regions : Path
        The table.
    config_file : Path, optional
        The settings file. By default, the `regionplot.toml` beside the table or in the working directory.
    sections : mapping
        Values of options by section and key. None: the option is not given.
    options : mapping
        Values of the options of `region_options`, and of `--start-method` as `start_method` if the command has it.

    Raises
    ------
    ConfigError, RegionsError, InputError
        If the settings or the table have faults.
    """
    from regionplot.cli.request import at_option  # noqa: PLC0415 (so that --help is fast)
    from regionplot.errors import RegionplotError  # noqa: PLC0415
    from regionplot.regions.table import read_regions  # noqa: PLC0415
    from regionplot.runs.checks import check_config  # noqa: PLC0415
    from regionplot.settings.loading import read_config  # noqa: PLC0415

    check_table_name(regions)
    nearby = (path for path in (regions.parent / _DEFAULT_NAME, Path(_DEFAULT_NAME)) if path.is_file())
    path = config_file or next(nearby, None)
    all_sections = {**sections, "regions": {key: options[key] for key in REGION_KEYS}}
    given = {
        name: {key: value for key, value in keys.items() if value is not None} for name, keys in all_sections.items()
    }
    overrides = with_executor({name: keys for name, keys in given.items() if keys}, options.get("start_method"), None)
    try:
        config = read_config(path, overrides)
        found = list(read_regions(regions, config.regions))
        check_config(config, found)
    except RegionplotError as error:
        error.relocate(partial(at_option, overrides))
        raise
    return config, found
