"""If only the raster is new, a command draws its maps from a record, and writes the same as a full run."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import shapely
from affine import Affine
from known_folder import draw_once, fill_folder, use_cache, write_cells
from PIL import Image
from written import outputs

from regionplot.cli import render_once
from regionplot.cli.known_runs import known_run_name
from regionplot.cli.render import render
from regionplot.cli.render_once import Prepared
from regionplot.cli.request import Request
from regionplot.runs import identity
from regionplot.runs.lock import locked
from regionplot.system import failpoints

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
TABLE = "name,west,east,south,north,title\na,-95,-70,20,40,A\nb,-90,-60,15,30,B\nc,-80,-60,10,20,C\n"
LEVELS = "[0, 300, 600, 900, 1200, 1500, 1800, 2100, 2400]"
LOGGED = ("--log-file", "run.log", "--metrics", "run.prom")


def settings(
    *,
    path: str = "grid.tif",
    levels: str = LEVELS,
    more: str = "",
    **sections: str,
) -> str:
    text = f'[raster]\npath = "{path}"\n{more}\n[map]\nsize = [160, 120]\nprojection = "raster"\n'
    text += f'[colors]\nlevels = {levels}\n[[features]]\npath = "layer.shp"\n'
    sections = {"run": "start_method = 'fork'\nworkers = 1", **sections}
    return text + "".join(f"[{name}]\n{lines}\n" for name, lines in sections.items())


def cells(first: float = 0.0) -> np.ndarray:
    return np.arange(first, first + 3000, dtype=np.float32).reshape(50, 60)


def write_inputs(folder: Path) -> Path:
    """Write a raster, a layer, a table and settings. Return the folder."""
    write_cells(folder / "grid.tif", cells())
    fill_folder(folder, TABLE, settings())
    return folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return a folder whose cache has the ink of the maps."""
    return draw_once(write_inputs(tmp_path_factory.mktemp("drawn")))


@pytest.fixture
def folder(tmp_path, drawn, monkeypatch):
    """Return a folder with a raster, a layer, a table and settings. The age of the inputs may be zero."""
    use_cache(write_inputs(tmp_path), drawn, monkeypatch)
    return tmp_path


@pytest.fixture
def run(run_command, folder, monkeypatch):
    """Return a function that runs the command. It returns True if the settings were not read in this process."""
    loads = []
    load = render_once.import_for_drawing
    monkeypatch.setattr(render_once, "import_for_drawing", lambda: loads.append(1) or load())

    def run(*arguments, code=0, hook=None):
        time.sleep(0.02)  # the resolution of the times of files
        loads.clear()
        with failpoints.install(hook or (lambda *_: None)):
            run.result = run_command(folder, "regions.csv", *LOGGED, *arguments, PYTEST_CURRENT_TEST="")
        assert run.result.returncode == code, run.result
        return not loads

    return run


@pytest.fixture
def usually(run, folder):
    """Return a function that repeats the last run as a full run, from the same state, and returns what it writes."""

    def usually(state, *arguments, **options):
        for name in ("output", "grid.tif"):
            path = folder / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.copytree(state, folder, symlinks=True, dirs_exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(render_once, "repeat_known_run", lambda *_: None)
            assert not run(*arguments, **options)
        return outputs(folder, run.result)

    return usually


def saved(folder: Path, state: Path) -> Path:
    """Copy the raster and the maps of a folder."""
    state.mkdir()
    shutil.copytree(folder / "output", state / "output", symlinks=True)
    shutil.copy2(folder / "grid.tif", state)
    return state


def missing_in_the_south(values):
    values[38:] = np.nan
    return values


def missing_in_c(values):
    values[25:] = np.nan
    return values


def new_in_c(values):
    values[38, 25] += 1000
    return values


NEW_CELLS = {
    "all new": lambda values: values[::-1],
    "some missing": missing_in_the_south,
    "a region without data": missing_in_c,
    "one map new": new_in_c,
    "below the levels": lambda values: values - 9000,
    "not finite": lambda values: np.where(values > 900, np.inf, values),
    "all missing": lambda values: values + np.nan,
}


@pytest.mark.parametrize("options", [(), ("--force",)])
@pytest.mark.parametrize("change", NEW_CELLS.values(), ids=NEW_CELLS)
def test_a_new_raster_is_drawn_as_by_a_full_run(change, options, run, usually, folder, write_raster, tmp_path):
    assert not run(*options)
    write_raster(np.ascontiguousarray(change(cells())))
    state = saved(folder, tmp_path / "state")
    assert run(*options)
    repeated = outputs(folder, run.result)
    assert repeated == usually(state, *options)
    assert len(repeated["maps"]) == 3


@pytest.mark.parametrize(
    ("sections", "options"),
    [
        ({"output": "publish = 'runs'\nkeep = 0"}, ()),
        ({}, ("--only", "[ab]")),
        ({}, ("-q", "--log-format", "json")),
        ({"output": "filename = '{title}/{name}.png'\n[output.png]\ncompression = 9"}, ("--workers", "1")),
    ],
)
def test_options_and_sections_apply_to_a_new_raster(sections, options, run, usually, folder, write_raster, tmp_path):
    (folder / "regionplot.toml").write_text(settings(**sections))
    assert not run(*options)
    write_raster(cells(500))
    state = saved(folder, tmp_path / "state")
    assert run(*options)
    assert outputs(folder, run.result) == usually(state, *options)


KELVIN, RADAR = {"units": "K"}, {"units": "dBZ"}


@pytest.mark.parametrize(
    ("colors", "tags", "is_repeated"),
    [
        ("levels = [0, 10, 20, 30]\nunits = 'degC'", KELVIN, True),
        ("", RADAR, True),
        ("levels = [270, 280, 290, 300]\nclosed = 'upper'", KELVIN, True),
        ("levels = [270, 280, 290, 300]\nclosed = 'last'", KELVIN, True),
        ("stops = [[270, 'white'], [300, 'navy']]", KELVIN, False),
    ],
)
def test_colors_apply_to_a_new_raster(colors, tags, is_repeated, run, usually, folder, write_raster, tmp_path):
    text = settings()
    (folder / "regionplot.toml").write_text(text.replace(f"levels = {LEVELS}", colors))
    values = cells() / 50 + (260 if tags is KELVIN else 0)
    write_raster(values, tags=tags)
    assert not run()
    write_raster(np.ascontiguousarray(values[::-1]), tags=tags)
    state = saved(folder, tmp_path / "state")
    assert run() is is_repeated
    assert outputs(folder, run.result) == usually(state)


@pytest.mark.parametrize("closed", ["upper", "last"])
def test_closed_limits_apply_to_a_new_raster(closed, run, usually, folder, write_raster, tmp_path):
    """A map shows values that are equal to a level in the class that the settings choose."""
    (folder / "regionplot.toml").write_text(settings(levels=f"[0, 300, 600]\nclosed = '{closed}'"))
    write_raster(cells() // 300 * 300)
    assert not run()
    write_raster(np.ascontiguousarray(cells()[:, ::-1] // 300 * 300))
    state = saved(folder, tmp_path / "state")
    assert run()
    assert outputs(folder, run.result) == usually(state)


LAMBERT = "{ name = 'LambertConformal', central_longitude = -80 }"


@pytest.mark.parametrize(
    ("resampling", "projection"),
    [("bilinear", "'raster'"), ("cubic", "'raster'"), ("nearest", LAMBERT), ("bilinear", LAMBERT), ("cubic", LAMBERT)],
)
def test_all_ways_to_sample_apply_to_a_new_raster(resampling, projection, run, usually, folder, write_raster, tmp_path):
    text = settings(more=f"resampling = '{resampling}'").replace('projection = "raster"', f"projection = {projection}")
    (folder / "regionplot.toml").write_text(text)
    assert not run()
    write_raster(missing_in_the_south(np.sqrt(cells()[::-1]) * 40))
    state = saved(folder, tmp_path / "state")
    assert run()
    assert outputs(folder, run.result) == usually(state)


def test_a_panel_at_the_edge_of_a_projection_is_sampled_by_a_full_run(run, folder, write_raster):
    """No mesh gives the positions of all pixels."""
    text = settings().replace('projection = "raster"', 'projection = { name = "Orthographic", central_longitude = 8 }')
    (folder / "regionplot.toml").write_text(text)
    assert not run("--only", "c")
    write_raster(cells(500))
    assert not run("--only", "c")


def test_the_run_after_a_new_raster_is_known(run, write_raster, monkeypatch):
    assert not run()
    write_raster(cells(500))
    assert run()
    monkeypatch.setattr(render_once, "repeat_known_run", lambda *_: None)
    assert run(), "kept without reading the raster"
    assert "3 unchanged" in run.result.stdout


def test_a_young_raster_is_read_again_but_not_the_other_inputs(run, folder, write_raster, monkeypatch):
    """The times of a file that was written just now do not prove that it is unchanged."""
    for name in ("regions.csv", "regionplot.toml", *(path.name for path in folder.glob("layer.*"))):
        os.utime(folder / name)
    monkeypatch.setattr(identity, "MIN_AGE", 0.3)
    time.sleep(0.5)
    write_raster(cells())
    assert not run()
    assert run()
    assert "compare" in str(outputs(folder, run.result)["run"]["seconds"])
    assert "3 unchanged" in run.result.stdout


@pytest.fixture
def draw_as_watcher(folder, monkeypatch):
    """Return a function that draws as `--watch` does: with settings that were read before. See `run`."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    options = render.make_context("render", ["regions.csv", "-o", "output"]).params
    del options["watch"]
    request = Request.from_options(**options)
    name = known_run_name(request, "a watcher")
    prepared = Prepared(request.config(), (), name, identity.mark_of(folder / "regionplot.toml"))
    loads = []
    load = render_once.import_for_drawing
    monkeypatch.setattr(render_once, "import_for_drawing", lambda: loads.append(1) or load())

    def draw():
        time.sleep(0.02)
        loads.clear()
        assert render_once.render_once(request, prepared) == 0
        return not loads

    return draw


def test_a_watcher_draws_from_its_record(draw_as_watcher, usually, folder, write_raster, tmp_path):
    assert not draw_as_watcher()
    write_raster(cells(500))
    state = saved(folder, tmp_path / "state")
    assert draw_as_watcher()
    maps = {path.name: path.read_bytes() for path in folder.glob("output/*.png")}
    usually(state)
    assert maps == {path.name: path.read_bytes() for path in folder.glob("output/*.png")}


def test_a_watcher_whose_settings_file_has_changed_uses_its_own_settings_and_writes_no_record(
    draw_as_watcher, folder, write_raster
):
    """The watcher reads the settings again only after SIGHUP."""
    (folder / "regionplot.toml").write_text(settings().replace("[160, 120]", "[320, 240]"))
    for first in (0, 500):
        write_raster(cells(first))
        assert not draw_as_watcher()
        with Image.open(folder / "output" / "a.png") as image:
            assert image.size == (160, 120)


def other_tags(write_raster, _):
    write_raster(cells(), tags={"units": "mm"})


def other_size(write_raster, _):
    write_raster(cells()[:40])


def other_place(write_raster, _):
    write_raster(cells(), Affine(1, 0, -99, 0, -1, 50))


def other_nodata(write_raster, _):
    write_raster(cells(), nodata=500)


def other_type(write_raster, _):
    write_raster(cells().astype(np.int16))


def other_settings(write_raster, folder):
    write_raster(cells(500))
    (folder / "regionplot.toml").write_text(settings(levels="[0, 90, 3000]"))


def other_table(write_raster, folder):
    write_raster(cells(500))
    (folder / "regions.csv").write_text(TABLE.replace("-95", "-96"))


def new_sidecar(write_raster, folder):
    write_raster(cells(500))
    (folder / "grid.tif.aux.xml").write_text("<PAMDataset/>")


def other_layer(write_raster, folder):
    write_raster(cells(500))
    box = np.array([shapely.to_wkb(shapely.box(-91, 10, -60, 40))], dtype=object)
    pyogrio.raw.write(folder / "layer.shp", box, [np.arange(1)], ["id"], geometry_type="Polygon", crs="EPSG:4326")


def no_ink(write_raster, folder):
    write_raster(cells(500))
    shutil.rmtree(folder / "cache" / "regionplot" / "ink")


def no_record(write_raster, folder):
    write_raster(cells(500))
    for path in (folder / "cache" / "regionplot" / "drawings").iterdir():
        path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    "change",
    [
        other_tags, other_size, other_place, other_nodata, other_type, other_settings, other_table, other_layer,
        new_sidecar, no_ink, no_record,
    ],
)  # fmt: skip
def test_a_run_whose_inputs_differ_in_more_than_cells_causes_a_full_run(change, run, folder, write_raster):
    assert not run()
    change(write_raster, folder)
    assert not run()


def test_a_damaged_raster_is_reported_as_by_a_full_run(run, folder):
    assert not run()
    content = (folder / "grid.tif").read_bytes()
    (folder / "grid.tif").write_bytes(content[: len(content) // 2])
    assert not run(code=3)
    assert "grid.tif" in run.result.stderr


def test_a_missing_raster_is_reported_as_by_a_full_run(run, folder):
    assert not run()
    (folder / "grid.tif").unlink()
    assert not run(code=3)


def test_a_locked_folder_is_refused(run, folder, write_raster):
    assert not run()
    write_raster(cells(500))
    with locked(folder / "output"):
        run(code=4)
    assert "another run" in run.result.stderr or "lock" in run.result.stderr


def test_settings_for_other_data_are_noticed(run, folder, write_raster):
    (folder / "other.tif").write_bytes((folder / "grid.tif").read_bytes())
    assert not run("--raster", "other.tif")
    write_raster(cells() - 9000, name="other.tif")
    assert not run("--raster", "other.tif")
    assert "no cell of the raster" in run.result.stderr


def damage_ink(folder):
    """Damage all entries except the largest, which is the frame."""
    entries = sorted((folder / "cache" / "regionplot" / "ink").iterdir(), key=lambda path: path.stat().st_size)
    for path in entries[:-1]:
        path.write_bytes(b"damaged")


def test_damaged_ink_is_drawn_again(run, usually, folder, write_raster, tmp_path):
    assert not run()
    write_raster(cells(500))
    state = saved(folder, tmp_path / "state")
    damage_ink(folder)
    assert run()
    repeated = outputs(folder, run.result)
    damage_ink(folder)
    assert repeated == usually(state)


def test_a_drawing_of_other_settings_is_not_used(run, folder, write_raster):
    """Settings with which no drawing is kept replace settings of which a drawing was kept."""
    assert not run()
    (folder / "regionplot.toml").write_text(settings().replace(f"levels = {LEVELS}", "vmin = 0"))
    assert not run()
    write_raster(cells(500))
    assert not run()


@pytest.fixture
def forked(draw_in_process):
    """Let workers draw the maps."""
    draw_in_process.undo()


def strike(phase, name, action):
    """Return a hook that acts in workers, in one phase of one map."""
    parent = os.getpid()

    def hook(now, what):
        if (now, Path(what).stem) == (phase, name) and os.getpid() != parent:
            action()

    return hook


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def fill():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail():
    raise ValueError("unexpected")


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    ("phase", "action"), [("draw", kill), ("start", kill), ("verify", kill), ("save", fill), ("draw", fail)]
)
def test_a_map_that_fails_is_reported_as_by_a_full_run(phase, action, run, usually, folder, write_raster, tmp_path):
    assert not run()
    write_raster(cells(500))
    state = saved(folder, tmp_path / "state")
    hook = strike(phase, "b", action)
    assert run(code=1, hook=hook)
    repeated = outputs(folder, run.result)
    assert repeated == usually(state, code=1, hook=hook)
    assert not list(folder.glob("output/**/*.tmp"))


@pytest.mark.usefixtures("forked")
def test_a_killed_worker_is_replaced_and_its_map_is_drawn_again(run, write_raster, tmp_path):
    def once():
        try:
            (tmp_path / "struck").touch(exist_ok=False)
        except FileExistsError:
            return
        kill()

    assert not run()
    write_raster(cells(500))
    assert run(hook=strike("draw", "b", once))
    assert (tmp_path / "struck").exists()


@pytest.mark.usefixtures("forked")
def test_a_raster_that_is_replaced_while_it_is_drawn_causes_a_warning(run, folder, write_raster):
    parent = os.getpid()

    def replace(phase, name):
        if phase == "draw" and name == "a" and os.getpid() != parent:
            (folder / "new.tif").write_bytes((folder / "grid.tif").read_bytes())
            (folder / "new.tif").replace(folder / "grid.tif")

    assert not run()
    write_raster(cells(500))
    assert run(hook=replace)
    assert "the raster changed during the run" in run.result.stderr


def test_a_raster_that_is_replaced_while_it_is_read_is_read_again(run, folder, write_raster):
    replaced = []

    def replace(phase, _):
        if phase == "cells" and not replaced:
            replaced.append(True)
            (folder / "new.tif").write_bytes((folder / "grid.tif").read_bytes())
            (folder / "new.tif").replace(folder / "grid.tif")

    assert not run()
    write_raster(cells(500))
    assert not run(hook=replace)
    assert not run.result.stderr
