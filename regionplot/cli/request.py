"""Define `Request`: the parsed options of a `render` command."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from regionplot.cli.display import Verbosity
from regionplot.cli.executors import with_executor
from regionplot.errors import ConfigError, Place, RegionplotError
from regionplot.geo.region import Region
from regionplot.system.files import exists
from regionplot.text import without_secrets

if TYPE_CHECKING:
    from regionplot.settings.config import Config
    from regionplot.settings.regions import RegionSettings

_DEFAULT_NAME = "regionplot.toml"
STANDARD_INPUT = "-"
"""Table of regions that is read from the standard input."""


@dataclass(frozen=True)
class Request:
    """Options of one `render` command."""

    regions: Path
    """Table of regions. `-` is the standard input."""
    config_file: Path | None
    """Settings file given on the command line. None if the option is not set."""
    no_config: bool
    """Use no settings file."""
    overrides: Mapping[str, Mapping[str, Any] | list[Any]]
    """Sections of settings, with only the keys that options set."""
    only: tuple[str, ...]
    """Patterns for the names of the regions to draw. Empty: draw all regions."""
    product: tuple[str, ...]
    """Patterns for the names of the products to draw. Empty: draw all products."""
    force: bool
    """Also draw unchanged maps."""
    prune: bool
    """Remove the maps of regions that are no longer in the table."""
    allow_empty: bool
    """Accept a table without regions."""
    wait_for: float | None
    """Maximum wait for the raster in seconds. None: do not wait."""
    deadline: float | None
    """Time limit for the run in seconds. None: no limit."""
    profile: bool
    """Print the time of each stage."""
    verbosity: Verbosity
    log_format: str
    """`text` or `json`."""
    log_file: Path | None
    metrics: Path | None
    """File for the metrics."""

    @classmethod
    def from_options(cls, *, quiet: bool, verbose: bool, **options: Any) -> Request:
        """Create a request from the options that click has parsed."""
        fields = {name: options[name] for name in cls.__dataclass_fields__ if name in options}
        verbosity = Verbosity.from_flags(quiet=quiet, verbose=verbose)
        return cls(overrides=_overrides(options), verbosity=verbosity, **fields)

    @cached_property
    def table(self) -> Path | Sequence[Region]:
        """The path of the table, or the regions if the table is the standard input, which can be read only once.

        Raises
        ------
        RegionsError
            If the standard input is not a table of regions.
        """
        if str(self.regions) != STANDARD_INPUT:
            return self.regions
        return self._read(sys.stdin.buffer if sys.stdin else io.BytesIO())

    def read_regions(self) -> Sequence[Region]:
        """Read the regions.

        Raises
        ------
        RegionsError
            If the table has faults.
        """
        return self._read(self.table) if isinstance(self.table, Path) else self.table

    def _read(self, source: Path | BinaryIO) -> Sequence[Region]:
        from regionplot.regions.table import read_regions, read_regions_if_any  # noqa: PLC0415 (imports pyproj)

        settings = self._region_settings()
        return read_regions_if_any(source, settings) if self.allow_empty else read_regions(source, settings)

    def _region_settings(self) -> RegionSettings:
        """Return the `[regions]` section. If the settings have faults, they are reported elsewhere."""
        from regionplot.settings.regions import RegionSettings  # noqa: PLC0415 (imports pydantic)

        config = self.valid_part()
        return RegionSettings() if config is None else config.regions

    @cached_property
    def config_path(self) -> Path | None:
        """The settings file to read. None if there is no settings file and the options name a raster.

        Raises
        ------
        ConfigError
            If there is no settings file and no option names a raster. The faults of the table are reported, too.
        """
        if self._has_settings:
            return self._settings_file
        error = ConfigError(f"no settings: {self._missing_settings()}")
        if str(self.regions) == STANDARD_INPUT:
            raise error
        from regionplot.runs.checks import check_all  # noqa: PLC0415 (imports pyproj)

        raise check_all(error, None, self.read_regions)

    @cached_property
    def _has_settings(self) -> bool:
        return self._settings_file is not None or "path" in self.overrides.get("raster", {})

    @cached_property
    def _settings_file(self) -> Path | None:
        return self.config_file or next((path for path in self._nearby() if exists(path) and path.is_file()), None)

    def _nearby(self) -> list[Path]:
        """Return where a settings file is looked for."""
        return [] if self.no_config else [self.regions.parent / _DEFAULT_NAME, Path(_DEFAULT_NAME)]

    def _missing_settings(self) -> str:
        """Return which settings are missing, and the cure."""
        if self.no_config:
            return "with --no-config, give --raster PATH"
        places = " or ".join(dict.fromkeys(str(path.absolute()) for path in self._nearby()))
        return f"there is no {places}; give --config FILE or --raster PATH, or run regionplot init"

    def at_options(self, error: RegionplotError) -> None:
        """In problems of settings that come from options, replace the place in the file by the name of the option."""
        error.relocate(partial(at_option, self.overrides))

    def config(self, raster: Path | None = None) -> Config:
        """Read the settings. Options override the file.

        Parameters
        ----------
        raster : Path, optional
            Raster to use instead of the raster in the settings.

        Raises
        ------
        ConfigError, InputError
            If the settings are not valid, or a file that they name does not exist.
        """
        from regionplot.settings.loading import read_config  # noqa: PLC0415 (imports pydantic)

        overrides = dict(self.overrides)
        if raster is not None:
            overrides["raster"] = {**dict(overrides.get("raster", {})), "path": raster}
        return read_config(self.config_path, overrides)

    def config_before_raster(self) -> Config:
        """Read the settings before the raster exists. `[raster] path` can be a pattern.

        Raises
        ------
        ConfigError, InputError
            If the settings are not valid, or another file that they name does not exist.
        """
        from regionplot.settings.loading import read_config_before_arrival  # noqa: PLC0415 (imports pydantic)

        return read_config_before_arrival(self.config_path, self.overrides)

    def valid_part(self) -> Config | None:
        """Return the settings without their faults, or None if there are no settings. See `read_valid_part`."""
        if not self._has_settings:
            return None
        from regionplot.settings.loading import read_valid_part  # noqa: PLC0415 (imports pydantic)

        return read_valid_part(self.config_path, self.overrides)


_OPTIONS = {
    ("raster", "path"): "--raster",
    ("raster", "allow_remote"): "--allow-remote",
    ("raster", "crs"): "--crs",
    ("raster", "band"): "--band",
    ("raster", "variable"): "--variable",
    ("raster", "time"): "--time",
    ("features", "path"): "--features",
    ("regions", "margin"): "--margin",
    ("regions", "clip"): "--clip",
    ("regions", "layer"): "--layer",
    ("regions", "name_field"): "--name-field",
    ("regions", "where"): "--where",
    ("output", "directory"): "--output",
    ("run", "workers"): "--workers",
    ("run", "start_method"): "--start-method",
    ("run", "executor"): "--executor",
    ("run", "scheduler"): "--scheduler",
    ("run", "scheduler_file"): "--scheduler",
    ("run", "timeout"): "--timeout",
}
"""Option of the command line for each setting that an option can set."""


def at_option(overrides: Mapping[str, Mapping[str, Any] | list[Any]], place: Place) -> Place:
    """Return the option in the place of a setting, if an option gives this setting.

    Parameters
    ----------
    overrides : mapping
        Settings that options give, by section.
    place : Place
        Place of a setting.
    """
    section = overrides.get(place.section, {})
    key = place.key.partition(" ")[0]
    option = _OPTIONS.get((place.section, key))
    if option is None:
        return place
    given = section[(place.number or 1) - 1] if isinstance(section, list) else section
    return place if given.get(key) is None else Place(option=without_secrets(f"{option} {given[key]}"))


def _overrides(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as sections of settings, without the options that are not set."""
    workers, band, time = options["workers"], options["band"], options["time"]
    sections: dict[str, dict[str, Any]] = {
        "raster": {
            "path": options["raster"],
            "allow_remote": options["allow_remote"] or None,
            "crs": options["crs"],
            "band": int(band) if band and band.isdecimal() else band,
            "variable": options["variable"],
            "time": int(time) if time and time.lstrip("-").isdecimal() else time,
        },
        "output": {"directory": options["output"]},
        "regions": {
            "margin": options["margin"],
            "clip": options["clip"],
            "layer": options["layer"],
            "name_field": options["name_field"],
            "where": options["where"],
        },
        "run": {
            "workers": int(workers) if workers and workers.isdecimal() else workers,
            "timeout": options["timeout"],
            "cache": False if options["no_cache"] else None,
        },
    }
    given = {name: {key: v for key, v in section.items() if v is not None} for name, section in sections.items()}
    sections_given = {name: section for name, section in given.items() if section}
    overrides = with_executor(sections_given, options["start_method"], options["scheduler"])
    if options["features"]:
        allowed = {"allow_remote": True} if options["allow_remote"] else {}
        overrides["features"] = [{"path": path, **allowed} for path in options["features"]]
    return overrides
