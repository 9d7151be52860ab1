"""Check that a machine of a cluster has the inputs with which a run began."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from regionplot.errors import FeaturesError, RasterError
from regionplot.inputs.reading import fingerprint_of
from regionplot.layers.stack import configured_layers
from regionplot.settings.config import Config
from regionplot.settings.remote_path import is_remote
from regionplot.shared.plan import LoadPlan
from regionplot.system.files import Fingerprint, exists

_CURE = "share the folder with all machines, or copy the file to this path on each machine and keep its time (rsync -a)"


def plan_for_machine(config: Config, plan: LoadPlan) -> LoadPlan:
    """Return a load plan for this machine, whose raster may be a copy of the file with which the run began.

    Parameters
    ----------
    config : Config
        The settings.
    plan : LoadPlan
        The plan of the machine that began the run, or of another machine.

    Raises
    ------
    InputError
        If this machine lacks a file, or its raster has another size or time.
    """
    if config.panels:
        panels = map(plan_for_machine, chain.from_iterable(config.panels), plan.panels)
        return replace(plan, panels=tuple(panels))
    _check_layers(config)
    expected = plan.original or plan.fingerprint
    if plan.stored is not None or expected is None:
        return plan
    found = fingerprint_of(config.raster.path)
    if found is None:
        raise RasterError(f"{config.raster.path}: there is no such file on this machine; {_CURE}")
    if found == expected:
        return replace(plan, fingerprint=expected, original=None)
    if is_remote(config.raster.path) or not found.is_copy_of(expected):
        raise RasterError(
            f"{config.raster.path}: input changed: this is another file than at the start of the run: "
            f"{_describe(found)} instead of {_describe(expected)}; run again, or {_CURE}"
        )
    return replace(plan, fingerprint=found, original=expected)


def _check_layers(config: Config) -> None:
    """Check that the files of layers exist."""
    for planned in configured_layers(config):
        path = getattr(planned.settings, "path", None)
        if isinstance(path, Path) and not exists(path):
            raise FeaturesError(f"{path}: there is no such file on this machine; {_CURE}")


def _describe(file: Fingerprint) -> str:
    moment = datetime.fromtimestamp(file.modified / 1e9, UTC)
    return f"{file.size:,} bytes of {moment:%Y-%m-%d %H:%M:%S} UTC"
