"""Prepare a raster for its maps: plan the steps, run them over blocks, cache the result."""

from __future__ import annotations

import importlib.util
import logging
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from regionplot.blocks.new_raster import check_place, removing_sidecars
from regionplot.blocks.process import process_blocks
from regionplot.errors import ConfigError, OutputError, RasterError, RegionplotError
from regionplot.inputs.describe import inspect_raster
from regionplot.inputs.gdal import opened
from regionplot.prepare.cache import KEY_TAG, PreparedFolder, input_files, prepared_digest, stands, user_folder
from regionplot.prepare.inputs import Input
from regionplot.prepare.plan import Plan
from regionplot.prepare.report import PreparationObserver, PreparationReport
from regionplot.prepare.stages import profile_of
from regionplot.settings.config import Config
from regionplot.settings.raster import RasterSettings
from regionplot.settings.steps import AccumulateStep, ExpressionStep, Step
from regionplot.system.files import atomic_replace, new_run

logger = logging.getLogger(__name__)


_NEEDED = {"expression": "numexpr", "focal": "scipy", "convert": "pint"}
"""Libraries that a step cannot do without, which come with `regionplot[prepare]`."""


def prepare_raster(
    inputs: Sequence[str | Path | Input],
    output: str | Path,
    steps: Sequence[Step],
    *,
    storage: Mapping[str, Any] | None = None,
    cog: bool = False,
    force: bool = False,
    whole: bool = True,
    named: Mapping[str, str] | None = None,
    **options: Any,
) -> PreparationReport:
    """Do the steps, in order, to rasters, and write the result; or leave it, if it stands there already.

    Parameters
    ----------
    inputs : sequence of path, `NAME=PATH` or Input
        The first is the raster that the steps are done to; further ones are for expressions, and to be accumulated.
    output : path
        A GeoTIFF; it appears whole or not at all.
    steps : sequence of Step
        As in `[[prepare]]`.
    storage : mapping, optional
        How it is stored, if not in floating point with NaN where missing: `dtype`, `nodata`, `scale`, `offset`.
    cog : bool
        Write a cloud-optimised GeoTIFF, with overviews and statistics.
    force : bool
        Do it even if nothing is new.
    whole : bool
        Take all bands of the inputs; else only those that their settings name.
    named : mapping, optional
        `long_name` and `units` of the result, if the steps do not say them rightly.
    **options
        `executor`, `workers`, `timeout`, `retries`, `nice`, `observer`, as for `process_blocks`.

    Raises
    ------
    ConfigError
        If a step cannot be done.
    InputError
        If an input cannot be read, or has changed meanwhile, or the output cannot be written whole.
    BlockError
        If a step fails at one block.
    """
    start, target = time.perf_counter(), Path(output).absolute()
    sources = _distinct([item if isinstance(item, Input) else Input.parse(item) for item in inputs])
    _check_libraries(steps)
    check_place(target)
    if same := [path for path in input_files(sources, steps) if target.exists() and path.samefile(target)]:
        raise ConfigError(f"{target}: it is an input ({same[0]}); choose another output")
    form = (sorted((storage or {}).items()), cog, whole, sorted((named or {}).items()))
    key = prepared_digest(sources, steps, form)
    if not force and stands(target, key):
        return PreparationReport(target, (), time.perf_counter() - start)
    if not target.parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent}")
    run = new_run()
    with (
        ExitStack() as stack,
        removing_sidecars(target),
        _named_as(target, run),
        atomic_replace(target, run) as temporary,
    ):
        plan = Plan(sources, temporary, stack, whole=whole)
        stages = plan.stages(steps, storage or {})
        plan.description |= named or {}
        profiles = [profile_of(stage) for stage in stages]
        profiles[-1] |= plan.labels(steps, KEY_TAG, key) | {"driver": "COG" if cog else "GTiff"}
        plan.copy_out()
        done = [
            process_blocks(
                stage.function, stage.inputs, stage.output, read="datasets", grid=stage.grid, profile=profile, **options
            )
            for stage, profile in zip(stages, profiles, strict=True)
        ]  # fmt: skip
        if prepared_digest(sources, steps, form) != key:
            raise RasterError(f"{target}: an input has changed while it was prepared; run again")
    return PreparationReport(target, tuple(done), time.perf_counter() - start)


class _named_as:  # noqa: N801 (a context)
    """Errors that name the temporary file name the output."""

    def __init__(self, target: Path, run: str) -> None:
        self._target, self._hidden = str(target), re.escape(f".{target.name}.") + r"(\w+\.)*?" + re.escape(f"{run}.tmp")

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RegionplotError):
            name = Path(self._target).name
            shown = name.replace("\\", r"\\")
            error.args = tuple(
                replace(problem, message=re.sub(self._hidden, shown, problem.message)) for problem in error.problems
            )


def _distinct(inputs: Sequence[Input]) -> list[Input]:
    if not inputs:
        raise ConfigError("no inputs: name one raster at least")
    names = [item.name for item in inputs]
    twice = {name for name in names if names.count(name) > 1}
    return [replace(item, name=f"in{n}") if item.name in twice else item for n, item in enumerate(inputs, 1)]


def _check_libraries(steps: Sequence[Step]) -> None:
    needed = {_NEEDED[step.step] for step in steps if step.step in _NEEDED}
    missing = sorted(name for name in needed if importlib.util.find_spec(name) is None)
    if missing:
        raise ConfigError(f"{', '.join(missing)} is not installed; install regionplot[prepare]")


def prepared(config: Config, observer: object = None) -> Config:
    """Do the steps of a config's `[[prepare]]`, unless their result is there already.

    Parameters
    ----------
    config : Config
        What `read_config` gives.
    observer : object
        If it is a `PreparationObserver`, it is told of each block.

    Returns
    -------
    Config
        The same without steps, whose raster is the prepared one; the very config if it has no steps.

    Raises
    ------
    ConfigError, InputError, BlockError
        As `prepare_raster`.
    """
    if not config.prepare:
        return config
    settings = config.raster
    whole = any(isinstance(step, ExpressionStep | AccumulateStep) for step in config.prepare)
    inputs = [Input("raster", settings), *(Input(n, RasterSettings(path=path)) for n, path in settings.inputs.items())]
    with _at_steps():
        target = _place(config, inputs, whole=whole)
        report = prepare_raster(
            inputs,
            target,
            config.prepare,
            force=not config.run.cache,
            executor=config.run.start_method,
            workers=config.run.workers,
            retries=config.run.retries,
            nice=config.run.nice,
            observer=observer.preparing() if isinstance(observer, PreparationObserver) else None,
            whole=whole,
        )
    logger.info("%s: %s", target, report)
    if settings.prepared is None:
        with suppress(OSError):  # another run may be doing the same
            PreparedFolder(target.parent.parent).trim()
    band = inspect_raster(settings).band if _band_count(target) > 1 else 1
    kept = RasterSettings(path=target, band=band, resampling=settings.resampling)
    return config.model_copy(update={"raster": kept, "prepare": ()})


class _at_steps:  # noqa: N801 (a context)
    """Errors of steps name their place in the config."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RegionplotError):
            error.relocate(lambda place: replace(place, section="prepare") if place.step else place)


def _place(config: Config, inputs: Sequence[Input], *, whole: bool) -> Path:
    """Where the prepared raster is kept; its stem is that of the raster, for titles."""
    if config.raster.prepared is not None:
        return config.raster.prepared
    key = prepared_digest(inputs, config.prepare, ([], False, whole, []))
    stem = config.raster.path.stem
    try:
        return user_folder().path(key, stem)
    except OSError as error:
        folder = config.output.directory / ".prepared"
        logger.warning("%s; prepared rasters are kept in %s", error, folder)
    try:
        return PreparedFolder(folder).path(key, stem)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}") from error


def _band_count(path: Path) -> int:
    with opened(path) as dataset:
        return int(dataset.count)
