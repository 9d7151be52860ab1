"""The real service: replaced rasters, killed workers, new settings, and the end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from odd_bytes import OddRequest, answer_to, check_answer, odd_requests
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
EXAMPLES = int(os.environ.get("REGIONPLOT_EXAMPLES", "40"))
"""Number of odd requests over connections. Set it to 10,000 for a long search."""
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


def test_the_old_data_stay_in_use_while_the_raster_is_broken_or_gone(service: ServiceProcess) -> None:
    folder, before = service.errors.parent, service.run
    image = service.get(WHOLE).content
    whole = (folder / "columns.tif").read_bytes()
    for number, content in enumerate((whole[: len(whole) // 2], b"no raster"), 1):
        (folder / "new.tif").write_bytes(content)
        (folder / "new.tif").rename(folder / "columns.tif")
        service.until(lambda number=number: service.errors.read_text().count("columns.tif: ") >= number)
    (folder / "columns.tif").unlink()
    assert (service.run, service.get(WHOLE).content) == (before, image)
    renew(folder, columns()[:, ::-1] * 2)
    service.until(lambda: service.run != before)


def test_a_new_table_is_used_and_a_broken_one_is_not(service: ServiceProcess) -> None:
    folder = service.errors.parent
    (folder / "regions.csv").write_text(f"{TABLE}south,-100,-96,40,41\n")
    service.until(lambda: service.get("/regions/south.png").status == 200)
    (folder / "regions.csv").write_text("name,west\n")
    service.until(lambda: "the old table stays in use" in service.errors.read_text())
    assert service.get("/regions/south.png").status == 200
    (folder / "regions.csv").write_text(TABLE)


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


def test_odd_bytes_get_a_reason_and_cost_no_worker(service: ServiceProcess) -> None:
    workers = set(service.workers)

    @given(request=odd_requests)
    @settings(max_examples=EXAMPLES)
    def check(request: OddRequest) -> None:
        check_answer(request, service.port)

    check()
    assert service.get(WHOLE).status == 200
    assert set(service.workers) == workers or EXAMPLES > 1000, "a worker has ended"
    assert len(service.workers) == len(workers)
    assert "a request failed" not in service.errors.read_text()


def test_headers_of_a_proxy_are_ignored(service: ServiceProcess) -> None:
    head = b"GET /ogc/ HTTP/1.1\r\nHost: here\r\nConnection: close\r\n"
    forged = b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
    answer = answer_to(OddRequest(head + forged, is_http=True), service.port)
    assert b'"http://here/ogc/"' in answer
    assert b"evil" not in answer
    service.until(lambda: "/ogc/" in (service.errors.parent / "access.txt").read_text())
    assert "6.6.6.6" not in (service.errors.parent / "access.txt").read_text()


def test_sigterm_ends_all_processes(service: ServiceProcess) -> None:
    processes = service.processes()
    assert service.stop() == 0
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
