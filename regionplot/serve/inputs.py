"""Find out when inputs are replaced: rasters, vector files and the table of regions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from regionplot.inputs.arrival import Arrivals
from regionplot.layers.stack import configured_layers
from regionplot.settings.config import Config
from regionplot.settings.remote_path import is_remote
from regionplot.system.files import Fingerprint

_PATIENCE = 5.0
"""Seconds to wait at the start for rasters that are missing."""
_SETTLE = 1.0
"""Seconds for which a vector file or a table must be unchanged before it is read again."""


class WatchedInputs:
    """The inputs of some settings.

    Parameters
    ----------
    config : Config
        The settings. `[raster] path` can be a pattern.
    table : path, optional
        The table of regions.
    """

    def __init__(self, config: Config, table: Path | None) -> None:
        configs = list(config.products.values()) or [config]
        patterns = {str(each.raster.path): each.raster for each in configs}
        self._rasters = [Arrivals(each.pattern, each.settle) for each in patterns.values()]
        self._files = _files(configs, table)
        self._marks = self._fingerprints()
        self._changed_at: float | None = None
        self._missing = list(self._rasters)
        self._is_due = False
        self._wait_until = time.monotonic() + _PATIENCE

    def _fingerprints(self) -> list[Fingerprint | None]:
        return [Fingerprint.of(path) for path in self._files]

    @property
    def missing(self) -> list[str]:
        """Description of the rasters that have not arrived yet."""
        return [f"{each}: {each.status}" for each in self._missing]

    def are_renewed(self) -> bool:
        """Return True if an input was replaced since this was last the case.

        At the start, wait some seconds for rasters that are missing or incomplete, if at least one is complete.
        """
        arrived = [each for each in self._rasters if each.next(0) is not None]
        self._missing = [each for each in self._missing if each not in arrived]
        self._is_due = self._is_due or bool(arrived) or self._has_settled()
        can_start = len(self._missing) < len(self._rasters) and time.monotonic() >= self._wait_until
        if not self._is_due or not (can_start or not self._missing):
            return False
        self._is_due = False
        return True

    def _has_settled(self) -> bool:
        marks, now = self._fingerprints(), time.monotonic()
        if marks != self._marks:
            self._marks, self._changed_at = marks, now
        if self._changed_at is None or now - self._changed_at < _SETTLE:
            return False
        self._changed_at = None
        return True


def _files(configs: Sequence[Config], table: Path | None) -> list[Path]:
    """Return the local files besides rasters on which the maps depend."""
    layers = [planned.settings for config in configs for planned in configured_layers(config)]
    paths = {getattr(settings, "path", None) for settings in layers}
    return [
        *([] if table is None else [table]),
        *sorted(path for path in paths if isinstance(path, Path) and not is_remote(path)),
    ]
