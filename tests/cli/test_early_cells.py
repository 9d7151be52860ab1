"""A run with new regions reads the cells of the last run in a child process, and draws the same maps as any run."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import rasterio
from known_folder import draw_once, use_cache, write_cells
from test_repeated_runs import LOGGED, TABLE, cells, settings, write_inputs

from regionplot.errors import RasterError
from regionplot.runs import child_cells

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
NEW_TABLE = "name,west,east,south,north,title\nd,-90,-70,25,40,D\ne,-99,-75,11,35,E\n"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return a folder whose cache has the frame of the maps."""
    return draw_once(write_inputs(tmp_path_factory.mktemp("drawn")))


@pytest.fixture
def folder(tmp_path, drawn, monkeypatch):
    """Return a folder with a raster, a layer, a table and settings. Cells that are read early are read in this process.

    A fork of the process of the tests takes longer than reading a small raster.
    """
    use_cache(write_inputs(tmp_path), drawn, monkeypatch)
    monkeypatch.setattr(child_cells, "can_fork", lambda: True)
    return tmp_path


@pytest.fixture
def run(run_command, folder, monkeypatch):
    """Return a function that runs the command. It returns the results of child processes that were used."""
    used = []
    complete = child_cells.ChildCells.are_complete
    monkeypatch.setattr(
        child_cells.ChildCells, "are_complete", lambda self, band: used.append(complete(self, band)) or used[-1]
    )

    def run(*arguments):
        used.clear()
        run.result = run_command(folder, "regions.csv", *LOGGED, "--force", *arguments, PYTEST_CURRENT_TEST="")
        assert run.result.returncode == 0, run.result
        return list(used)

    return run


@pytest.fixture
def usually(run, folder):
    """Return a function that draws the same maps without an early reading, and returns the new maps."""

    def usually():
        shutil.rmtree(folder / "output")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(child_cells, "can_fork", lambda: False)
            assert run() == []
        return new_maps(folder)

    return usually


def new_maps(folder):
    """Return the maps of the regions in the new table."""
    return [path.read_bytes() for path in sorted(folder.glob("output/[de].png"))]


def rewritten(folder, values, **profile):
    """Replace the raster by another file."""
    write_cells(folder / "new.tif", values)
    with rasterio.open(folder / "new.tif", "r+") as file:
        file.nodata = profile.get("nodata")
    (folder / "new.tif").replace(folder / "grid.tif")


@pytest.mark.parametrize("values", [cells(), cells(500), np.where(cells() > 900, np.nan, cells())])
def test_new_regions_are_drawn_from_cells_that_are_read_early(values, run, usually, folder):
    assert run() == []
    (folder / "regions.csv").write_text(NEW_TABLE)
    rewritten(folder, values.astype(np.float32))
    assert run() == [True]
    early = new_maps(folder)
    assert early == usually()
    assert len(early) == 2


def test_another_table_with_the_same_settings_uses_the_record(run, folder):
    assert run() == []
    shutil.rmtree(folder / "cache" / "regionplot" / "runs")
    (folder / "regions.csv").write_text(NEW_TABLE)
    assert run() == [True]
    assert run("--output", "elsewhere", "--workers", "2") == [True]
    assert run("--raster", "grid.tif") == []


CHANGES = {
    "other levels": lambda folder: (folder / "regionplot.toml").write_text(settings(levels="[0, 700, 1400]")),
    "other method": lambda folder: (folder / "regionplot.toml").write_text(settings(more="resampling = 'bilinear'")),
    "other type": lambda folder: rewritten(folder, cells().astype(np.float64)),
    "fewer rows": lambda folder: rewritten(folder, cells()[:40]),
    "a nodata value": lambda folder: rewritten(folder, cells(), nodata=7),
    "a damaged record": lambda folder: os.truncate(next((folder / "cache/regionplot/cells").iterdir()), 99),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_cells_are_read_as_usual(change, run, usually, folder):
    assert run() == []
    (folder / "regions.csv").write_text(NEW_TABLE)
    change(folder)
    assert run() == []
    assert new_maps(folder) == usually()


def test_a_child_that_fails_changes_nothing(run, usually, folder, monkeypatch):
    assert run() == []
    (folder / "regions.csv").write_text(NEW_TABLE)

    def fail(_, _threads, codes, _pipe):
        codes.fill(1)
        raise RasterError("the disk is on fire")

    monkeypatch.setattr(child_cells, "_read", fail)
    assert run() == [False]
    assert "fire" not in run.result.stderr
    assert new_maps(folder) == usually()


def test_a_raster_that_is_replaced_after_the_child_has_read_it_is_read_again(run, usually, folder, monkeypatch):
    assert run() == []
    (folder / "regions.csv").write_text(NEW_TABLE)
    start = child_cells.ChildCells._start.__func__

    def replaced(cls, *wanted):
        early = start(cls, *wanted)
        result = early.finish()
        rewritten(folder, cells(500))
        return early._replace(finish=lambda: result)

    monkeypatch.setattr(child_cells.ChildCells, "_start", classmethod(replaced))
    assert run() == [False]
    monkeypatch.undo()
    assert new_maps(folder) == usually()


def drawing_function(folder):
    text = "import numpy as np\ndef draw(shared, region):\n    return np.zeros((9, 9, 3), np.uint8)\n"
    (folder / "own_draw.py").write_text(text)
    return settings().replace("[map]", '[map]\ndraw = "own_draw:draw"')


@pytest.mark.parametrize(
    "text",
    [lambda _: settings(run="start_method = 'fork'\ncache = false"), drawing_function],
    ids=["no cache", "a function of the user"],
)
def test_runs_without_classified_cells_or_cache_write_no_record(text, run, folder):
    (folder / "regionplot.toml").write_text(text(folder))
    assert run() == []
    assert not (folder / "cache" / "regionplot" / "cells").exists()


COMMAND = """
import os, signal, sys
from regionplot.cli import commands
from regionplot.runs import child_cells

complete = child_cells.ChildCells.are_complete
child_cells.ChildCells.are_complete = lambda *both: print("complete:", found := complete(*both)) or found
"""
RUN = "sys.exit(commands.run(sys.argv[1:]))"


@pytest.mark.parametrize(
    ("change", "is_complete"),
    [("", True), ("child_cells._read = lambda *_: os.kill(os.getpid(), signal.SIGSEGV)\n", False)],
    ids=["reads", "crashes"],
)
def test_a_child_process_reads_the_cells(change, is_complete, start_command, folder):
    """The tests above read in their own process."""

    def run(table, code, *options):
        (folder / "regions.csv").write_text(table)
        (folder / "command.py").write_text(COMMAND + code + RUN)
        with start_command(folder, "-q", "regions.csv", "--force", *options, script=folder / "command.py") as command:
            return *command.communicate(timeout=60), command.wait()

    assert run(TABLE, "") == ("", "", 0)
    assert run(NEW_TABLE, change) == (f"complete: {is_complete}\n", "", 0)
    maps = new_maps(folder)
    assert run(NEW_TABLE, "", "--no-cache", "--output", "usual") == ("", "", 0)
    assert maps == [path.read_bytes() for path in sorted(folder.glob("usual/[de].png"))]
    assert len(maps) == 2


REPEATED = """
import os, signal, sys
from regionplot.cli import commands
from regionplot.runs import child_cells, identity, repeat

identity.MIN_AGE = 0  # the inputs may be new
read = repeat._read_by
repeat._read_by = lambda *inputs: print("cells:", (found := read(*inputs)) is not None) or found
"""


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    ("change", "output"),
    [
        ("", "cells: True\n"),
        ("child_cells._read = lambda *_: os.kill(os.getpid(), signal.SIGSEGV)\n", "cells: True\n"),
        ("child_cells.WantedCells.read = lambda *_: 1 / 0\n", "cells: False\n"),
    ],
    ids=["reads", "crashes, so the run reads", "fails, so a full run follows"],
)
def test_a_child_process_reads_the_cells_of_a_repeated_run(resampling, change, output, start_command, folder):
    (folder / "regionplot.toml").write_text(settings(more=f"resampling = '{resampling}'"))

    def run(code, *options):
        (folder / "command.py").write_text(REPEATED + code + RUN)
        with start_command(folder, "-q", "regions.csv", *options, script=folder / "command.py") as command:
            return *command.communicate(timeout=60), command.wait()

    assert run("") == ("", "", 0)
    rewritten(folder, cells(500).astype(np.float32))
    assert run(change)[0] == output
    maps = [path.read_bytes() for path in sorted(folder.glob("output/*.png"))]
    assert run("", "--no-cache", "--output", "usual") == ("", "", 0)
    assert maps == [path.read_bytes() for path in sorted(folder.glob("usual/*.png"))]
    assert len(maps) == 3
