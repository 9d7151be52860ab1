"""One run after another in one output folder: what is drawn again, what is kept, and what the manifest tells."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from regionplot.errors import NoOverlapError, RasterError, RegionsError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.report import RunReport
from regionplot.runs.run import render_regions
from regionplot.system.files import new_run

pytestmark = pytest.mark.timeout(method="signal")  # a thread of pytest's would rule out fork

WEST = Region("west", Extent(-99, -91, 33, 36.5), origin="regions.csv:2")
EAST = Region("east", Extent(-76, -68, 33, 36.5), origin="regions.csv:3")
OUTSIDE = Region("outside", Extent(10, 20, 33, 36.5), origin="regions.csv:4")
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text())


@pytest.fixture
def run(write_raster, make_config, tmp_path):
    """Draw west and east, or other regions, after a change of the raster's cells; returns the states by name."""
    values = np.arange(50 * 50, dtype=np.float32).reshape(50, 50)

    def run(*regions: Region, change=None, workers=2, force=False, only=(), start_method="fork", **output):
        cells = values.copy()
        if change is not None:
            cells[change] += 1
        config = make_config(
            raster={"path": write_raster(cells)},
            map={"size": (300, 200)},
            colors={"levels": [0, 100, 1000, 2000]},
            run={"workers": workers, "start_method": start_method},
            output={"directory": tmp_path / "maps", **output},
        )
        return states(render_regions(regions or (WEST, EAST), config, only=only, force=force))

    return run


def states(report: RunReport) -> dict[str, str]:
    found = {outcome.job.name: state for state in report.counts() for outcome in report.in_state(state)}
    return {outcome.job.name: found[outcome.job.name] for outcome in report.outcomes}


def manifest(folder: Path) -> dict:
    document = json.loads((folder / "manifest.json").read_text())
    jsonschema.validate(document, SCHEMA)
    return document


def entries(folder: Path) -> dict[str, dict]:
    return {entry["name"]: entry for entry in manifest(folder)["regions"]}


@pytest.mark.parametrize("start_method", ["fork", "spawn", "serial"])
def test_a_changed_pixel_has_its_region_drawn_and_no_other(run, tmp_path, start_method) -> None:
    """The other image is not even touched."""
    assert run(start_method=start_method) == {"west": "rendered", "east": "rendered"}
    before = {name: (tmp_path / "maps" / f"{name}.png").stat() for name in ("west", "east")}
    assert run(change=(15, 8), start_method=start_method) == {"west": "rendered", "east": "unchanged"}
    after = {name: (tmp_path / "maps" / f"{name}.png").stat() for name in ("west", "east")}
    assert after["west"].st_ino != before["west"].st_ino
    assert after["east"] == before["east"] or after["east"].st_mtime_ns == before["east"].st_mtime_ns
    assert run(change=(15, 8), start_method=start_method) == {"west": "unchanged", "east": "unchanged"}


def test_what_is_forced_is_drawn(run) -> None:
    run()
    assert run(force=True) == {"west": "rendered", "east": "rendered"}


@pytest.mark.parametrize("harm", ["remove", "cut", "replace", "forge"])
def test_an_image_that_is_not_ours_any_more_is_drawn_again(run, tmp_path, harm) -> None:
    run()
    image, other = tmp_path / "maps" / "west.png", tmp_path / "maps" / "east.png"
    if harm == "remove":
        image.unlink()
    elif harm == "cut":
        os.truncate(image, image.stat().st_size // 2)
    elif harm == "replace":
        image.write_bytes(other.read_bytes())
    else:
        whole = bytearray(image.read_bytes())
        whole[-30] ^= 255
        image.write_bytes(whole)
    assert run() == {"west": "rendered", "east": "unchanged"}


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', '{"version": 2, "regions": []}', "\udcff" * 9])
def test_a_manifest_that_is_no_use_is_no_obstacle(run, tmp_path, text) -> None:
    run()
    (tmp_path / "maps" / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    assert run() == {"west": "rendered", "east": "rendered"}
    assert run() == {"west": "unchanged", "east": "unchanged"}


def test_the_manifest_tells_what_became_of_each_region(run, tmp_path) -> None:
    run(WEST, OUTSIDE)
    document, found = manifest(tmp_path / "maps"), entries(tmp_path / "maps")
    assert document["run"]["exit_code"] == 1
    assert document["run"]["counts"] == {"rendered": 1, "unchanged": 0, "skipped": 0, "failed": 1, "not run": 0}
    west, outside = found["west"], found["outside"]
    assert west["file"] == "west.png"
    assert west["bytes"] == (tmp_path / "maps" / "west.png").stat().st_size
    assert len(west["digest"]) == 32
    assert west["peak_memory"] > 2**20
    assert {"sample", "stroke", "write"} <= set(west["seconds"])
    assert outside["origin"] == "regions.csv:4"
    assert outside["error"]["cause"] == NoOverlapError.__name__
    assert outside["digest"] is None


def test_maps_that_a_run_has_nothing_to_do_with_keep_their_entries(run, tmp_path) -> None:
    run()
    first = entries(tmp_path / "maps")
    run(only=["west"], change=(15, 8))
    second = entries(tmp_path / "maps")
    assert second["east"] == first["east"]
    assert second["west"]["digest"] != first["west"]["digest"]
    (tmp_path / "maps" / "east.png").unlink()
    run(only=["west"])
    assert set(entries(tmp_path / "maps")) == {"west"}


def test_a_map_that_could_not_be_renewed_is_drawn_when_it_can_be(run, monkeypatch) -> None:
    run()
    monkeypatch.setattr("regionplot.render.renderer.make_sheet", lambda *_: 1 / 0)
    assert run(change=(15, 8), start_method="serial") == {"west": "failed", "east": "unchanged"}
    monkeypatch.undo()
    assert run() == {"west": "unchanged", "east": "unchanged"}  # as the raster is the old one again
    assert run(change=(15, 8)) == {"west": "rendered", "east": "unchanged"}


def test_a_raster_that_cannot_be_read_leaves_all_as_it_was_and_is_told(run, make_config, tmp_path) -> None:
    run()
    (tmp_path / "bad.tif").write_bytes(b"II*\0 and no more")
    config = make_config(raster={"path": tmp_path / "bad.tif"}, map={"size": (300, 200)})
    with pytest.raises(RasterError):
        render_regions([WEST, EAST], config)
    document = manifest(tmp_path / "maps")
    assert document["run"]["exit_code"] == 3
    assert document["run"]["error"].startswith("RasterError: ")
    assert document["run"]["counts"]["not run"] == 2
    assert run() == {"west": "unchanged", "east": "unchanged"}


def test_temporaries_of_killed_runs_are_swept(run, tmp_path) -> None:
    run(filename="sub/{name}.png")
    stale = tmp_path / "maps" / "sub" / f".west.png.20260101T000000Z-999999999-{new_run()[-8:-5]}00000.tmp"
    stale.touch()
    run(filename="sub/{name}.png")
    assert not stale.exists()


def test_a_run_in_a_folder_of_its_own_links_what_is_unchanged(run, tmp_path) -> None:
    maps = tmp_path / "maps"
    assert run(publish="runs") == {"west": "rendered", "east": "rendered"}
    first = (maps / "latest").resolve()
    assert run(publish="runs", change=(15, 8)) == {"west": "rendered", "east": "unchanged"}
    second = (maps / "latest").resolve()
    assert second != first
    assert (first / "east.png").samefile(second / "east.png")
    assert not (first / "west.png").samefile(second / "west.png")
    assert set(entries(second)) == {"west", "east"}
    assert not list(maps.glob("*.png"))


def test_a_failed_run_is_not_published(run, tmp_path) -> None:
    run(WEST, publish="runs")
    good = (tmp_path / "maps" / "latest").resolve()
    assert run(WEST, OUTSIDE, publish="runs") == {"west": "unchanged", "outside": "failed"}
    assert (tmp_path / "maps" / "latest").resolve() == good
    run(WEST, OUTSIDE, publish="runs", publish_partial=True)
    assert (tmp_path / "maps" / "latest").resolve() != good


def test_maps_that_a_run_was_not_asked_for_stay_published(run, tmp_path) -> None:
    run(publish="runs")
    run(publish="runs", only=["west"], change=(15, 8))
    latest = tmp_path / "maps" / "latest"
    assert {path.name for path in latest.glob("*.png")} == {"west.png", "east.png"}
    assert set(entries(latest)) == {"west", "east"}
    run(WEST, publish="runs")
    assert {path.name for path in latest.glob("*.png")} == {"west.png"}, "a row that is gone takes its map with it"


def test_a_map_that_failed_stays_as_it_was_where_runs_are_published_in_part(run, tmp_path, monkeypatch) -> None:
    run(publish="runs")
    old = (tmp_path / "maps" / "latest" / "west.png").read_bytes()
    monkeypatch.setattr("regionplot.render.renderer.make_sheet", lambda *_: 1 / 0)
    partial = {"publish": "runs", "publish_partial": True}
    assert run(change=(15, 8), start_method="serial", **partial) == {"west": "failed", "east": "unchanged"}
    assert (tmp_path / "maps" / "latest" / "west.png").read_bytes() == old
    assert entries(tmp_path / "maps" / "latest")["west"]["state"] == "failed"


@pytest.mark.parametrize("harm", [{"file": "x" * 300 + ".png"}, {"file": "../west.png"}, {"name": "\ud800"}])
def test_an_entry_that_cannot_be_is_no_obstacle(run, tmp_path, harm) -> None:
    run()
    path = tmp_path / "maps" / "manifest.json"
    document = json.loads(path.read_text())
    document["regions"].append({**document["regions"][0], "file": "other.png", **harm})
    path.write_text(json.dumps(document))
    assert run(only=["west"]) == {"west": "unchanged"}
    assert set(entries(tmp_path / "maps")) == {"west", "east"}


@pytest.mark.parametrize("name", ["manifest.json", "Latest"])
def test_names_that_mean_something_else_are_taken(run, name) -> None:
    with pytest.raises(RegionsError, match="this name is taken"):
        run(Region(name, WEST.extent), filename="{name}/map.png")
