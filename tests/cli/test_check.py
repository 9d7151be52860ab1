"""`regionplot check` checks settings and table, and names colors that readers cannot tell apart."""

from __future__ import annotations

from pathlib import Path

import pytest

TABLE = "name,west,east,south,north\na,-84,-76,34,37\n"
GOOD = "colormap = 'batlow'"


@pytest.fixture
def check(run_command, tmp_path: Path):
    """Return a function that checks settings with the given section of colors."""

    def check(colors: str, more: str = "", table: str = TABLE):
        (tmp_path / "regions.csv").write_text(table)
        text = f"[raster]\npath = 'sample:relief'\n[colors]\n{colors}\n{more}"
        (tmp_path / "regionplot.toml").write_text(text)
        return run_command(tmp_path, "check", "regions.csv")

    return check


def test_good_settings_have_no_findings(check) -> None:
    found = check(GOOD)
    assert (found.returncode, found.stderr) == (0, "")
    assert "color-blind readers can follow the colors" in found.stdout


def test_the_starter_has_no_findings(run_command, tmp_path: Path) -> None:
    assert run_command(tmp_path, "init", ".").returncode == 0
    found = run_command(tmp_path, "check", "regions.csv")
    assert (found.returncode, found.stderr) == (0, "")


def test_a_scale_and_lines_are_named_with_their_place(check) -> None:
    lines = "[[features]]\npath = 'sample:states'\nedgecolor = '#a50026'\n"
    found = check("levels = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\ncolormap = 'RdYlGn'", lines)
    assert found.returncode == 1
    assert "regionplot.toml:3: [colors]: with deuteranopia, " in found.stdout
    assert (
        "regionplot.toml:8: [[features]] #1 edgecolor: lines in '#a50026' do not stand out on the colors of 0 to 1;"
        in found.stdout
    )


def test_regions_are_checked_and_drawn(check, run_command, tmp_path: Path) -> None:
    found = check(GOOD, table=f"{TABLE}far,10,20,34,37\n")
    assert found.returncode == 1
    assert "regions.csv:3: far: the region (x 10 to 20, y 34 to 37) does not overlap the raster" in found.stdout
    found = run_command(tmp_path, "check", "regions.csv", "--map", "index.svg")
    assert "index.svg: a map of the boxes of all regions" in found.stdout
    assert (tmp_path / "index.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("colors", "table", "message"),
    [
        ("colormap = 'nothing'", TABLE, r"regionplot.toml:4: \[colors\] colormap: matplotlib has no 'nothing'"),
        ("color = 1", TABLE, "unknown key"),
        (GOOD, "name,west\na,1\n", "regions.csv"),
    ],
)
def test_faults_are_reported_in_one_line(colors: str, table: str, message: str, check) -> None:
    import re

    found = check(colors, table=table)
    assert found.returncode == 2
    assert re.search(message, found.stderr)
    assert "Traceback" not in found.stderr


def test_a_missing_raster_ends_with_exit_code_3(run_command, tmp_path: Path) -> None:
    (tmp_path / "regions.csv").write_text(TABLE)
    found = run_command(tmp_path, "check", "regions.csv", "--raster", "missing.tif")
    assert found.returncode == 3
    assert "missing.tif" in found.stderr
