"""The front's side of workers. The test plays the generation and its workers over the same sockets."""

from __future__ import annotations

import asyncio
import mmap
import os
import pickle
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from service_client import Client

from regionplot.serve.backend import BusyError, Reply
from regionplot.serve.channel import SharedBuffer, receive, receive_job, send, socket_pair
from regionplot.serve.drawing import Answer
from regionplot.serve.forking import fork
from regionplot.serve.host import KILL, READY, WORKER
from regionplot.serve.parameters import RequestError
from regionplot.serve.pool import RemoteSnapshot
from regionplot.serve.request import Drawing, Point, ValueRequest
from regionplot.serve.worker import Done, WorkerLimits, worker_main


def job(number: int) -> ValueRequest:
    return ValueRequest(("raster",), Point(float(number), 0.0))


class PlayedWorker:
    """The far end of a worker."""

    def __init__(self, number: int, control: object) -> None:
        front, self.connection = socket_pair()
        self.buffer = SharedBuffer()
        send(control, (WORKER, number), [front.fileno(), self.buffer.descriptor])  # type: ignore[arg-type]
        front.close()
        self.connection.setblocking(False)

    async def receive(self) -> Drawing | None:
        for _ in range(400):
            try:
                found: Drawing | None = receive_job(self.connection)
            except BlockingIOError:
                await asyncio.sleep(0.005)
            else:
                return found
        raise AssertionError("no request has come")

    async def answer(self, content: bytes, *, is_last: bool = False) -> Drawing | None:
        found = await self.receive()
        send(self.connection, Done(self.buffer.write(content), "text/plain", {}, (), is_last))
        return found

    def die(self) -> None:
        self.connection.close()

    def close(self) -> None:
        self.connection.close()
        self.buffer.close()


class PlayedGeneration:
    """The far end of a generation."""

    def __init__(self, catalog: object) -> None:
        front, self.control = socket_pair()
        self.ready, self.lost = asyncio.Event(), asyncio.Event()
        self.snapshot = RemoteSnapshot(front, lambda _: self.ready.set(), lambda _: self.lost.set())
        buffer = SharedBuffer()
        send(self.control, (READY, buffer.write(pickle.dumps(catalog))), [buffer.descriptor])
        buffer.close()
        self.workers: list[PlayedWorker] = []

    def worker(self) -> PlayedWorker:
        self.workers.append(PlayedWorker(len(self.workers) + 1, self.control))
        return self.workers[-1]

    def close(self) -> None:
        self.snapshot._end()
        self.control.close()
        for worker in self.workers:
            worker.close()

    def draw(self, number: int) -> asyncio.Task[Reply]:
        return asyncio.ensure_future(self.snapshot.draw(job(number)))


@pytest.fixture
def play(client: Client) -> Callable[..., None]:
    """Run a play with settings that differ from the defaults."""

    def run(acts: Callable[[PlayedGeneration], Awaitable[None]], **settings: object) -> None:
        assert client.backend.current is not None
        catalog = client.backend.current.catalog
        own = replace(catalog, settings=catalog.settings.model_copy(update=settings))

        async def played() -> None:
            generation = PlayedGeneration(own)
            try:
                await acts(generation)
            finally:
                generation.close()

        asyncio.run(played())

    return run


def test_a_request_that_has_killed_two_workers_is_refused_and_others_are_not(play: Callable[..., None]) -> None:
    async def acts(generation: PlayedGeneration) -> None:
        first = generation.worker()
        await generation.ready.wait()
        drawing = generation.draw(1)
        assert await first.receive() == job(1)
        first.die()
        second = generation.worker()
        assert await second.receive() == job(1)
        second.die()
        with pytest.raises(BusyError):
            await drawing
        with pytest.raises(RequestError, match="smaller") as caught:
            await generation.draw(1)
        assert caught.value.status == 422
        other = generation.draw(2)
        assert await generation.worker().answer(b"two") == job(2)
        assert (await other).content == b"two"
        assert generation.snapshot.deaths == 2

    play(acts)


def test_a_late_worker_is_killed_and_its_request_refused(play: Callable[..., None]) -> None:
    async def acts(generation: PlayedGeneration) -> None:
        late = generation.worker()
        await generation.ready.wait()
        drawing = generation.draw(1)
        await late.receive()
        with pytest.raises(BusyError):
            await drawing
        found = receive(generation.control)
        assert found is not None
        assert found[0] == (KILL, 1)
        with pytest.raises(RequestError):
            await generation.draw(1)

    play(acts, timeout=0.05)


def test_a_full_queue_refuses_at_once_and_a_cancelled_request_leaves_it(play: Callable[..., None]) -> None:
    async def acts(generation: PlayedGeneration) -> None:
        worker = generation.worker()
        await generation.ready.wait()
        drawings = [generation.draw(number) for number in range(3)]
        await asyncio.sleep(0.01)
        with pytest.raises(BusyError):
            await generation.draw(3)
        drawings[1].cancel()
        await asyncio.sleep(0.01)
        last = generation.draw(4)
        assert [await worker.answer(b"x") for _ in range(3)] == [job(0), job(2), job(4)]
        assert (await last).content == b"x"
        assert generation.snapshot.waiting == generation.snapshot.busy == 0

    play(acts, queue=2)


def test_a_worker_gets_no_request_after_its_last_answer(play: Callable[..., None]) -> None:
    async def acts(generation: PlayedGeneration) -> None:
        old = generation.worker()
        await generation.ready.wait()
        first, second = generation.draw(1), generation.draw(2)
        await old.answer(b"one", is_last=True)
        assert (await first).content == b"one"
        assert await old.receive() is None, "the front has closed the connection"
        assert await generation.worker().answer(b"two") == job(2)
        assert (await second).content == b"two"

    play(acts)


def test_a_generation_that_ends_fails_its_requests_cleanly(play: Callable[..., None]) -> None:
    async def acts(generation: PlayedGeneration) -> None:
        worker = generation.worker()
        await generation.ready.wait()
        drawings = [generation.draw(number) for number in range(2)]
        await worker.receive()
        generation.control.close()
        for drawing in drawings:
            with pytest.raises(BusyError):
                await drawing
        assert generation.lost.is_set()
        with pytest.raises(BusyError):
            await generation.draw(3)

    play(acts)


@pytest.mark.parametrize(("limits", "kept", "last"), [
    (WorkerLimits(3, 10_000), 0, 3), (WorkerLimits(1000, 32), 2**20, 50), (WorkerLimits(1000, 10_000), 2**20, 0),
])  # fmt: skip
def test_a_worker_ends_after_a_number_of_images_or_with_too_much_memory(
    limits: WorkerLimits, kept: int, last: int
) -> None:
    leaked: list[mmap.mmap] = []

    def drawer(_drawing: Drawing) -> Answer:
        leaked.append(mmap.mmap(-1, kept + 1, mmap.MAP_PRIVATE))  # malloc could reuse freed memory
        leaked[-1].write(b"x" * kept)
        return Answer(b"image", "image/png", {})

    front, own = socket_pair()
    buffer = SharedBuffer()

    def main() -> int:
        front.close()
        return worker_main(drawer, own, buffer, limits)  # type: ignore[arg-type]

    pid = fork(main)
    own.close()
    found = []
    for number in range(1, 60):
        send(front, job(number))
        found.append(receive_job(front).is_last)
        if found[-1]:
            assert receive_job(front) is None
            break
    front.close()
    buffer.close()
    assert os.waitpid(pid, 0)[1] == 0
    assert found.index(True) + 1 == last if last else True not in found
