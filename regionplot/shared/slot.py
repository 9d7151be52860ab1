"""Hold the shared data of this process: inherited through fork, or loaded on first use."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from regionplot.colors.effective import effective_config
from regionplot.layers.base import Layer
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.plan import LoadPlan

_slot: dict[str, SharedData] = {}
"""The shared data of this process, by field. A run of one field uses the name "". The parent fills the slot before a
fork, so that workers inherit it. A worker that is not forked fills it on first use."""

_shares_cells = True
"""True if data are loaded into files that other processes of this host use, too."""


@contextmanager
def share_with_workers(data: SharedData) -> Iterator[SharedData]:
    """Store the data in the slot of this process, for workers that are forked within this context."""
    with share_fields({"": data}):
        yield data


@contextmanager
def share_fields(fields: Mapping[str, SharedData]) -> Iterator[None]:
    """Store the data of several fields in the slot of this process, for workers that are forked within this context."""
    global _slot  # noqa: PLW0603 (forked workers inherit the slot)
    previous, _slot = _slot, dict(fields)
    try:
        yield
    finally:
        _slot = previous


@contextmanager
def loading_for_forks() -> Iterator[None]:
    """Load data into the memory of this process within this context, because the workers that it forks inherit them."""
    global _shares_cells  # noqa: PLW0603 (a property of this process)
    _shares_cells = False
    try:
        yield
    finally:
        _shares_cells = True


def _stored(path: Path) -> SharedData:
    from regionplot.shared.memory import read_stored  # noqa: PLC0415 (only data in memory need it)

    return read_stored(path)


def has_field(field: str) -> bool:
    """Return True if the slot of this process holds the data of a field."""
    return field in _slot


def shared_data(config: Config, plan: LoadPlan, field: str = "") -> SharedData:
    """Return the shared data of a field in this process. Load the data if they are missing or belong to other settings.

    Fields that are loaded later reuse the vector layers of the fields in the slot.
    """
    found = _slot.get(field)
    found = None if found is None or found.plan != plan else _with_settings(found, config)
    if found is None:
        layers = [layer for data in _slot.values() for layer in data.layers] if field else ()
        found = _loaded(config, plan, layers) if plan.stored is None else _stored(plan.stored)
    _slot[field] = found
    return found


def _loaded(config: Config, plan: LoadPlan, layers: Sequence[Layer]) -> SharedData:
    """Load the data of this process, which has not inherited them. Processes of this host share the cells."""
    if not _shares_cells:
        return SharedData.load(config, plan=plan, layers=layers)
    from regionplot.shared.pages import start_shared  # noqa: PLC0415 (forked workers do not need it)

    return SharedData.load(config, plan=plan, layers=layers, start_cells=start_shared)


def _with_settings(found: SharedData, config: Config) -> SharedData | None:
    """Return data with settings that differ at most in `[output]` and `[run]`. Return None for other settings."""
    wanted = effective_config(config, found.info)
    if found.config in (config, wanted):
        return found
    same = {"output": found.config.output, "run": found.config.run}
    return replace(found, config=wanted) if wanted.model_copy(update=same) == found.config else None


def keep_fields(fields: Collection[str]) -> None:
    """Free the shared data of all other fields. A worker of a cluster does this when it gets a new task.

    Names of fields contain times. Without this, the data of all times would stay.
    """
    for name in [name for name in _slot if name not in fields]:
        del _slot[name]


def forget_shared_data() -> None:
    """Free the shared data of this process, which only loaded them as a worker."""
    from regionplot.shared.pages import remove_unused_pages  # noqa: PLC0415 (forked workers do not need it)

    _slot.clear()
    remove_unused_pages()
