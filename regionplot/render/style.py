"""The default matplotlib style."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import matplotlib
import numpy as np

from regionplot.system.threads import GLOBALS_LOCK, ignored_warnings


@contextmanager
def plain_style() -> Iterator[None]:
    """Use matplotlib's own defaults instead of rcParams that the program or a matplotlibrc set. Other threads wait."""
    with GLOBALS_LOCK:
        changed = _changed_parameters()
        context = matplotlib.rc_context(changed) if changed else nullcontext()
        missing_glyphs = ignored_warnings(UserWarning, r"Glyph .* missing from font")  # `fonts` reports them
        with missing_glyphs, context, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            yield


def parameters_in_use() -> bytes:
    """Return the values of all parameters that differ from matplotlib's defaults, for digests."""
    current = dict(dict.items(matplotlib.rcParams))
    return repr(sorted((key, repr(current[key])) for key in _changed_parameters())).encode()


def _changed_parameters() -> Any:
    """Return the default values of all parameters that have been changed. Usually, the result is empty."""
    current = dict(dict.items(matplotlib.rcParams))  # the methods of rcParams check each key, which is slow
    return {
        key: value
        for key, value in dict.items(matplotlib.rcParamsDefault)
        if current[key] != value and not key.startswith("backend")
    }
