"""Maps of regions that are no longer in the table are mentioned, and removed with `--prune`."""

from __future__ import annotations

import json

import pytest

from regionplot.runs.run import render_regions

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
CONFIG = '[raster]\npath = "sample:relief"\n[map]\nsize = [300, 200]\n[run]\nworkers = 1\n'
HEADER = "name,west,east,south,north\n"
EAST, WEST, NORTH = "east,-84.5,-75.3,33.8,36.7\n", "west,-124,-114,33,42\n", "north,-110,-90,40,50\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "regionplot.toml").write_text(CONFIG)
    (tmp_path / "regions.csv").write_text(HEADER + EAST + WEST + NORTH)
    return tmp_path


@pytest.fixture
def run(run_command, folder):
    def draw(*arguments, rows=None, table="regions.csv"):
        if rows is not None:
            (folder / table).write_text(HEADER + rows)
        return run_command(folder, table, *arguments)

    return draw


def maps(folder):
    return sorted(path.relative_to(folder / "output").as_posix() for path in (folder / "output").rglob("*.png"))


def entries(folder):
    return sorted(entry["file"] for entry in json.loads((folder / "output" / "manifest.json").read_text())["regions"])


def test_a_run_mentions_leftovers_and_prune_removes_them(run, folder):
    assert "--prune" not in run().stdout
    (folder / "output" / "mine.png").write_bytes(b"not a map of regionplot")
    result = run(rows=EAST)
    assert result.stdout.splitlines()[-1] == (
        "2 maps, such as output/west.png, belong to regions that the table no longer contains; "
        "--prune removes such maps"
    )
    assert maps(folder) == ["east.png", "mine.png", "north.png", "west.png"]
    assert run("-q").stdout == ""
    result = run("--prune")
    assert (result.returncode, result.stderr) == (0, "")
    assert "1 unchanged, 2 removed in" in result.stdout
    assert maps(folder) == ["east.png", "mine.png"]
    assert entries(folder) == ["east.png"]
    assert "prune" not in run().stdout


def test_maps_of_another_table_are_not_leftovers(run, folder):
    run(rows=EAST, table="other.csv")
    run(rows=WEST + NORTH)
    assert "prune" not in run().stdout
    run("--prune", rows=WEST)
    assert maps(folder) == ["east.png", "west.png"]


def test_a_selection_prunes_nothing(run, folder):
    run()
    assert "prune" not in run("--only", "east").stdout
    result = run("--only", "east", "--prune")
    assert (result.returncode, "--prune needs all regions" in result.stderr) == (2, True)
    assert len(maps(folder)) == 3


def test_only_files_that_are_still_maps_of_the_manifest_are_removed(run, folder):
    run()
    (folder / "output" / "west.png").write_bytes(b"another file")
    (folder / "output" / "north.png").unlink()
    (folder / "north.png").write_bytes(b"elsewhere")
    (folder / "output" / "north.png").symlink_to(folder / "north.png")
    result = run("--prune", rows=EAST)
    assert result.stderr.count("not removed, because the file is not the map that the manifest describes") == 1
    assert (folder / "output" / "west.png").read_bytes() == b"another file"
    assert (folder / "north.png").read_bytes() == b"elsewhere"


def test_empty_folders_are_removed(run, folder):
    (folder / "regionplot.toml").write_text(CONFIG + '[output]\nfilename = "{name}/a/map.png"\n')
    run()
    (folder / "output" / "west" / "notes.txt").write_text("kept")
    run("--prune", rows=EAST)
    assert sorted(path.name for path in (folder / "output").iterdir() if path.is_dir()) == ["east", "west"]
    assert maps(folder) == ["east/a/map.png"]


def test_a_failed_run_still_prunes_but_a_rejected_run_does_not(run, folder):
    run()
    run("--prune", rows=EAST + "bad,x,1,0,1\n")
    assert len(maps(folder)) == 3
    assert run("--prune", rows=EAST + "outside,100,110,-30,-20\n").returncode == 1
    assert maps(folder) == ["east.png"]


def test_a_forged_manifest_removes_nothing_outside_the_folder(run, folder):
    run()
    victim = folder / "victim.png"
    victim.write_bytes((folder / "output" / "west.png").read_bytes())
    manifest = folder / "output" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"west.png"', '"../victim.png"'))
    run("--prune", rows=EAST)
    assert victim.exists()


def test_in_python_the_report_lists_leftovers(folder, make_config, monkeypatch):
    monkeypatch.chdir(folder)
    config = make_config(map={"size": [300, 200]}, run={"workers": 1})
    assert render_regions("regions.csv", config).leftovers == ()
    (folder / "regions.csv").write_text(HEADER + EAST + WEST)
    report = render_regions("regions.csv", config)
    assert [path.name for path in report.leftovers] == ["north.png"]
    report = render_regions("regions.csv", config, prune=True)
    assert ([path.name for path in report.removed], report.leftovers) == (["north.png"], ())
