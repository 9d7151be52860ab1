"""The real service: replaced rasters, killed workers, new settings, and the end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_client import columns, write_raster
from service_process import ServiceProcess, running_service

SETTINGS = """
[raster]
path = "columns.tif"
[colors]
levels = [0, 10, 20, 30, 40]
colormap = "viridis"
[map]
style = "plain"
size = [200, 150]
[run]
cache = false
[serve]
workers = 2
timeout = 10
keep = 1
"""
WHOLE = "/map?bbox=-100,40,-96,44&width=40&height=40"
TABLE = "name,west,east,south,north\nnorth,-100,-96,41,44\n"


def renew(folder: Path, values: object) -> None:
    """Replace the raster at once."""
    write_raster(folder / "new.tif", values)  # type: ignore[arg-type]
    (folder / "new.tif").rename(folder / "columns.tif")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("service")
    write_raster(folder / "columns.tif", columns())
    (folder / "regionplot.toml").write_text(SETTINGS)
    (folder / "regions.csv").write_text(TABLE)
    with running_service(folder, "regions.csv") as started:
        started.wait_until_ready()
        yield started


def test_a_renewed_raster_is_served_without_a_gap(service: ServiceProcess) -> None:
    """Clients ask all the time. Each answer belongs to the run that its header names."""
    folder = service.errors.parent
    answers: dict[str, set[bytes]] = {}
    statuses: list[int] = []
    stop = threading.Event()

    def ask(number: int) -> None:
        count = 0
        while not stop.is_set():
            found = service.get(f"{WHOLE}&dpi={60 + number + count % 7}")
            statuses.append(found.status)
            answers.setdefault(found.headers.get("data-run", ""), set()).add(found.content)
            count += 1

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for client in clients:
        client.start()
    try:
        for turn in range(1, 3):
            before = service.run
            renew(folder, columns()[:, ::-1] if turn % 2 else columns())
            service.until(lambda before=before: service.run != before)
            service.until(lambda turn=turn: len(answers) == turn + 1)
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert set(statuses) == {200}
    assert len(answers) == 3
    assert all(len(images) == 1 for images in answers.values()), "an answer mixes two rasters"
    service.until(lambda: len(service.processes()) == 6)  # guard, parent, front, one generation, two workers


def test_a_killed_worker_is_replaced_and_no_request_fails(service: ServiceProcess) -> None:
    for number in range(3):
        victim = service.workers[0]
        os.kill(victim, signal.SIGKILL)
        assert service.get(f"{WHOLE}&dpi={100 + number}").status == 200
        service.until(lambda victim=victim: len(service.workers) == 2 and victim not in service.workers)


def test_settings_are_read_again_and_faulty_settings_are_not_used(service: ServiceProcess) -> None:
    folder, before = service.errors.parent, service.run
    for number, faulty in enumerate(("no such map", 'viridis"\nlabels = 3\nunder = "'), 1):
        (folder / "regionplot.toml").write_text(SETTINGS.replace("viridis", faulty))
        service.process.send_signal(signal.SIGHUP)
        service.until(lambda number=number: service.errors.read_text().count("the old settings stay") == number)
        assert service.run == before
    (folder / "regionplot.toml").write_text(SETTINGS.replace("viridis", "magma"))
    service.process.send_signal(signal.SIGHUP)
    service.until(lambda: service.run != before)


def test_a_killed_front_or_generation_is_started_again(service: ServiceProcess) -> None:
    for kind in ("front", "generation"):
        before = service.processes()
        parent = next(pid for pid, above in before.items() if above == service.process.pid)
        children = [pid for pid, above in before.items() if above == parent]
        generations = set(before.values()) & set(children)
        os.kill(generations.pop() if kind == "generation" else (set(children) - generations).pop(), signal.SIGKILL)
        service.until(lambda before=before: not set(service.workers) & set(before) and service.get(WHOLE).status == 200)
    service.until(lambda: len(service.processes()) == 6)


def test_sigterm_ends_all_processes(service: ServiceProcess) -> None:
    processes = service.processes()
    assert service.stop() == 0
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
