"""A folder with the inputs of runs that can become known runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import shapely

from regionplot.render import fonts
from regionplot.runs import identity


def fill_folder(folder: Path, table: str, settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a vector layer, a table and settings. Let the age of the inputs be zero, and use an empty cache."""
    box = np.array([shapely.to_wkb(shapely.box(-90, 10, -60, 40))], dtype=object)
    pyogrio.raw.write(folder / "layer.shp", box, [np.arange(1)], ["id"], geometry_type="Polygon", crs="EPSG:4326")
    (folder / "regions.csv").write_text(table)
    (folder / "regionplot.toml").write_text(settings)
    monkeypatch.setattr(identity, "MIN_AGE", 0.0)
    monkeypatch.setattr(fonts, "FALLBACKS", fonts.FontFallbacks())
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
