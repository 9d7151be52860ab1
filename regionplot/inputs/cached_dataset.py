"""Read the properties and tags of a dataset only once."""

from __future__ import annotations

from typing import Any

from regionplot.system.files import Fingerprint


class CachedDataset:
    """An open dataset whose properties and tags are read only once.

    rasterio reads a property for all bands again at each access. This is slow if a file has very many bands.
    """

    def __init__(self, dataset: Any, crs: Any = None, state: Fingerprint | None = None) -> None:
        self.dataset = dataset
        self.state = state  # of the file before it was opened
        if crs is not None:  # the dataset states no CRS, or the wrong one
            self.crs = crs
        self._tags: dict[object, dict[str, str]] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.dataset, name)
        setattr(self, name, value)
        return value

    def tags(self, band: int = 0, ns: str | None = None) -> dict[str, str]:
        """Return the tags of a band, or of the dataset if the band is 0."""
        if (band, ns) not in self._tags:
            self._tags[band, ns] = self.dataset.tags(band, ns=ns)
        return self._tags[band, ns]
