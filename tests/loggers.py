"""Use loggers without the handlers of other tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fresh_logging() -> Iterator[None]:
    """Remove all log handlers, such as those of pytest, inside the context. Restore handlers and levels."""
    loggers = [logging.getLogger(name) for name in (None, "matplotlib", "regionplot", "regionplot.run")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = []
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers
