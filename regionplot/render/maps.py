"""Make a renderer from settings or from loaded data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from regionplot.geo.region import Region
from regionplot.render.choose import make_renderer
from regionplot.render.renderer import MapRenderer
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData


@contextmanager
def open_maps(
    source: Config | SharedData | Mapping[str, Any] | str | Path, regions: Sequence[Region] | None = None
) -> Iterator[MapRenderer]:
    """Load data and yield a renderer. No file is written. The renderer calls the functions in `[map]` of the settings.

    Parameters
    ----------
    source : Config, SharedData, mapping, str or Path
        Loaded data, settings, or the path of a settings file in TOML.
    regions : sequence of Region, optional
        Regions that will be drawn. Only the part of the raster that these regions need is loaded. By default, the whole
        raster is loaded.

    Raises
    ------
    ConfigError
        If the settings cannot be used.
    InputError
        If the raster or a vector file cannot be read.

    Examples
    --------
    >>> import regionplot
    >>> carolina = regionplot.Region("nc", regionplot.Extent(-84.5, -75.3, 33.8, 36.7))
    >>> with open_maps({"raster": {"path": "sample:relief"}}) as maps:
    ...     maps.render(carolina).title
    'nc'
    """
    if not isinstance(source, SharedData):
        config = source if isinstance(source, Config) else read_config(source)
        source = SharedData.load(_with_prepared_raster(config), regions)
    yield make_renderer(source, 1 if regions is None else len(regions))


def _with_prepared_raster(config: Config) -> Config:
    if not config.prepare:
        return config
    from regionplot.prepare.run import prepared  # noqa: PLC0415 (only settings with steps need it)

    return prepared(config)
