"""Digests of sheets with several panels. They cover the maps in the panels and the settings of the sheet."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from regionplot.geo.region import Region
from regionplot.layers.title import title_of
from regionplot.runs.digests import MapDigests
from regionplot.settings.base import digest_items
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData

if TYPE_CHECKING:
    from regionplot.runs.description import Descriptions


class SheetDigests:
    """The digests of the sheets of one run.

    Parameters
    ----------
    shared : SharedData
        Data of the run, with the data of all panels.
    """

    def __init__(self, shared: SharedData) -> None:
        self._shared = shared
        self._panels = [[MapDigests(each) for each in row] for row in shared.panels]
        config = shared.config
        parts = [digest_items(config), config.output.format, digest_items(config.output.writer_settings)]
        self._common = hashlib.sha256(json.dumps(parts, default=str).encode())

    def of(self, region: Region) -> str:
        """Return the digest of a region's sheet: 32 hexadecimal digits.

        Raises
        ------
        RegionError
            If the region cannot be projected, or its row lacks a field of a title.
        """
        shared, total = self._shared, self._common.copy()
        title = title_of(region, shared.config.map, shared.description)
        total.update(repr((title, [[each.of(region) for each in row] for row in self._panels])).encode())
        return total.hexdigest()[:32]

    @property
    def config(self) -> Config:
        """The settings of the sheet."""
        return self._shared.config

    @property
    def descriptions(self) -> Descriptions:
        """Statistics and alternative texts of the maps in the first panel."""
        return self._panels[0][0].descriptions


def digests_of(shared: SharedData) -> MapDigests:
    """Return the digests of the maps of a run. Sheets with panels have digests with the same methods."""
    return SheetDigests(shared) if shared.panels else MapDigests(shared)  # type: ignore[return-value]
