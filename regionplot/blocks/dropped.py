"""Find the parts of an input that the output of a run over blocks does not have."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Extras:
    """Parts of an input that runs over blocks do not copy, or do not read."""

    path: Path
    places: tuple[str, ...]
    """Descriptions of its GCPs and RPCs."""
    has_mask: bool
    """True if a mask is stored in the file."""
    external: Path | None
    """File beside the input that holds its mask. Files beside a raster are not read."""

    @classmethod
    def of(cls, path: Path, dataset: Any) -> Extras:
        """Describe an open dataset. The caller sets `gdal_options`."""
        from rasterio.enums import MaskFlags  # noqa: PLC0415 (imports GDAL)

        gcps, _ = dataset.gcps
        places = [f"{len(gcps)} GCPs"] if gcps else []
        places += ["RPCs"] if dataset.rpcs is not None else []
        flags = dataset.mask_flag_enums[0] if dataset.count else []
        has_mask = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        external = path.with_name(path.name + ".msk")
        return cls(path, tuple(places), has_mask, external if external.is_file() else None)

    def messages(self, read: str, output: object) -> list[str]:
        """Return a message for each dropped part, for a way of reading and an output."""
        found = [f"its {' and its '.join(self.places)} are not copied"] if self.places and _is_file(output) else []
        if self.has_mask and read in ("arrays", "stack"):
            found.append('its mask is ignored; read="masked" uses it')
        if self.external is not None:
            found.append(f"its mask {self.external} is ignored, because files beside a raster are not read")
        return [f"{self.path}: {message}" for message in found]


def _is_file(output: object) -> bool:
    return isinstance(output, str | Path)


def warn_of_dropped(extras: Iterable[Extras], read: str, output: object) -> None:
    """Log one warning that names all dropped parts.

    Parameters
    ----------
    extras : iterable of Extras
        Parts of each input.
    read : str
        The argument `read` of `process_blocks`.
    output : object
        The output.
    """
    messages = [message for item in extras for message in item.messages(read, output)]
    if messages:
        logger.warning("%s", "; ".join(dict.fromkeys(messages)))
