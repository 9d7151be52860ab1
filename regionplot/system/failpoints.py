"""Call a test hook at each phase of a run, so that tests can inject faults.

Outside of tests there is no hook, and `reached` does nothing. Forked workers inherit the hook.

========  ==========================================  ======================================
phase     where                                       name
========  ==========================================  ======================================
block     a block is about to be worked out           its first row and column, as `512,0`
start     a worker is about to begin a map            the region's
read      the shared data is about to be loaded       the raster's file
draw      the map is about to be drawn                the region's
save      the image is about to be written            the image's file
verify    it is written, and about to be read back    the image's file
replace   it is about to take the old one's place     the image's file
report    every map is done, the report is not made   none
========  ==========================================  ======================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Phase = Literal["block", "start", "read", "draw", "save", "verify", "replace", "report"]


Hook = Callable[[Phase, str], None]


_hook: Hook | None = None
"""What tests have installed. A global, so that it needs no place in the signatures of all that can go wrong."""


def failpoint(phase: Phase, name: str = "") -> None:
    """Tell the hook, if tests have installed one, that a phase is about to begin; what it raises is raised here."""
    if _hook is not None:
        _hook(phase, name)


@contextmanager
def install(hook: Hook) -> Iterator[None]:
    """Have a hook called at each phase meanwhile; for tests only.

    Examples
    --------
    >>> with install(lambda phase, name: print(phase, name)):
    ...     reached("draw", "colorado")
    draw colorado
    """
    global _hook  # noqa: PLW0603 (the hook is what forked workers inherit)
    before, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = before
