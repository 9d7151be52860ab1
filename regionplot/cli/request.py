"""Hold the parsed options of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regionplot.errors import ConfigError
from regionplot.settings.config import Config
from regionplot.settings.loading import DEFAULT_NAME, read_config, read_config_before_arrival


@dataclass(frozen=True)
class Request:
    """One command."""

    regions: Path
    config_file: Path | None
    overrides: Mapping[str, Mapping[str, Any] | list[Any]]
    """Sections of settings, as far as options give them."""
    only: tuple[str, ...]
    force: bool
    allow_empty: bool
    wait_for: float | None
    """Seconds."""
    deadline: float | None
    """Seconds."""
    profile: bool
    quiet: bool
    verbose: bool
    log_format: str
    log_file: Path | None
    metrics: Path | None

    @classmethod
    def of(cls, **options: Any) -> Request:
        """From the options as click gives them."""
        own = {name: options[name] for name in cls.__dataclass_fields__ if name != "overrides"}
        return cls(overrides=_overrides(options), **own)

    @property
    def source(self) -> Path | None:
        """The settings file.

        Raises
        ------
        ConfigError
            If there is none, and no raster is named either.
        """
        nearby = [self.regions.parent / DEFAULT_NAME, Path(DEFAULT_NAME)]
        source = self.config_file or next((path for path in nearby if path.is_file()), None)
        if source is None and "path" not in self.overrides.get("raster", {}):
            places = " or ".join(dict.fromkeys(str(path.absolute()) for path in nearby))
            raise ConfigError(
                f"no settings: there is no {places}; give --config FILE or --raster PATH, or run regionplot init"
            )
        return source

    def config(self, raster: Path | None = None) -> Config:
        """The settings, with what the options say over the file, for the raster that there is, or another one."""
        overrides = dict(self.overrides)
        if raster is not None:
            overrides["raster"] = {**dict(overrides.get("raster", {})), "path": raster}
        return read_config(self.source, overrides)

    def wanted(self) -> Config:
        """The settings with `[raster] path` as it is written, for there may be no such file yet."""
        return read_config_before_arrival(self.source, self.overrides)


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    """Options as config sections; those that were not given are left out."""
    workers = options["workers"]
    sections: dict[str, dict[str, Any]] = {
        "raster": {"path": options["raster"], "crs": options["crs"]},
        "output": {"directory": options["output"]},
        "run": {
            "workers": int(workers) if workers and workers.isdecimal() else workers,
            "start_method": options["start_method"],
            "timeout": options["timeout"],
            "cache": False if options["no_cache"] else None,
        },
    }
    given = {name: {key: v for key, v in section.items() if v is not None} for name, section in sections.items()}
    overrides: dict[str, Any] = {name: section for name, section in given.items() if section}
    if options["features"]:
        overrides["features"] = [{"path": path} for path in options["features"]]
    return overrides
