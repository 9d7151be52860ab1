"""Define `RunFacts`: the settings that the record of a run needs, as plain values."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from regionplot.settings.config import Config


class RunFacts(NamedTuple):
    """The settings that the record of a run needs. A run without changes has these facts, but no `Config`."""

    directory: Path
    """Output folder."""
    publish: str
    """`replace` or `runs`, as in `[output] publish`."""
    keep: int
    """Number of older complete runs to keep."""
    publish_partial: bool
    """Also publish a run with missing maps."""
    raster: Path
    """File of the raster."""
    config_digest: str
    """Digest of all settings, for the manifest."""
    table: str = ""
    """Name of the table of statistics. Empty if there is no table."""
    url: str = ""
    """Place in object storage to which the maps are copied. Empty if they stay in the output folder."""

    @classmethod
    def of(cls, config: Config) -> RunFacts:
        """Return the facts of a config."""
        output = config.output
        text = repr(config) + "".join(repr(item) for item in config.products.items())
        digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:32]
        table = config.statistics.table or ""
        return cls(
            output.directory,
            output.publish,
            output.keep,
            output.publish_partial,
            config.raster.path,
            digest,
            table,
            output.url,
        )
