"""A package can add a step: one class, and an entry point of the group regionplot.steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from regionplot.errors import ConfigError
from regionplot.prepare.run import prepare_raster, prepared
from regionplot.settings.loading import read_config

DOCS = Path(__file__).parents[2] / "docs" / "raster-steps.md"
ENTRY_POINT = "[regionplot.steps]\nclip = clip_of_another_package:Clip\n"


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a package with the step that the documentation shows."""
    (source,) = re.findall(r"```python\n((?:(?!```).)*class Clip.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    folder = tmp_path / "site"
    information = folder / "clip_of_another_package-1.dist-info"
    information.mkdir(parents=True)
    (folder / "clip_of_another_package.py").write_text(source)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: clip-of-another-package\nVersion: 1\n")
    (information / "entry_points.txt").write_text(ENTRY_POINT)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield folder
    sys.modules.pop("clip_of_another_package", None)


@pytest.fixture
def grid(write_raster: Any) -> Path:
    return write_raster(np.arange(600, dtype="float32").reshape(20, 30), name="dem.tif")


def read(path: Path) -> Any:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def config_of(grid: Path, **settings: Any) -> Any:
    return read_config({"raster": {"path": grid}, "prepare": [{"step": "clip", **settings}]})


def regionplot_prepare(package: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "regionplot", "prepare", *map(str, arguments)]
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100)


def test_a_step_of_another_package_works_in_settings(grid: Path) -> None:
    result = read(prepared(config_of(grid, low=10.0, high=300.0)).raster.path)
    np.testing.assert_array_equal(result, np.clip(read(grid), 10, 300))
    with pytest.raises(ConfigError, match=r"\[\[prepare\]\] #1 hgih: unknown key; did you mean 'high'\?"):
        config_of(grid, low=1.0, hgih=2.0)


def test_a_step_of_another_package_works_on_the_command_line(package: Path, grid: Path, tmp_path: Path) -> None:
    assert "--clip LOW:HIGH" in regionplot_prepare(package, "--help").stdout
    output = tmp_path / "out.tif"
    result = regionplot_prepare(package, grid, "-o", output, "--clip", "10:300", "--scale", "2")
    assert (result.returncode, result.stderr) == (0, "")
    np.testing.assert_array_equal(read(output), np.clip(read(grid), 10, 300) * 2)
    result = regionplot_prepare(package, grid, "-o", output, "--clip", "10")
    assert (result.returncode, result.stdout) == (2, "")
    assert "--clip 10: high: is required" in result.stderr


def test_a_result_is_computed_again_if_the_code_of_a_step_changes(package: Path, grid: Path, tmp_path: Path) -> None:
    steps = config_of(grid, low=10.0, high=300.0).prepare
    output = tmp_path / "out.tif"
    assert not prepare_raster([grid], output, steps, executor="serial").unchanged
    assert prepare_raster([grid], output, steps, executor="serial").unchanged
    module = package / "clip_of_another_package.py"
    module.write_text(module.read_text() + "\n# changed\n")
    assert not prepare_raster([grid], output, steps, executor="serial").unchanged


def test_the_main_command_imports_no_steps() -> None:
    script = "import sys, regionplot.cli; import regionplot.cli.commands; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=100)
    assert not [name for name in result.stdout.split() if name.startswith(("regionplot.prepare", "regionplot.blocks"))]
