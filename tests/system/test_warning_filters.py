"""Python's warning filters belong to all threads of a process, so only one thread changes them at a time."""

from __future__ import annotations

import multiprocessing
import re
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyproj
import pytest
import rasterio.features
import shapely
from affine import Affine

import regionplot
from regionplot.blocks.grid import Block
from regionplot.geo.coverage import covered_shares
from regionplot.geo.grid import GridGeometry, Window
from regionplot.prepare.base import BlockContext
from regionplot.prepare.steps.mask import MaskByVector
from regionplot.system.threads import GLOBALS_LOCK, ignored_warnings

PACKAGE = Path(regionplot.__file__).parent
MAY_CHANGE_FILTERS = {
    "cli/commands.py",  # the outermost block of the program
    "inputs/vector_files.py",  # records warnings, with the lock
    "system/threads.py",
}


TURNED = GridGeometry(Affine(1, 0.1, 10, 0.1, -1, 50), 4, 4, pyproj.CRS.from_epsg(4326))
POLYGON = shapely.box(11, 47, 13, 49)


def mask_cells(folder: Path) -> None:
    path = folder / "polygon.geojson"
    path.write_text(shapely.to_geojson(POLYGON))
    whole = Window(0, 0, 4, 4)
    context = BlockContext(Block(whole, whole), TURNED, {})
    assert np.isfinite(MaskByVector(path).bind(TURNED).apply(np.ones((1, 4, 4)), context)).any()


def cover_cells(_folder: Path) -> None:
    assert covered_shares(TURNED, np.array([POLYGON])).any()


def is_locked() -> bool:
    """Return whether other threads would wait for the lock."""
    found: list[bool] = []

    def try_lock() -> None:
        found.append(GLOBALS_LOCK.acquire(blocking=False))
        if found[0]:
            GLOBALS_LOCK.release()

    thread = threading.Thread(target=try_lock)
    thread.start()
    thread.join()
    return not found[0]


def test_filters_are_changed_in_few_modules() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"catch_warnings|simplefilter|filterwarnings", path.read_text())
    }
    assert found - {"inputs/isolation.py"} == MAY_CHANGE_FILTERS  # isolation: in a process of its own


def test_only_named_warnings_are_ignored() -> None:
    with ignored_warnings(UserWarning, "Glyph"):
        assert is_locked()
        warnings.warn("Glyph 1 is missing", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="another"):
            warnings.warn("another", UserWarning, stacklevel=1)
    assert not is_locked()


@pytest.mark.parametrize("use", [mask_cells, cover_cells])
def test_other_threads_wait_while_rasterio_rasterizes(use: Callable[[Path], None], tmp_path: Path) -> None:
    """It changes the filters. Without the lock, threads got its internal warnings once in 1,000 rasters."""
    seen: list[bool] = []

    def rasterize(shapes: Any, out_shape: Any = None, **options: Any) -> Any:
        seen.append(is_locked())
        return original(shapes, out_shape, **options)

    original = rasterio.features.rasterize
    with mock.patch("rasterio.features.rasterize", rasterize):
        use(tmp_path)
    assert seen
    assert all(seen)


def test_a_forked_process_can_take_the_lock_that_another_thread_held() -> None:
    release, held = threading.Event(), threading.Event()

    def hold() -> None:
        with GLOBALS_LOCK:
            held.set()
            release.wait(0.2)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    process = multiprocessing.get_context("fork").Process(target=GLOBALS_LOCK.acquire)
    process.start()  # waits until the thread has released the lock
    process.join(5)
    release.set()
    thread.join()
    assert process.exitcode == 0
