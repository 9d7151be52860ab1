"""A command whose inputs, settings and program are unchanged since a known run keeps its maps without loading data."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from contextlib import closing

import numpy as np
import pyogrio.raw
import pytest
import shapely
from known_folder import draw_once, fill_folder, use_cache, write_cells
from written import outputs

from regionplot.cli import render_once
from regionplot.runs import certainty, identity, remember
from regionplot.runs.lock import locked
from regionplot.system.marks import own_marks

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
TABLE = "name,west,east,south,north,title\na,-95,-70,20,40,A\nb,-90,-60,15,30,B\nempty,-99,-98,1,2,Nothing\n"
LOGGED = ("--log-file", "run.log", "--metrics", "run.prom")


def settings(*, path: str = "grid.tif", more: str = "", **sections: str) -> str:
    text = f'[raster]\npath = "{path}"\n{more}\n[map]\nsize = [160, 120]\n[colors]\nlevels = [0, 100, 3000]\n'
    text += '[[features]]\npath = "layer.shp"\n'
    return text + "".join(f"[{name}]\n{lines}\n" for name, lines in sections.items())


def fill(folder):
    """Write a raster, a layer, a table and settings."""
    cells = np.arange(3000, dtype=np.float32).reshape(50, 60)
    cells[40:, :10] = np.nan
    write_cells(folder / "grid.tif", cells)
    fill_folder(folder, TABLE, settings())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return a folder whose cache has the ink of the maps."""
    folder = tmp_path_factory.mktemp("drawn")
    fill(folder)
    return draw_once(folder)


@pytest.fixture
def folder(tmp_path, drawn, monkeypatch):
    """Return a folder with a raster, a layer, a table and settings. The age of the inputs may be zero."""
    fill(tmp_path)
    use_cache(tmp_path, drawn, monkeypatch)
    return tmp_path


@pytest.fixture
def run(run_command, folder, monkeypatch):
    """Return a function that runs the command. It returns True if the maps were kept without loading anything."""
    loads = []
    load = render_once.import_for_drawing
    monkeypatch.setattr(render_once, "import_for_drawing", lambda: loads.append(1) or load())

    def run(*arguments, code=0, at="regions.csv", **environment):
        time.sleep(0.02)  # the resolution of the times of files
        loads.clear()
        run.result = run_command(folder, at, *arguments, **{"PYTEST_CURRENT_TEST": "", **environment})
        assert run.result.returncode == code, run.result
        return not loads

    return run


@pytest.fixture
def known(run):
    """Draw the maps, so that the next run knows them."""
    assert not run()
    assert run()
    return run


@pytest.mark.parametrize("publish", ["replace", "runs"])
@pytest.mark.parametrize(
    "options", [(), ("-q",), ("--only", "[ab]"), ("--log-format", "json"), ("--wait-for", "9"), ("--workers", "2")]
)
def test_a_known_run_writes_the_same_as_a_full_run(options, publish, run, folder):
    """The raster counts as complete because no process has it open, so `settle` is zero here."""
    (folder / "regionplot.toml").write_text(settings(more="settle = 0", output=f"publish = '{publish}'\nkeep = 0"))
    assert not run(*LOGGED, *options)
    assert not run(*LOGGED, *options, OTHER="environment")
    usual = outputs(folder, run.result)
    assert run(*LOGGED, *options)
    assert outputs(folder, run.result) == usual
    assert run(*LOGGED, *options)
    assert usual["run"]["counts"]["unchanged"] == (2 if "--only" in options else 3)
    assert "a.png" in usual["maps"]
    if publish == "runs":
        latest = folder / "output" / "latest"
        assert [path.name for path in folder.glob("output/2*")] == [latest.readlink().name]
        assert (latest / ".complete").exists()


def test_a_known_run_reports_maps_whose_regions_have_left_the_table(known, folder):
    (folder / "regions.csv").write_text(TABLE.replace("b,", "c,"))
    assert not known()
    usual = known.result.stdout
    assert "the map output/b.png belongs to a region" in usual
    assert known()
    assert known.result.stdout.splitlines()[-1] == usual.splitlines()[-1]


@pytest.mark.parametrize("role", ["table", "layer"])
def test_the_log_of_a_database_behind_a_link_is_an_input(role, run, folder):
    """SQLite writes changes to a log beside the real file, and leaves the database unchanged."""
    wkb = np.array([shapely.to_wkb(shapely.box(-95, 20, -70, 40))], dtype=object)
    names = [np.array(["a"], dtype=object)]
    pyogrio.raw.write(folder / "real.gpkg", wkb, names, ["name"], geometry_type="Polygon", crs="EPSG:4326")
    (folder / "link.gpkg").symlink_to("real.gpkg")
    if role == "layer":
        (folder / "regionplot.toml").write_text(settings().replace("layer.shp", "link.gpkg"))
    table = "link.gpkg" if role == "table" else "regions.csv"
    assert not run(at=table)
    assert run(at=table)
    with closing(sqlite3.connect(folder / "real.gpkg")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        assert not run(at=table), "the mode is in the database"
        database.execute("CREATE TABLE other (id INTEGER)")
        database.commit()
        assert not run(at=table)


def replace_raster(folder):
    """Replace the raster by other cells of the same size and times."""
    path = folder / "grid.tif"
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:5000] + bytes(400) + content[5400:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def rename_over(name):
    def change(folder):
        shutil.copy2(folder / name, folder / "new")
        (folder / "new").replace(folder / name)

    return change


def write(name, content="x"):
    return lambda folder: (folder / name).write_text(content)


def append(name, content="\n"):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + content.encode())


def edit_manifest(key, value):
    def change(folder):
        path = folder / "output/manifest.json"
        document = json.loads(path.read_text())
        document["regions"][0][key] = value
        path.write_text(json.dumps(document))

    return change


CHANGES = {
    "cells": replace_raster,
    "same raster, renamed": rename_over("grid.tif"),
    "raster behind a link": lambda folder: (
        (folder / "grid.tif").rename(folder / "other.tif"),
        (folder / "grid.tif").symlink_to("other.tif"),
    ),
    "world file": write("grid.tfw", "1\n0\n0\n-1\n-99.5\n49.5\n"),
    "metadata": write("GRID.tif.aux.xml", "<PAMDataset/>"),
    "attributes of the layer": append("layer.dbf"),
    "CRS of the layer": rename_over("layer.prj"),
    "index of the layer": write("layer.qix"),
    "table": append("regions.csv", "d,-80,-70,30,40,D\n"),
    "comment in the settings": append("regionplot.toml", "# comment\n"),
    "map removed": lambda folder: (folder / "output/a.png").unlink(),
    "map truncated": lambda folder: os.truncate(folder / "output/a.png", 100),
    "map edited": lambda folder: (folder / "output/a.png").write_bytes(bytes((folder / "output/a.png").stat().st_size)),
    "map is a link": lambda folder: (
        (folder / "output/a.png").rename(folder / "a.png"),
        (folder / "output/a.png").symlink_to("../a.png"),
    ),
    "manifest removed": lambda folder: (folder / "output/manifest.json").unlink(),
    "other digest": edit_manifest("digest", "0" * 32),
    "other checksum": edit_manifest("sha256", "0" * 64),
    "output folder removed": lambda folder: shutil.rmtree(folder / "output"),
    "output folder replaced": lambda folder: (shutil.rmtree(folder / "output"), (folder / "output").mkdir()),
}


def test_each_change_causes_one_full_run(known, folder):
    for name, change in CHANGES.items():
        change(folder)
        assert not known(), name
        assert known(), name


def test_other_options_cause_a_full_run(known):
    for options in (["--force"], ["--prune"], ["-v"], ["--no-cache"], ["--only", "a"], ["-o", "maps"]):
        assert not known(*options), options


def test_environment_variables_cause_a_full_run_unless_they_belong_to_the_session(known):
    for name in ("GDAL_CACHEMAX", "OGR_ENABLE_PARTIAL_REPROJECTION", "LC_ALL", "TZ", "OMP_NUM_THREADS", "NEW_VARIABLE"):
        assert not known(**{name: "1"}), name
    assert known(SHLVL="7", SSH_CLIENT="::1 1 22", INVOCATION_ID="0", TERM="dumb", _="/bin/sh")


def test_a_configuration_file_of_gdal_causes_a_full_run(run, folder):
    home = {"HOME": str(folder)}
    assert not run(**home)
    assert run(**home)
    (folder / ".gdal").mkdir()
    (folder / ".gdal/gdalrc").write_text("[configoptions]\n")
    assert not run(**home)
    assert run(**home)


def test_a_nearer_settings_file_causes_a_full_run(run, folder):
    (folder / "tables").mkdir()
    shutil.move(folder / "regions.csv", folder / "tables/regions.csv")
    assert not run(at="tables/regions.csv")
    assert run(at="tables/regions.csv")
    (folder / "tables/regionplot.toml").write_text(settings(path="../grid.tif").replace("layer.shp", "../layer.shp"))
    assert not run(at="tables/regions.csv")


def test_a_newer_match_of_the_pattern_causes_a_full_run(run, folder):
    (folder / "regionplot.toml").write_text(settings(path="gr*.tif"))
    assert not run()
    assert run()
    shutil.copy(folder / "grid.tif", folder / "grown.tif")
    assert not run()
    assert run()


def test_a_package_that_is_installed_causes_a_full_run(run, folder, monkeypatch):
    site = folder / "site"
    (site / "colors-1.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(site)
    assert not run()
    assert run()
    (site / "colors-1.0.dist-info").rename(site / "colors-1.1.dist-info")
    assert not run()
    assert run()


def test_an_edited_source_file_causes_a_full_run(run, folder, monkeypatch):
    """As in an editable installation."""
    package = folder / "package"
    (package / "render").mkdir(parents=True)
    (package / "runs/__pycache__").mkdir(parents=True)
    (package / "render/artists.py").write_text("# old")
    monkeypatch.setattr(identity, "__file__", str(package / "runs/identity.py"))

    def run_anew():
        own_marks.cache_clear()  # as in a new process
        return run()

    assert not run_anew()
    (package / "runs/__pycache__/identity.pyc").write_bytes(b"")
    assert run_anew()
    (package / "render/artists.py").write_text("# new")
    assert not run_anew()
    own_marks.cache_clear()


def test_a_raster_that_has_just_changed_is_compared_again(run, folder, monkeypatch):
    """Two changes within the resolution of the times of files would look like one."""
    monkeypatch.setattr(identity, "MIN_AGE", 2.0)
    old = time.time() - 9999
    for path in folder.glob("*.*"):
        os.utime(path, (old, old))  # the time of the last change stays
    assert not run()
    assert not run()


def test_a_raster_that_changes_during_the_run_is_compared_again(run, folder, monkeypatch):
    add = remember.RunMemory.add_inputs
    for name in ("grid.tif", "layer.dbf", "regions.csv", "regionplot.toml"):

        def change(memory, config, name=name):
            add(memory, config)
            append(name)(folder)

        for record in records(folder):
            record.unlink()
        with monkeypatch.context() as patch:
            patch.setattr(remember.RunMemory, "add_inputs", change)
            assert not run()
        assert not run()
        assert run()


@pytest.mark.parametrize(
    "text",
    [
        settings(run="cache = false"),
        settings(run="start_method = 'forkserver'"),
        settings(more="[[prepare]]\nstep = 'scale'\noffset = 2"),
        settings().replace("size", 'empty = "skip"\nsize'),
    ],
    ids=["no cache", "own data", "prepared", "skipped"],
)
def test_a_run_is_not_known_if_not_all_is_certain(text, run, folder):
    (folder / "regionplot.toml").write_text(text)
    for _ in range(2):
        assert not run()


def test_a_run_with_a_warning_repeats_the_warning(run, folder):
    (folder / "regionplot.toml").write_text(settings().replace("[0, 100, 3000]", "[-9, -1]"))
    for _ in range(3):
        assert not run("--raster", "grid.tif")
        assert "no cell of the raster" in run.result.stderr


def test_a_failed_run_is_not_known(run, folder):
    (folder / "regions.csv").write_text(TABLE + "outside,10,20,0,10,Outside\n")
    for _ in range(2):
        assert not run(code=1)


def test_files_that_other_machines_can_write_are_read(run, monkeypatch):
    monkeypatch.setattr(certainty, "LOCAL_FILE_SYSTEMS", frozenset())
    for _ in range(2):
        assert not run()


def test_a_title_that_needs_an_installed_font_causes_a_full_run(run, folder):
    (folder / "regions.csv").write_text(TABLE.replace("Nothing", "Ærø"))
    assert not run()
    assert run()
    (folder / "regions.csv").write_text(TABLE.replace("Nothing", "\u0e01\u4e2d"))
    for _ in range(2):
        assert not run()


def test_the_table_from_the_standard_input_is_read(run, folder, monkeypatch):
    for _ in range(2):
        with (folder / "regions.csv").open() as file:
            monkeypatch.setattr("sys.stdin", file)
            assert not run(at="-")


def test_a_raster_that_may_still_grow_is_waited_for(run, folder):
    (folder / "regionplot.toml").write_text(settings(more="settle = 60"))
    for seconds, is_known in [(0, False), (90, True)]:
        changed = time.time() - seconds
        os.utime(folder / "grid.tif", (changed, changed))
        assert not run("--wait-for", "9")
        assert run("--wait-for", "9") is is_known


def test_a_damaged_manifest_is_reported_once(known, folder):
    (folder / "output/manifest.json").write_text("{")
    assert not known()
    assert known.result.stderr.count("the manifest cannot be used") == 1
    assert known()


def test_a_locked_folder_ends_a_known_run(known, folder):
    with locked(folder / "output"):
        assert known(code=4)
    assert "is drawing into this folder" in known.result.stderr
    assert known()


def records(folder):
    return list(folder.glob("cache/regionplot/runs/*"))


def change_values(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


PLANTED = {
    "empty": lambda path: path.write_text(""),
    "truncated": lambda path: path.write_text(path.read_text()[:500]),
    "other value": lambda path: path.write_text("[1, 2]"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "no maps": lambda path: change_values(path, maps=[[1, 2]]),
    "no marks": lambda path: change_values(path, marks=7),
    "no facts": lambda path: change_values(path, facts={"directory": "/etc"}),
    "other type": lambda path: change_values(path, cycle="often"),
    "hard link": lambda path: os.link(path, path.with_suffix(".other")),
    "link": lambda path: (path.rename(path.with_suffix(".other")), path.symlink_to(path.with_suffix(".other"))),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


def test_a_record_that_is_damaged_or_planted_is_not_used(known, folder):
    (path,) = records(folder)
    content = path.read_bytes()
    for name, plant in PLANTED.items():
        plant(path)
        assert not known(), name
        assert known.result.stderr == "", name
        shutil.rmtree(path.parent)
        path.parent.mkdir(0o700)
        path.write_bytes(content)
        assert known(), name


@pytest.mark.usefixtures("known")
def test_records_are_private_and_contain_no_environment(folder):
    (path,) = records(folder)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert os.environ["PATH"] not in path.read_text()


def test_without_a_cache_folder_the_maps_are_drawn(run, folder):
    shutil.rmtree(folder / "cache")
    (folder / "cache").write_text("not a folder")
    for _ in range(2):
        assert not run()
        assert run.result.stderr == ""


def test_attributes_of_a_vector_file_of_regions_are_inputs(run, folder):
    box = np.array([shapely.to_wkb(shapely.box(-90, 20, -70, 40))], dtype=object)

    def write(name, to):
        to.mkdir(exist_ok=True)
        fields = {"fields": ["name"], "field_data": [np.array([name], object)]}
        pyogrio.raw.write(to / "regions.shp", box, geometry_type="Polygon", crs="EPSG:4326", **fields)

    write("one", folder)
    assert not run(at="regions.shp")
    assert run(at="regions.shp")
    write("two", folder / "other")
    shutil.copy(folder / "other" / "regions.dbf", folder)
    assert not run(at="regions.shp")
    assert (folder / "output" / "two.png").exists()
