"""Check format, lint, types and import contracts, so that one command checks everything."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pyogrio
import pytest
import shapely

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("ruff", "format", "--check"), id="format"),
        pytest.param(("ruff", "check"), id="lint"),
        pytest.param(("lint-imports",), id="layers"),
    ],
)
def test_format_lint_and_import_contracts_pass(command):
    result = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_module_exceeds_400_lines_and_no_function_50() -> None:
    """Docstrings of functions do not count."""
    too_long = []
    for path in (ROOT / "regionplot").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        too_long += [path.name] if len(text.splitlines()) > 400 else []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                described = len((ast.get_docstring(node, clean=False) or "").splitlines())
                too_long += [f"{path.name}: {node.name}"] if lines - described > 50 else []
    assert not too_long


def test_ci_calls_the_readme_test_command():
    commands = re.findall(r"```sh\n(.*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert commands[-1] == (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]


def readme_example() -> str:
    """Return the Python example of the README as a script."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## From Python")[2].partition("\n## ")[0]
    blocks = "".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))
    return re.sub(r"^(>>>|\.\.\.) ", "", blocks, flags=re.MULTILINE)


@pytest.mark.slow
def test_types_of_the_package_and_of_the_readme_example(tmp_path: Path) -> None:
    """One run of mypy checks both, because most of its time goes into reading the types of the libraries."""
    (tmp_path / "readme_example.py").write_text(readme_example(), encoding="utf-8")
    result = subprocess.run(
        [BIN / "mypy", "--package=regionplot", "--module=readme_example"],
        cwd=ROOT, env={**os.environ, "MYPYPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_the_readme_example_passes_pyright_with_its_default_settings(tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(readme_example(), encoding="utf-8")
    (tmp_path / "regionplot").symlink_to(ROOT / "regionplot")
    command = [BIN / "pyright", "--pythonpath", sys.executable, "example.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_sample_is_small():
    sizes = [path.stat().st_size for path in (ROOT / "regionplot" / "sample").iterdir() if path.is_file()]
    assert sum(sizes) < 3_000_000


def test_no_polygon_of_the_sample_spans_the_map():
    """A polygon across 180° that is not cut there would become a strip around the earth."""
    for name in ("counties", "states", "countries"):
        file = ROOT / "regionplot" / "sample" / f"{name}.shp.zip"
        polygons = shapely.get_parts(shapely.from_wkb(pyogrio.raw.read(file)[2]))
        bounds = shapely.bounds(polygons)
        assert (bounds[:, 2] - bounds[:, 0]).max() < 90, name


def test_version_is_in_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in changelog
