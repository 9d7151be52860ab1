"""Names of classes are read from the file, or replaced by numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from regionplot.inputs.color_tables import class_names


def test_numbers_replace_names_that_cannot_be_read(
    write_raster: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_raster(np.zeros((2, 4), np.uint8), colormap={1: (70, 107, 160, 255)})
    monkeypatch.setattr(rasterio.shutil, "copy", lambda _dataset, name, **_: Path(name))
    with rasterio.open(path) as dataset:
        assert class_names(dataset, 1) == {}
    assert "the class names cannot be read" in caplog.text
