"""A plug-in of another package that cannot be loaded gives one line that names the plug-in and its package."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from regionplot.errors import ConfigError
from regionplot.registry import COMMANDS, EXECUTORS, LAYERS, SOURCES, STEPS, WRITERS, Registry

REGISTRIES = {registry.group: registry for registry in (EXECUTORS, LAYERS, SOURCES, STEPS, WRITERS)}
FAULTS = {
    "absent": ("not_there:Broken", "ModuleNotFoundError: No module named 'not_there'"),
    "no class": ("broken_plugin:Other", "AttributeError: module 'broken_plugin' has no attribute 'Other'"),
    "own error": ("broken_import:Broken", "RuntimeError: two lines"),
}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that installs a package with the plug-in `broken` in each group."""

    def write(place: str) -> None:
        information = tmp_path / "broken_package-1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-package\nVersion: 1\n")
        groups = "".join(f"[{group}]\nbroken = {place}\n" for group in REGISTRIES)
        (information / "entry_points.txt").write_text(groups)
        (tmp_path / "broken_plugin.py").write_text("")
        (tmp_path / "broken_import.py").write_text("raise RuntimeError('two\\nlines')")
        monkeypatch.syspath_prepend(str(tmp_path))

    return write


@pytest.mark.parametrize(("place", "reason"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_a_broken_plugin_is_named(install: Callable[[str], None], registry: Registry, place: str, reason: str) -> None:
    install(place)
    assert "broken" in registry
    with pytest.raises(ConfigError) as caught:
        registry["broken"]
    assert str(caught.value) == (
        f"the plug-in 'broken' ({registry.group}) cannot be loaded from {place}: {reason}; "
        "repair or uninstall the package broken-package"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["schema"],
        ["regions.csv", "--raster", "sample:relief", "--start-method", "broken"],
        ["regions.csv", "-c", "layer.toml"],
        ["regions.csv", "-c", "step.toml"],
        ["regions.csv", "-c", "writer.toml"],
        ["regions.csv", "--raster", "grid.broken"],
    ],
    ids=" ".join,
)
def test_the_command_reports_a_broken_plugin_in_one_line(
    arguments: Sequence[str],
    install: Callable[[str], None],
    run_command: Any,
    tmp_path: Path,
) -> None:
    install("not_there:Broken")
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nnc,-84,-75,33,37\n")
    raster = '[raster]\npath = "sample:relief"\n'
    (tmp_path / "layer.toml").write_text(f"{raster}[broken]\n")
    (tmp_path / "step.toml").write_text(f'{raster}[[prepare]]\nstep = "broken"\n')
    (tmp_path / "writer.toml").write_text(f'{raster}[output]\nfilename = "{{name}}.broken"\n')
    (tmp_path / "grid.broken").write_text("cells")
    result = run_command(tmp_path, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "the plug-in 'broken' (regionplot." in result.stderr
    assert "No module named 'not_there'" in result.stderr


def test_the_help_of_prepare_reports_a_broken_step_in_one_line(install: Callable[[str], None], tmp_path: Path) -> None:
    """The test needs a new process, because a process builds the options of the command only once."""
    install("not_there:Broken")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, "-m", "regionplot", "prepare", "--help"]
    environment = {**os.environ, "PYTHONPATH": path}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "the plug-in 'broken' (regionplot.steps)" in result.stderr


def test_a_broken_plugin_that_nobody_names_stops_no_run(
    install: Callable[[str], None], run_command: Any, tmp_path: Path
) -> None:
    install("not_there:Broken")
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nnc,-84,-75,33,37\n")
    result = run_command(tmp_path, "regions.csv", "--raster", "sample:relief", "--start-method", "serial")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "output" / "nc.png").is_file()


def test_all_commands_can_be_imported() -> None:
    assert all(COMMANDS[name].name == name for name in COMMANDS.builtin)
