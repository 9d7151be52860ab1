"""Call a test hook at each phase of a run, so that tests can inject faults.

Outside of tests, there is no hook, and `failpoint` does nothing. Forked workers inherit the hook.

========  ==========================================  ======================================
phase     before                                      name
========  ==========================================  ======================================
block     a block is processed                        first row and column, such as `512,0`
start     a worker starts a map                       name of the region
read      the shared data is loaded                   file of the raster
cells     the cells of the shared data are read       file of the raster
draw      the map is drawn                            name of the region
save      the image is written                        file of the image
verify    the written image is read back              file of the image
replace   the image replaces the previous image       file of the image
report    the report is made, after all maps          none
========  ==========================================  ======================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Phase = Literal["block", "start", "read", "cells", "draw", "save", "verify", "replace", "report"]
Hook = Callable[[Phase, str], None]
_hook: Hook | None = None
"""The installed hook. It is global, so that no function needs a parameter for it."""


def failpoint(phase: Phase, name: str = "") -> None:
    """Call the hook, if tests have installed one, before a phase. Raise the errors that the hook raises."""
    if _hook is not None:
        _hook(phase, name)


@contextmanager
def install(hook: Hook) -> Iterator[None]:
    """Install a hook until the `with` block ends. This is for tests only.

    Examples
    --------
    >>> with install(lambda phase, name: print(phase, name)):
    ...     failpoint("draw", "colorado")
    draw colorado
    """
    global _hook  # noqa: PLW0603 (forked workers inherit the global hook)
    before, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = before
