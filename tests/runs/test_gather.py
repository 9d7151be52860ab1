"""Workers that do not see the output folder send their maps to the client, which stores them."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import regionplot
from regionplot.errors import FeaturesError, NoSpaceError, RasterError
from regionplot.executors.base import Outcome
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs import store
from regionplot.runs.digests import MapDigests
from regionplot.runs.gather import Gathering, gathering, with_stored_maps
from regionplot.runs.jobs import TO_KEEP, Job, MapResult, PreviousMap, Sidecar
from regionplot.runs.machine import plan_for_machine
from regionplot.runs.task import RenderTask
from regionplot.settings.run import RunSettings
from regionplot.shared.data import SharedData
from regionplot.shared.load import check_inputs

EAST = Region("east", Extent(-84.5, -75.3, 33.8, 36.7))
RUN = "20260101T000000Z-1-abcdef01"


def config_of(folder: Path, **sections: Any) -> regionplot.Config:
    tables = {
        "raster": {"path": "sample:relief"},
        "map": {"style": "plain", "size": [120, 100]},
        "output": {"directory": folder, "world_file": True},
        **sections,
    }
    return regionplot.read_config(tables)


def test_workers_send_their_maps_if_they_do_not_see_the_file_of_the_client(tmp_path: Path) -> None:
    auto, gather = RunSettings(), RunSettings(output="gather")
    with gathering(auto, "dask", "tcp://a:1", tmp_path, RUN) as how:
        assert how is not None
        assert not how.is_needed()
        (probe,) = tmp_path.iterdir()
        probe.rename(tmp_path / "elsewhere")
        assert how.is_needed()
        probe.touch()
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
    for settings, method, cluster in [(auto, "dask", None), (auto, "fork", None), (gather, "spawn", None)]:
        with gathering(settings, method, cluster, tmp_path, RUN) as how:
            assert how is None
    with gathering(gather, "dask", None, tmp_path, RUN) as how:
        assert how is not None
        assert how.is_needed()


def test_a_sent_map_is_stored_as_a_worker_stores_it(tmp_path: Path) -> None:
    """The worker writes nothing, not even folders."""
    config = config_of(tmp_path / "output")
    plan = check_inputs(config, [EAST])
    job = Job(EAST, str(tmp_path / "output/maps/east.png"))
    task = RenderTask(config, RUN, plan, 1, gathering=Gathering(None))
    sent = task(job)
    assert list(tmp_path.iterdir()) == []
    assert not pickle.loads(pickle.dumps(task)).__dict__.get("_sends_maps"), "another machine can see the folder"
    job.target.parent.mkdir(parents=True)
    (outcome,) = with_stored_maps(lambda _: iter([Outcome(job, sent)]), [job], RUN, tmp_path / "output")
    stored = {path.name: path.read_bytes() for path in job.target.parent.iterdir()}
    assert set(stored) == {"east.png", *(each.name for each in sent.sidecars)}
    assert len(stored) > 1
    shutil.rmtree(job.target.parent)
    written = RenderTask(config, RUN, plan, 1)(job)
    assert {path.name: path.read_bytes() for path in job.target.parent.iterdir()} == stored
    same = {"stages": {}, "peak_memory": 0}
    assert replace(outcome.value, **same) == replace(written, **same)
    previous = PreviousMap(job.target, written.digest, written.bytes, written.sha256, sidecars=written.sidecars)
    assert task(replace(job, previous=previous)).state == TO_KEEP
    assert task(replace(job, previous=previous._replace(digest="other"))).state == "rendered"


def run_of(*results: MapResult, seen: list[Job]) -> Any:
    def run(jobs: Sequence[Job]) -> Iterator[Outcome[Job]]:
        for job, result in zip(jobs, results, strict=False):
            seen.append(job)
            yield Outcome(job, replace(result, path=job.target))

    return run


def test_unchanged_maps_are_kept_and_damaged_maps_are_drawn_again(tmp_path: Path) -> None:
    content = b"image"
    sha256 = store.checksum(content)
    jobs = []
    for name in ("good", "damaged"):
        target = tmp_path / f"{name}.png"
        target.write_bytes(content if name == "good" else b"other")
        jobs.append(Job(EAST, str(target), PreviousMap(target, "d", len(content), sha256)))
    seen: list[Job] = []

    def run(left: Sequence[Job]) -> Iterator[Outcome[Job]]:
        for job in left:
            seen.append(job)
            drawn = MapResult(job.target, len(content), digest="d", sha256=sha256, files=(content,))
            yield Outcome(job, MapResult(job.target, 0, digest="d", state=TO_KEEP) if job.previous else drawn)

    found = list(with_stored_maps(run, jobs, RUN, tmp_path))
    assert [each.value.state for each in found] == ["unchanged", "rendered"]
    assert [each.value.sha256 for each in found] == [sha256] * 2
    assert seen == [*jobs, replace(jobs[1], previous=None)]
    assert jobs[1].target.read_bytes() == content


def test_the_client_takes_one_map_after_the_other(tmp_path: Path) -> None:
    """Otherwise the client would hold all maps in memory."""
    result = MapResult(Path(), 1, sha256=store.checksum(b"x"), files=(b"x",))
    jobs = [Job(EAST, str(tmp_path / f"{number}.png")) for number in range(5)]
    seen: list[Job] = []
    for number, outcome in enumerate(with_stored_maps(run_of(*[result] * 5, seen=seen), jobs, RUN, tmp_path), 1):
        assert outcome.value.files == ()
        assert len(seen) == number == len(list(tmp_path.iterdir()))


def test_a_sent_map_that_cannot_be_stored_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [Job(EAST, str(tmp_path / "a.png"))]
    damaged = MapResult(Path(), 1, sha256="other", files=(b"x",), sidecars=())
    (outcome,) = with_stored_maps(run_of(damaged, seen=[]), jobs, RUN, tmp_path)
    assert outcome.message.endswith("a.png: the bytes are not those that the worker has sent")

    def fail(*_: Any, **__: Any) -> str:
        raise NoSpaceError("full")

    monkeypatch.setattr(store, "write_file", fail)
    sidecar = Sidecar("a.pgw", 1, store.checksum(b"y"))
    (outcome,) = with_stored_maps(
        run_of(replace(damaged, files=(b"x", b"y"), sidecars=(sidecar,)), seen=[]), jobs, RUN, tmp_path
    )
    assert outcome.failure is not None
    assert outcome.failure.cause == "NoSpaceError"  # three of them end the run


def test_a_machine_can_have_a_copy_of_the_raster_with_its_time(tmp_path: Path) -> None:
    """The digests are those of the original, also if each map reads its own cells."""
    raster, copy = tmp_path / "relief.tif", tmp_path / "copy.tif"
    shutil.copy(regionplot.read_config({"raster": {"path": "sample:relief"}}).raster.path, raster)
    config = config_of(tmp_path, raster={"path": raster}, run={"memory": 1})
    plan = check_inputs(config, [])
    assert plan.reads_per_map
    assert plan_for_machine(config, plan) == plan
    digest = MapDigests(SharedData.load(config, plan=plan)).of(EAST)
    shutil.copy2(raster, copy)
    copy.replace(raster)
    with pytest.raises(RasterError, match="input changed"):
        SharedData.load(config, plan=plan)
    here = plan_for_machine(config, plan)
    assert MapDigests(SharedData.load(config, plan=here)).of(EAST) == digest
    assert plan_for_machine(config, here) == here
    os.utime(raster, (0, 0))
    with pytest.raises(RasterError, match=r"another file than at the start of the run: .* of 1970-01-01 .*rsync -a"):
        plan_for_machine(config, here)
    raster.unlink()
    with pytest.raises(RasterError, match=r"relief\.tif: there is no such file on this machine; share the folder"):
        plan_for_machine(config, plan)


def test_a_machine_without_the_file_of_a_layer_is_refused(tmp_path: Path) -> None:
    area = tmp_path / "area.geojson"
    area.write_text('{"type": "FeatureCollection", "features": []}')
    config = config_of(tmp_path, features=[{"path": area}])
    plan = SharedData.load(config_of(tmp_path)).plan
    assert plan_for_machine(config, plan) == plan
    area.unlink()
    with pytest.raises(FeaturesError, match=r"area\.geojson: there is no such file on this machine"):
        plan_for_machine(config, plan)
