"""Hold the shared data of this process: inherited through fork, or loaded on first use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.plan import LoadPlan

_slot: SharedData | None = None
"""The shared data of this process. The parent fills it before a fork, so that workers inherit it. A worker that is not
forked fills it on first use."""


@contextmanager
def share_with_workers(data: SharedData) -> Iterator[SharedData]:
    """Store the data in the slot of this process, for workers that are forked within this context."""
    global _slot  # noqa: PLW0603 (forked workers inherit the slot)
    previous, _slot = _slot, data
    try:
        yield data
    finally:
        _slot = previous


def _stored(path: Path) -> SharedData:
    from regionplot.shared.memory import read_stored  # noqa: PLC0415 (only data in memory need it)

    return read_stored(path)


def shared_data(config: Config, plan: LoadPlan) -> SharedData:
    """Return the shared data of this process. Load the data if they are missing or belong to other settings."""
    global _slot  # noqa: PLW0603
    if _slot is None or _slot.config != config or _slot.plan != plan:
        _slot = SharedData.load(config, plan=plan) if plan.stored is None else _stored(plan.stored)
    return _slot
