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


@contextmanager
def refused_options(argument: str) -> Iterator[None]:
    """Raise ValueError if GDAL ignores an option within the context.

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
        raise ValueError(_message(argument, found[0]))


def _message(argument: str, found: str) -> str:
    match = _IGNORED.search(found)
    if match is not None and match["key"]:
        return f"{argument} has the key {match['key'].lower()!r}, which GDAL's driver {match['driver']} does not know"
    return f"{argument}: GDAL ignores a value: {found.partition(' in ')[2] or found}"
