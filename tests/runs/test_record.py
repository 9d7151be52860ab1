"""Several runs in one output folder: maps that are drawn again, maps that are kept, and the manifest."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from manifest_schema import check_manifest

from regionplot.errors import NoOverlapError, RasterError, RegionsError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.report import RunReport
from regionplot.runs.run import render_regions
from regionplot.system import failpoints
from regionplot.system.files import new_run

pytestmark = [
    pytest.mark.timeout(method="signal"),  # a timeout thread of pytest would rule out fork
    pytest.mark.usefixtures("read_in_process", "draw_in_process"),
]

WEST = Region("west", Extent(-99, -91, 33, 36.5), origin="regions.csv:2")
EAST = Region("east", Extent(-76, -68, 33, 36.5), origin="regions.csv:3")
OUTSIDE = Region("outside", Extent(10, 20, 33, 36.5), origin="regions.csv:4")


@pytest.fixture
def run(write_raster, make_config, tmp_path):
    """Draw west and east, or other regions, after a change of the raster's cells. Return the states by name."""
    values = np.arange(50 * 50, dtype=np.float32).reshape(50, 50)

    def run(*regions, change=None, nodata=False, workers=2, force=False, only=(), start_method="serial", **output):
        cells = np.full_like(values, np.nan) if nodata else values.copy()
        if change is not None:
            cells[change] += np.where(cells[change] < 1000, 1000, -1000)  # into another class
        config = make_config(
            raster={"path": write_raster(cells)},
            map={"size": (300, 200), "empty": "skip"},
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
    check_manifest(document)
    return document


def entries(folder: Path) -> dict[str, dict]:
    return {entry["name"]: entry for entry in manifest(folder)["regions"]}


@pytest.mark.parametrize("start_method", ["fork", "forkserver", "serial"])
def test_only_the_region_with_a_changed_cell_is_drawn_again(run, tmp_path, start_method) -> None:
    assert run(start_method=start_method) == {"west": "rendered", "east": "rendered"}
    before = {name: (tmp_path / "maps" / f"{name}.png").stat() for name in ("west", "east")}
    assert run(change=(15, 8), start_method=start_method) == {"west": "rendered", "east": "unchanged"}
    after = {name: (tmp_path / "maps" / f"{name}.png").stat() for name in ("west", "east")}
    assert after["west"].st_ino != before["west"].st_ino
    assert after["east"] == before["east"] or after["east"].st_mtime_ns == before["east"].st_mtime_ns
    assert run(change=(15, 8), start_method=start_method) == {"west": "unchanged", "east": "unchanged"}


def test_force_draws_unchanged_maps(run) -> None:
    run()
    assert run(force=True) == {"west": "rendered", "east": "rendered"}


FORMATS = ["png", "webp", "pdf", "svg"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_maps_of_every_format_are_kept_and_drawn_again_if_they_are_changed(run, tmp_path, suffix) -> None:
    """A removed, truncated, exchanged or altered file is not kept."""
    output = {"filename": f"{{name}}.{suffix}", "start_method": "serial"}
    image, other = tmp_path / "maps" / f"west.{suffix}", tmp_path / "maps" / f"east.{suffix}"
    assert run(**output) == {"west": "rendered", "east": "rendered"}
    content = image.read_bytes()
    altered = bytearray(content)
    altered[-30] ^= 255
    for harmed in (None, content[: len(content) // 2], other.read_bytes(), bytes(altered)):
        image.unlink()
        if harmed is not None:
            image.write_bytes(harmed)
        assert run(**output) == {"west": "rendered", "east": "unchanged"}
        assert image.read_bytes() == content
    assert run(**output) == {"west": "unchanged", "east": "unchanged"}
    assert run(change=(15, 8), **output) == {"west": "rendered", "east": "unchanged"}


def test_a_link_at_the_path_of_a_map_is_replaced(run, tmp_path) -> None:
    run()
    image = tmp_path / "maps" / "west.png"
    image.rename(tmp_path / "moved.png")
    image.symlink_to(tmp_path / "moved.png")
    assert run() == {"west": "rendered", "east": "unchanged"}
    assert not image.is_symlink()


@pytest.mark.parametrize("suffix", FORMATS)
def test_runs_of_every_format_are_published(run, tmp_path, suffix) -> None:
    output = {"filename": f"sub/{{name}}.{suffix}", "publish": "runs", "start_method": "serial"}
    latest = tmp_path / "maps" / "latest"
    run(**output)
    first = latest.resolve()
    run(only=["west"], change=(15, 8), **output)
    assert latest.resolve() != first
    assert {path.name for path in latest.rglob(f"*.{suffix}")} == {f"west.{suffix}", f"east.{suffix}"}
    assert (first / "sub" / f"east.{suffix}").samefile(latest / "sub" / f"east.{suffix}")
    assert set(entries(latest)) == {"west", "east"}


def test_a_run_that_draws_no_map_leaves_no_folder(run, tmp_path) -> None:
    assert run(nodata=True, publish="runs") == {"west": "skipped", "east": "skipped"}
    assert [path.name for path in (tmp_path / "maps").iterdir()] == [".regionplot.lock"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_keeps_the_old_map_of_every_format(run, tmp_path, suffix) -> None:
    output = {"filename": f"{{name}}.{suffix}", "start_method": "serial"}
    run(**output)
    before = (tmp_path / "maps" / f"west.{suffix}").read_bytes()

    def disk_full(phase: str, name: str) -> None:
        if phase == "save" and name.startswith("west"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with failpoints.install(disk_full):
        assert run(change=(15, 8), **output) == {"west": "failed", "east": "unchanged"}
    assert (tmp_path / "maps" / f"west.{suffix}").read_bytes() == before
    assert entries(tmp_path / "maps")["west"]["error"]["cause"] == "NoSpaceError"
    assert run(**output) == {"west": "unchanged", "east": "unchanged"}


def test_a_skipped_map_keeps_the_digest_of_the_existing_file(run, tmp_path) -> None:
    run()
    before = entries(tmp_path / "maps")["west"]
    assert run(nodata=True) == {"west": "skipped", "east": "skipped"}
    skipped = entries(tmp_path / "maps")["west"]
    assert skipped["state"] == "skipped"
    for key in ("digest", "bytes", "sha256"):
        assert skipped[key] == before[key]
    assert run() == {"west": "unchanged", "east": "unchanged"}


def test_a_manifest_that_cannot_be_written_gives_exit_code_1(make_config, tmp_path, caplog) -> None:
    (tmp_path / "maps" / "manifest.json").mkdir(parents=True)
    report = render_regions([EAST], make_config(map={"size": (300, 200)}, run={"start_method": "serial"}))
    assert not report.failed
    assert report.exit_code == 1
    assert "manifest.json: cannot be written" in report.problems[0]
    assert "manifest.json: cannot be written" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", '{"version": 1}', '{"version": 2, "regions": []}', "\udcff" * 9])
def test_a_damaged_manifest_is_replaced(run, tmp_path, text) -> None:
    run()
    (tmp_path / "maps" / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    assert run() == {"west": "rendered", "east": "rendered"}
    assert run() == {"west": "unchanged", "east": "unchanged"}


def test_the_manifest_states_the_result_of_each_region(run, tmp_path) -> None:
    run(WEST, OUTSIDE)
    document, found = manifest(tmp_path / "maps"), entries(tmp_path / "maps")
    assert document["run"]["exit_code"] == 1
    assert document["run"]["counts"] == {"rendered": 1, "unchanged": 0, "skipped": 0, "failed": 1, "not run": 0}
    west, outside = found["west"], found["outside"]
    assert west["file"] == "west.png"
    assert west["bytes"] == (tmp_path / "maps" / "west.png").stat().st_size
    assert west["sha256"] == hashlib.sha256((tmp_path / "maps" / "west.png").read_bytes()).hexdigest()
    assert len(west["digest"]) == 32
    assert west["peak_memory"] > 2**20
    assert {"sample", "compose", "write"} <= set(west["seconds"])
    assert outside["origin"] == "regions.csv:4"
    assert outside["error"]["cause"] == NoOverlapError.__name__
    assert outside["digest"] is outside["bytes"] is outside["sha256"] is None


def test_maps_that_a_run_did_not_include_keep_their_entries(run, tmp_path) -> None:
    run()
    first = entries(tmp_path / "maps")
    run(only=["west"], change=(15, 8))
    second = entries(tmp_path / "maps")
    assert second["east"] == first["east"]
    assert second["west"]["digest"] != first["west"]["digest"]
    (tmp_path / "maps" / "east.png").unlink()
    run(only=["west"])
    assert set(entries(tmp_path / "maps")) == {"west"}


def test_a_map_that_failed_is_drawn_by_a_later_run(run, monkeypatch) -> None:
    run()
    monkeypatch.setattr("regionplot.render.renderer.make_sheet", lambda *_: 1 / 0)
    assert run(change=(15, 8), start_method="serial") == {"west": "failed", "east": "unchanged"}
    monkeypatch.undo()
    assert run() == {"west": "unchanged", "east": "unchanged"}  # the raster has its old cells again
    assert run(change=(15, 8)) == {"west": "rendered", "east": "unchanged"}


def test_an_unreadable_raster_leaves_the_maps_and_is_in_the_manifest(run, make_config, tmp_path) -> None:
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


def test_temporary_files_of_killed_runs_are_removed(run, tmp_path) -> None:
    run(filename="sub/{name}.png")
    stale = tmp_path / "maps" / "sub" / f".west.png.20260101T000000Z-999999999-{new_run()[-8:-5]}00000.tmp"
    stale.touch()
    run(filename="sub/{name}.png")
    assert not stale.exists()


def test_a_new_run_folder_gets_links_to_unchanged_maps(run, tmp_path) -> None:
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


def test_maps_that_the_option_only_leaves_out_stay_published(run, tmp_path) -> None:
    run(publish="runs")
    run(publish="runs", only=["west"], change=(15, 8))
    latest = tmp_path / "maps" / "latest"
    assert {path.name for path in latest.glob("*.png")} == {"west.png", "east.png"}
    assert set(entries(latest)) == {"west", "east"}
    run(WEST, publish="runs")
    assert {path.name for path in latest.glob("*.png")} == {"west.png"}, (
        "a region that left the table is not in the new run"
    )


def test_a_partial_run_has_the_previous_map_of_a_failed_region(run, tmp_path, monkeypatch) -> None:
    run(publish="runs")
    old = (tmp_path / "maps" / "latest" / "west.png").read_bytes()
    monkeypatch.setattr("regionplot.render.renderer.make_sheet", lambda *_: 1 / 0)
    partial = {"publish": "runs", "publish_partial": True}
    assert run(change=(15, 8), start_method="serial", **partial) == {"west": "failed", "east": "unchanged"}
    assert (tmp_path / "maps" / "latest" / "west.png").read_bytes() == old
    assert entries(tmp_path / "maps" / "latest")["west"]["state"] == "failed"


@pytest.mark.parametrize(
    "harm",
    [{"file": "x" * 300 + ".png"}, {"file": "../secret.png"}, {"file": ""}, {"file": 3}, {"name": "\ud800"}],
    ids=["long", "outside", "empty", "number", "surrogate"],
)
@pytest.mark.parametrize("publish", ["replace", "runs"])
def test_a_forged_entry_is_dropped(run, tmp_path, harm, publish) -> None:
    """A file outside the folder gets no entry, and no link in the folder of the next run."""
    run(publish=publish)
    folder = tmp_path / "maps" / "latest" if publish == "runs" else tmp_path / "maps"
    secret = folder.resolve().parent / "secret.png"
    secret.write_text("secret")
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    document["regions"].append({**document["regions"][0], "file": "other.png", **harm})
    path.write_text(json.dumps(document))
    run(only=["west"], publish=publish)
    assert {entry["file"] for entry in manifest(folder)["regions"]} == {"west.png", "east.png"}
    assert secret.stat().st_nlink == 1


@pytest.mark.parametrize("name", ["manifest.json", "Latest"])
def test_reserved_names_are_refused(run, name) -> None:
    with pytest.raises(RegionsError, match="this name is reserved"):
        run(Region(name, WEST.extent), filename="{name}/map.png")


def test_the_manifest_is_private_until_its_owner_shares_it(run, tmp_path) -> None:
    path = tmp_path / "maps" / "manifest.json"
    before = os.umask(0)
    try:
        run()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        run()
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert stat.S_IMODE((tmp_path / "maps" / "west.png").stat().st_mode) == 0o666, "maps follow the umask"
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "truncated", "bytes", "nested", "other types"])
def test_a_manifest_that_cannot_be_read_means_that_all_maps_are_drawn(kind, run, tmp_path, caplog) -> None:
    run()
    path = tmp_path / "maps" / "manifest.json"
    content = path.read_bytes()
    path.unlink()
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to("/dev/zero"),
        "truncated": lambda: path.write_bytes(content[:-90]),
        "bytes": lambda: path.write_bytes(b"\xff\xfe\0"),
        "nested": lambda: path.write_bytes(b"[" * 100_000),
        "other types": lambda: path.write_bytes(b'{"version": 1, "regions": [{"file": "west.png", "digest": []}, 5]}'),
    }[kind]()
    assert run() == {"west": "rendered", "east": "rendered"}
    assert "the manifest cannot be used" in caplog.text
    assert ("manifest.json: cannot be written" in caplog.text) == (kind == "folder")
