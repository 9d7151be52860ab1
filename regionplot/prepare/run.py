"""Prepare a raster for its maps: plan the steps, run them over blocks, cache the result."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

from regionplot.blocks.new_raster import check_place, removing_sidecars
from regionplot.blocks.process import process_blocks
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.runner import DEFAULT_SETTINGS
from regionplot.errors import ConfigError, OutputError, RasterError, RegionplotError
from regionplot.inputs.describe import inspect_raster
from regionplot.inputs.gdal import opened
from regionplot.prepare.base import Step
from regionplot.prepare.cache import KEY_TAG, PreparedFolder, input_files, is_current, prepared_digest, user_folder
from regionplot.prepare.inputs import Bands, Input
from regionplot.prepare.plan import Plan
from regionplot.prepare.report import PreparationObserver, PreparationReport
from regionplot.prepare.stages import Stage, profile_of
from regionplot.settings.config import Config
from regionplot.settings.raster import RasterSettings
from regionplot.settings.remote_path import is_remote
from regionplot.settings.vrt_path import is_vrt
from regionplot.system.files import atomic_replace, new_run

logger = logging.getLogger(__name__)


class Existing(Enum):
    """Policy for an output that already exists."""

    KEEP_CURRENT = "keep current"
    """Keep the output if inputs, steps, code and libraries have not changed since it was written."""
    REPLACE = "replace"


def prepare_raster(
    inputs: Sequence[str | Path | Input],
    output: str | Path,
    steps: Sequence[Step],
    *,
    storage: Mapping[str, Any] | None = None,
    driver: str = "GTiff",
    existing: Existing = Existing.KEEP_CURRENT,
    bands: Bands = Bands.ALL,
    labels: Mapping[str, str] | None = None,
    **options: Any,
) -> PreparationReport:
    """Apply steps to rasters, in order, and write the result.

    Parameters
    ----------
    inputs : sequence of path, `NAME=PATH` or Input
        Most steps apply to the first raster only. The steps resample and reproject apply to all rasters. Expressions
        and the step accumulate also read the further rasters.
    output : path
        Path of a GeoTIFF. It is replaced atomically.
    steps : sequence of Step
        The steps, such as `Focal("gaussian", sigma=2)`.
    storage : mapping, optional
        Storage options of the result: `dtype`, `nodata`, `scale`, `offset`. By default, floating point, nodata NaN.
    driver : {"GTiff", "COG"}
        "COG" writes a cloud-optimized GeoTIFF, with overviews and statistics.
    existing : Existing
        Policy for an output that already exists.
    bands : Bands
        Bands of the inputs to read.
    labels : mapping, optional
        `long_name` and `units` of the result. They override the values from the steps.
    **options
        `executor`, `workers`, `worker_settings` and `observer`: see `process_blocks`.

    Raises
    ------
    ConfigError
        If a step cannot be applied.
    InputError
        If an input cannot be read or changes during the run, or the output cannot be written completely.
    OutputError
        If the folder of the output does not exist.
    BlockError
        If a step fails for one block.
    """
    start, target = time.perf_counter(), Path(output).absolute()
    sources = _with_distinct_names([item if isinstance(item, Input) else Input.parse(item) for item in inputs])
    _check_libraries(steps)
    check_place(target)
    if same := [path for path in input_files(sources, steps) if target.exists() and path.samefile(target)]:
        raise ConfigError(f"{target}: the output is also an input ({same[0]}); choose another output")
    form = _result_options(storage, driver, bands, labels)
    key = prepared_digest(sources, steps, form)
    if existing is Existing.KEEP_CURRENT and is_current(target, key):
        return PreparationReport(target, (), time.perf_counter() - start)
    if not target.parent.is_dir():
        raise OutputError(f"{target}: there is no folder {target.parent}; create it first")
    run = new_run()
    with (
        ExitStack() as stack,
        removing_sidecars(target),
        _naming_output(target, run),
        atomic_replace(target, run) as temporary,
    ):
        plan = Plan(sources, temporary, stack, bands)
        plan.add_steps(steps)
        stages = plan.finish(storage or {})
        plan.update_descriptions(labels or {})
        profiles = [profile_of(stage) for stage in stages]
        profiles[-1] |= plan.labels(steps, KEY_TAG, key) | {"driver": driver}
        plan.extract_subdatasets()
        reports = [_run_stage(stage, profile, options) for stage, profile in zip(stages, profiles, strict=True)]
        if prepared_digest(sources, steps, form) != key:
            raise RasterError(f"{target}: an input has changed during the run; run again")
    return PreparationReport(target, tuple(reports), time.perf_counter() - start)


def _result_options(
    storage: Mapping[str, Any] | None, driver: str, bands: Bands, labels: Mapping[str, str] | None
) -> tuple[object, ...]:
    """Return the options of a result that are part of its digest, besides inputs and steps."""
    return sorted((storage or {}).items()), driver, bands.value, sorted((labels or {}).items())


def _run_stage(stage: Stage, profile: Mapping[str, Any], options: Mapping[str, Any]) -> BlocksReport:
    return process_blocks(
        stage.function, stage.inputs, stage.output, read="datasets", grid=stage.grid, profile=profile, **options
    )


@contextmanager
def _naming_output(target: Path, run: str) -> Iterator[None]:
    """In errors, replace the path of a temporary file of this run with the path of the output."""
    try:
        yield
    except RegionplotError as error:
        error.relocate(lambda place: replace(place, file=str(target)) if run in place.file else place)
        raise


def _with_distinct_names(inputs: Sequence[Input]) -> list[Input]:
    """Return the inputs with distinct names. Inputs that share a name get the names in1, in2 ..."""
    if not inputs:
        raise ConfigError("no inputs: give at least one raster")
    names = [item.name for item in inputs]
    twice = {name for name in names if names.count(name) > 1}
    return [replace(item, name=f"in{n}") if item.name in twice else item for n, item in enumerate(inputs, 1)]


def _check_libraries(steps: Sequence[Step]) -> None:
    required = {name for step in steps for name in step.requires}
    missing = sorted(name for name in required if importlib.util.find_spec(name) is None)
    if missing:
        raise ConfigError(f"{', '.join(missing)} is not installed; install it: pip install {' '.join(missing)}")


def prepared(config: Config, observer: PreparationObserver | None = None) -> Config:
    """Apply the steps of `[[prepare]]`, or use their result from an earlier run.

    Parameters
    ----------
    config : Config
        Settings, as `read_config` returns them.
    observer : PreparationObserver, optional
        Provides an observer of the blocks.

    Returns
    -------
    Config
        Settings without steps. Their raster is the prepared raster. If `config` has no steps, it is returned unchanged.

    Raises
    ------
    ConfigError, InputError, BlockError
        For the same reasons as `prepare_raster`. An error in a step contains the number and name of the step.
    """
    if not config.prepare:
        return config
    settings = config.raster
    if is_remote(settings.path) or is_vrt(settings.path):
        cure = "copy the raster to a GeoTIFF first: gdal_translate -of COG ... raster.tif"
        raise RasterError(f"{settings.path}: the steps of [[prepare]] read neither addresses nor VRT files; {cure}")
    bands = Bands.ALL if any(step.reads_all_bands for step in config.prepare) else Bands.SELECTED
    inputs = [Input("raster", settings), *(Input(n, RasterSettings(path=path)) for n, path in settings.inputs.items())]
    with _naming_section():
        target = _prepared_path(config, inputs, bands)
        report = prepare_raster(
            inputs,
            target,
            config.prepare,
            existing=Existing.KEEP_CURRENT if config.run.cache else Existing.REPLACE,
            bands=bands,
            executor=config.run.start_method,
            workers=config.run.workers,
            worker_settings=replace(DEFAULT_SETTINGS, retries=config.run.retries, nice=config.run.nice),
            observer=None if observer is None else observer.preparing(),
        )
    logger.info("%s: %s", target, report)
    if settings.prepared is None:
        with suppress(OSError):  # another run may trim the folder at the same time
            PreparedFolder(target.parent.parent).trim()
    band = inspect_raster(settings).band if _band_count(target) > 1 else 1
    raster = RasterSettings(path=target, band=band, resampling=settings.resampling)
    return config.model_copy(update={"raster": raster, "prepare": ()})


@contextmanager
def _naming_section() -> Iterator[None]:
    """Add the section of the settings to errors in steps."""
    try:
        yield
    except RegionplotError as error:
        error.relocate(lambda place: replace(place, section="prepare") if place.step else place)
        raise


def _prepared_path(config: Config, inputs: Sequence[Input], bands: Bands) -> Path:
    """Return the path of the prepared raster. In the cache, it has the stem of the input, which titles can show."""
    if config.raster.prepared is not None:
        return config.raster.prepared
    key = prepared_digest(inputs, config.prepare, _result_options(None, "GTiff", bands, None))
    stem = config.raster.path.stem
    try:
        return user_folder().path(key, stem)
    except OSError as error:
        folder = config.output.directory / ".prepared"
        logger.warning("%s; prepared rasters are stored in %s", error, folder)
    try:
        return PreparedFolder(folder).path(key, stem)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}") from error


def _band_count(path: Path) -> int:
    with opened(path) as dataset:
        return int(dataset.count)
