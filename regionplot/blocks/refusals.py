"""Turn options that GDAL ignores into errors. GDAL only logs a warning, and rasterio passes it to its logger."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = "rasterio._env"
_IGNORED = re.compile(
    r"driver (?P<driver>\w+) does not support (?:creation|open) option (?P<key>\w+)"
    r"|is an unexpected value for \w+ (?:creation|open) option|value not recogni[sz]ed|Invalid value for \w+:"
)

_KEYS = (
    "driver", "dtype", "count", "height", "width", "crs", "transform", "nodata", "tiled", "blockxsize", "blockysize",
    "blocksize", "compress", "predictor", "level", "zlevel", "zstd_level", "interleave", "photometric", "bigtiff",
    "sparse_ok", "nbits", "num_threads", "overview_level", "overviews", "resampling", "descriptions", "units", "scales",
    "offsets", "tags", "band_tags",
)  # fmt: skip
"""Frequent keys, to correct misspelled keys."""


class RefusedOptionError(ValueError):
    """GDAL ignores an option."""


@contextmanager
def refused_options(argument: str) -> Iterator[None]:
    """Raise RefusedOptionError, a ValueError, if GDAL ignores an option within the context.

    Parameters
    ----------
    argument : str
        Name of the argument that holds the options, for the message.
    """
    found: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        is_refusal = record.thread == thread and _IGNORED.search(message) is not None
        if is_refusal:
            found.append(message)
        return not is_refusal

    logger = logging.getLogger(_LOGGER)
    level = logger.level
    logger.addFilter(keep)
    if not logger.isEnabledFor(logging.WARNING):
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.removeFilter(keep)
        logger.setLevel(level)
    if found:
        raise RefusedOptionError(_message(argument, found[0]))


def _message(argument: str, found: str) -> str:
    match = _IGNORED.search(found)
    if match is None or not match["key"]:
        return f"{argument}: GDAL ignores a value: {found.partition(' in ')[2] or found}"
    import difflib  # noqa: PLC0415 (only for this message)

    key = match["key"].lower()
    near = difflib.get_close_matches(key, _KEYS, 1)
    cure = f"; did you mean {near[0]!r}?" if near else "; leave it out"
    return f"{argument} has the key {key!r}, which GDAL's driver {match['driver']} does not know{cure}"
