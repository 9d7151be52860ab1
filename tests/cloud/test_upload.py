"""Copy maps to object storage. The storage is in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from regionplot.runs import upload as module
from regionplot.settings.loading import read_config

fsspec = pytest.importorskip("fsspec")
CONFIG = '[raster]\npath = "sample:relief"\n[map]\nstyle = "plain"\nsize = [120, 100]\n[run]\nstart_method = "serial"\n'
TABLE = "name,west,east,south,north\na,-84.5,-75.3,33.8,36.7\nb,-124,-114,33,42\n"
URL = "memory://bucket/maps"
Run = Callable[..., Any]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(module, "_PAUSES", (0.0,))
    found = fsspec.filesystem("memory")
    found.store.clear()
    yield found
    found.store.clear()


@pytest.fixture
def run(tmp_path: Path, run_command: Run) -> Run:
    def draw(config: str = CONFIG, table: str = TABLE, *options: str, url: str = URL) -> Any:
        (tmp_path / "regions.csv").write_text(table)
        (tmp_path / "regionplot.toml").write_text(config)
        return run_command(tmp_path, "regions.csv", "-o", url, *options, XDG_CACHE_HOME=str(tmp_path / "cache"))

    return draw


def names(system: Any) -> list[str]:
    return sorted(system.find("/bucket/maps"))


def test_each_new_map_is_written_once_and_the_manifest_last(system: Any, run: Run) -> None:
    with mock.patch.object(type(system), "pipe_file", autospec=True, side_effect=type(system).pipe_file) as put:
        assert f"2 objects written to {URL}, 0 unchanged" in run().stdout
        written = [call.args[1] for call in put.call_args_list]
        assert sorted(written[:2]) == ["/bucket/maps/a.png", "/bucket/maps/b.png"]
        assert written[2:] == ["/bucket/maps/manifest.json"]
        put.reset_mock()
        again = run()
        assert "2 unchanged" in again.stdout
        assert [call.args[1] for call in put.call_args_list] == ["/bucket/maps/manifest.json"]
    manifest = json.loads(system.cat("/bucket/maps/manifest.json"))
    assert {each["name"]: each["bytes"] for each in manifest["regions"]} == {
        name: system.size(f"/bucket/maps/{name}.png") for name in "ab"
    }


def test_a_removed_or_changed_object_is_written_again(system: Any, run: Run) -> None:
    run()
    content = system.cat("/bucket/maps/a.png")
    system.rm("/bucket/maps/a.png")
    system.pipe("/bucket/maps/b.png", b"other")
    assert "2 objects written" in run().stdout
    assert system.cat("/bucket/maps/a.png") == content
    assert system.size("/bucket/maps/b.png") > 100


def test_if_a_map_cannot_be_written_the_manifest_stays(system: Any, run: Run) -> None:
    run(CONFIG, TABLE.partition("b,")[0])
    manifest = system.cat("/bucket/maps/manifest.json")
    put = type(system).pipe_file

    def fail(self: Any, path: str, value: bytes, **options: Any) -> None:
        if path.endswith("b.png"):
            raise PermissionError("Access Denied for https://x.org/b.png?X-Amz-Signature=TOPSECRET")
        put(self, path, value, **options)

    with mock.patch.object(type(system), "pipe_file", fail):
        done = run()
    assert done.returncode == 1
    assert f"{URL}/b.png: cannot be written: Access Denied" in done.stderr
    assert "TOPSECRET" not in done.stdout + done.stderr
    assert names(system) == ["/bucket/maps/a.png", "/bucket/maps/manifest.json"]
    assert system.cat("/bucket/maps/manifest.json") == manifest
    assert "1 objects written" in run().stdout
    assert "/bucket/maps/b.png" in names(system)


@pytest.mark.parametrize("kind", [module.Upload, module.UploadWhileDrawing])
def test_a_map_that_was_removed_from_the_folder_is_reported(system: Any, tmp_path: Path, kind: Any) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    regions = [{"file": file, "sha256": "0"} for file in ("a.png", "b.png")]
    (tmp_path / "manifest.json").write_text(json.dumps({"regions": regions}))
    done = kind(URL, tmp_path).finish()
    assert done.problems == (f"{tmp_path / 'b.png'}: cannot be read: No such file or directory",)
    assert names(system) == ["/bucket/maps/a.png"]
    assert "1 unchanged" in str(kind(URL, tmp_path).finish())


def test_runs_have_prefixes_and_a_pointer(system: Any, run: Run) -> None:
    config = f'{CONFIG}[output]\npublish = "runs"\nkeep = 0\n'
    runs = []
    for _ in range(2):
        done = run(config)
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(system.cat("/bucket/maps/latest.json"))["run"])
        found = {name.split("/")[3] for name in names(system)}
        assert found == {runs[-1], "latest.json"}
        assert {name.split("/")[-1] for name in names(system)} == {"a.png", "b.png", "manifest.json", "latest.json"}
    assert runs[0] != runs[1]


def test_pruned_maps_are_removed(system: Any, run: Run) -> None:
    run()
    system.pipe("/bucket/maps/foreign.png", b"not ours")
    run(CONFIG, TABLE.partition("b,")[0], "--prune")
    assert names(system) == ["/bucket/maps/a.png", "/bucket/maps/foreign.png", "/bucket/maps/manifest.json"]


@pytest.mark.usefixtures("system")
def test_unusable_urls_are_reported_before_anything_is_drawn(run: Run) -> None:
    done = run(url="nosuch://bucket/maps")
    assert done.returncode == 2
    assert "nosuch://bucket/maps: " in done.stderr
    secret = run(url="https://me:TOPSECRET@x.org/maps")
    assert secret.returncode == 2
    assert "TOPSECRET" not in secret.stdout + secret.stderr
    assert not read_config({"raster": {"path": "sample:relief"}}).output.url


SLOW_LAST = """
import time
def draw(shared, region):
    import numpy as np
    from fsspec import filesystem
    before = {"b": "a", "c": "b"}.get(region.name)
    end = time.monotonic() + 20
    while before and not filesystem("memory").exists(f"/bucket/maps/{before}.png"):
        assert time.monotonic() < end, "the map before this map is not copied yet"
        time.sleep(0.01)
    if region.name == "c":
        raise KeyboardInterrupt
    return np.zeros((100, 120, 3), np.uint8)
"""


def test_maps_are_copied_while_others_are_drawn_and_a_stopped_run_is_resumed(
    system: Any, run: Run, tmp_path: Path
) -> None:
    """The old manifest stays if the run is stopped. The next run does not write the maps again."""
    (tmp_path / "own.py").write_text(SLOW_LAST)
    config = CONFIG.replace("[map]", '[map]\ndraw = "own:draw"')
    stopped = run(config, f"{TABLE}c,-110,-100,36,41\n")
    assert stopped.returncode == 130, stopped.stderr
    assert names(system) == ["/bucket/maps/a.png", "/bucket/maps/b.png"]
    with mock.patch.object(type(system), "pipe_file", autospec=True, side_effect=type(system).pipe_file) as put:
        assert f"0 objects written to {URL}, 2 unchanged" in run(config).stdout
        assert [call.args[1] for call in put.call_args_list] == ["/bucket/maps/manifest.json"]


def test_a_map_that_fails_while_others_are_drawn_is_copied_at_the_end(system: Any, run: Run) -> None:
    put = type(system).pipe_file
    failed = []

    def fail(self: Any, path: str, value: bytes, **options: Any) -> None:
        if path.endswith("a.png") and len(failed) < 2:
            failed.append(path)
            raise PermissionError("Access Denied")
        put(self, path, value, **options)

    with mock.patch.object(type(system), "pipe_file", fail):
        done = run()
    assert done.returncode == 0, done.stderr
    assert f"2 objects written to {URL}, 0 unchanged" in done.stdout
    assert len(failed) == 2


def test_a_program_that_forks_its_workers_copies_at_the_end(system: Any, tmp_path: Path) -> None:
    """A thread that runs during a fork can hold a lock, which is then held for ever in the worker."""
    kinds = {
        name: type(module.start_upload(URL, tmp_path, tmp_path, name)) for name in ("fork", "serial", "dask", "spawn")
    }
    assert kinds.pop("fork") is module.UploadInChild
    assert set(kinds.values()) == {module.UploadWhileDrawing}
    assert names(system) == []


def test_a_run_with_forked_workers_connects_only_in_child_processes(system: Any, run: Run) -> None:
    with mock.patch.object(module.Bucket, "__init__", autospec=True, side_effect=module.Bucket.__init__) as connect:
        done = run(CONFIG.replace("serial", "fork"))
        assert done.returncode == 0, done.stderr
        assert not connect.called
    assert f"2 objects written to {URL}, 0 unchanged" in done.stdout
    assert names(system) == [], "a child has written them into its own memory"
