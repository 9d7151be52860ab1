"""Check format, lint, types and import contracts, so that one command checks everything."""

from __future__ import annotations

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
        pytest.param(("mypy",), id="types", marks=pytest.mark.slow),
        pytest.param(("lint-imports",), id="layers"),
    ],
)
def test_format_lint_types_and_import_contracts_pass(command):
    result = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_ci_calls_the_readme_test_command():
    commands = re.findall(r"```sh\n(.*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert commands[-1] == (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]


def readme_example() -> str:
    """Return the Python example of the README as a script."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## From Python")[2].partition("\n## ")[0]
    blocks = "".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))
    return re.sub(r"^(>>>|\.\.\.) ", "", blocks, flags=re.MULTILINE)


CHECKERS = ["mypy", *(["pyright"] if (BIN / "pyright").exists() else [])]
"""pyright is checked only if it is installed, because it needs Node.js."""


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_the_readme_example_passes_the_type_checkers(tmp_path: Path, checker: str) -> None:
    """The checkers use their own default settings, as for a user."""
    (tmp_path / "example.py").write_text(readme_example(), encoding="utf-8")
    (tmp_path / "regionplot").symlink_to(ROOT / "regionplot")
    command = {
        "mypy": [
            "mypy",
            "--config-file=",
            f"--python-executable={sys.executable}",
            "--follow-imports=silent",
            f"--cache-dir={ROOT}/.mypy_cache/readme",
        ],
        "pyright": ["pyright", "--pythonpath", sys.executable],
    }[checker]
    program, *options = [*command, "example.py"]
    result = subprocess.run([BIN / program, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
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
