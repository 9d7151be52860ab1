"""Hold this process's shared data: inherited through fork, or loaded on first use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.plan import LoadPlan

_slot: SharedData | None = None
"""This process's shared data: put there before a fork, so that children inherit it, or by the first use in a process
that could not. Beside the hook of `phases`, which is for tests, the only mutable
global of the package."""


@contextmanager
def share_with_workers(data: SharedData) -> Iterator[SharedData]:
    """Keep the data in this process's slot, for processes forked meanwhile."""
    global _slot  # noqa: PLW0603 (the slot is what children inherit)
    before, _slot = _slot, data
    try:
        yield data
    finally:
        _slot = before


def shared_data(config: Config, plan: LoadPlan) -> SharedData:
    """This process's shared data: inherited, or loaded now because nothing was."""
    global _slot  # noqa: PLW0603
    if _slot is None or _slot.config != config or _slot.plan != plan:
        _slot = SharedData.load(config, plan=plan)
    return _slot
