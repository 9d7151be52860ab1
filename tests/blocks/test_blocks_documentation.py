"""Run every example in docs/blocks.md and docs/raster-steps.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely

import regionplot

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "blocks.md"


def examples(page: Path, language: str) -> list[tuple[int, str]]:
    """Return the line and the text of each example of a page in a language."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in found]


def run_python(page: Path) -> None:
    module = types.ModuleType("examples")
    sys.modules["examples"] = module  # dataclasses look up their module
    try:
        for line, example in examples(page, "python"):
            exec(compile("\n" * line + example, str(page), "exec"), module.__dict__)
    finally:
        del sys.modules["examples"]


@pytest.mark.timeout(120, method="signal")  # a timer thread would make fork unsafe
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_python(PAGE)
    assert not list(tmp_path.rglob(".*")), "a temporary file is left"


@pytest.mark.timeout(120, method="signal")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_the_examples_of_raster_steps_give_the_described_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_raster: Any, write_vector: Any
) -> None:
    """The examples use the command, settings and Python."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    write_raster(np.full((30, 40), 254.0, "float32"), name="swe.tif")
    write_raster(np.random.default_rng(1).random((30, 40), "float32"), name="dem.tif")
    write_vector([shapely.box(-95, 15, -85, 35)], name="states.shp")
    ((_, command),) = examples(DOCS / "raster-steps.md", "sh")
    subprocess.run(["sh", "-ec", command], check=True, timeout=60)
    (_, settings), (_, anomaly) = examples(DOCS / "raster-steps.md", "toml")
    Path("regionplot.toml").write_text(settings)
    run_python(DOCS / "raster-steps.md")
    (kept,) = (tmp_path / "cache").rglob("swe.tif")
    with rasterio.open("depth.tif") as one, rasterio.open(kept) as other:
        np.testing.assert_allclose(one.read(), other.read(), rtol=1e-6)
        assert np.nanmax(one.read()) == pytest.approx(100)
        assert (one.units, other.units) == (("inch",), ("inch",))
    with rasterio.open("slope.tif") as dataset:
        assert np.isfinite(dataset.read()).all()
    for name, value in (("today.tif", 7.0), ("normal.tif", 5.0)):
        write_raster(np.full((30, 40), value), name=name)
    Path("anomaly.toml").write_text(anomaly)
    config = regionplot.prepared(regionplot.read_config("anomaly.toml"))
    assert (regionplot.SharedData.load(config).raster == 2).all()


def test_each_other_system_has_examples() -> None:
    text = PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## As in (.*?)\n(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE))
    assert len(sections) == 4
    assert all("```python" in section and "assert" in section for section in sections.values())
