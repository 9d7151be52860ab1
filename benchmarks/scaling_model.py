"""Simulate a run on a dask cluster: one client, one scheduler and many workers.

::

    client ── submit ──► scheduler ── batch ──► worker: load once, then one map after the other
      ▲                      │  ▲                  │
      └───── outcome ────────┘  └───── done ───────┘

The client and the scheduler are servers that do one thing at a time. Their costs are measured by `scaling.py`. The
client fills two batches for each worker, handles all outcomes that have arrived, and fills again, as `ClusterRun` does.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

PER_WORKER = 2
"""Submitted batches per worker."""


@dataclass(frozen=True)
class Costs:
    """CPU seconds of the two servers, and the delay of a message."""

    client_batch: float
    """Time of the client for each batch."""
    client_map: float
    """Time of the client for each map, including record and progress display."""
    client_waiting: float
    """Time of the client for each submitted batch, each time that it waits."""
    scheduler_batch: float
    scheduler_map: float
    latency: float = 0.001
    """Delay of a message in seconds."""


@dataclass(frozen=True)
class Work:
    """The maps of a run and the workers that draw them."""

    maps: int
    map_seconds: float
    """Mean time of a map in a worker."""
    workers: int
    batch_seconds: float = 0.25
    max_batch: int = 256
    load_seconds: float = 0.0
    """Time that each worker needs before its first map."""
    spread: float = 0.0
    """Standard deviation of the logarithm of the time of a map."""
    slow: float = 0.0
    """Part of the workers that need three times as long."""
    killed: int = 0
    """Number of workers that die, at random times in the first half of the run."""
    seed: int = 1


@dataclass
class Result:
    """What a simulated run took."""

    seconds: float = 0.0
    client: float = 0.0
    """Busy seconds of the client."""
    scheduler: float = 0.0
    workers: float = 0.0
    """Busy seconds of all workers, without loading."""
    maps: int = 0
    drawn_twice: int = 0
    """Maps that were lost with a worker and drawn again."""

    @property
    def rate(self) -> float:
        """Maps per second."""
        return self.maps / self.seconds


@dataclass
class _Worker:
    speed: float
    dies: float
    is_loaded: bool = False
    tasks: deque[int] = field(default_factory=deque)
    """Sizes of the batches that the scheduler has sent. The first one is running."""
    is_dead: bool = False


class Simulation:
    """The state of a simulated run. Times are in seconds since its start."""

    def __init__(self, work: Work, costs: Costs) -> None:
        self.work, self.costs, self.result = work, costs, Result()
        self._random = random.Random(work.seed)
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._number = count()
        self._now = 0.0
        self._workers = [self._worker(number) for number in range(work.workers)]
        self._waiting = work.maps
        self._alone: deque[int] = deque()
        self._running = 0
        self._arrived: list[tuple[int, bool]] = []
        self._client_is_busy = False
        self._scheduler_free = 0.0
        self._ready: deque[int] = deque()
        self._slots = deque(self._workers * PER_WORKER)

    def run(self) -> Result:
        """Simulate the run to its end."""
        self._step()
        while self._events and self.result.maps < self.work.maps:
            self._now, _, action, arguments = heapq.heappop(self._events)
            action(*arguments)
        self.result.seconds = self._now
        return self.result

    def _worker(self, number: int) -> _Worker:
        work = self.work
        expected = work.load_seconds + work.maps * work.map_seconds / work.workers
        dies = self._random.uniform(0, expected / 2) if number < work.killed else float("inf")
        return _Worker(3.0 if self._random.random() < work.slow else 1.0, dies)

    def _at(self, time: float, action: Callable[..., None], *arguments: object) -> None:
        heapq.heappush(self._events, (time, next(self._number), action, arguments))

    def _batch_size(self) -> int:
        work = self.work
        if not self.result.maps:  # no map has finished, so the time of a map is not known
            return 1
        wanted = int(work.batch_seconds / work.map_seconds)
        return max(1, min(wanted, self._waiting // (PER_WORKER * work.workers), work.max_batch))

    def _next_batch(self) -> int:
        if self._alone:
            return self._alone.popleft()
        size = min(self._batch_size(), self._waiting)
        self._waiting -= size
        return size

    def _step(self) -> None:
        """Handle the outcomes that have arrived at the client, and submit batches."""
        costs, time = self.costs, self._now
        arrived, self._arrived = self._arrived, []
        for size, is_lost in arrived:
            self._running -= 1
            if is_lost:
                self.result.drawn_twice += size
                self._alone.extend([1] * size)
            else:
                self.result.maps += size
                time += size * costs.client_map
        while self._running < PER_WORKER * self.work.workers and (size := self._next_batch()):
            self._running += 1
            time += costs.client_batch
            self._at(time + costs.latency, self._schedule, self._submitted, size)
        time += self._running * costs.client_waiting
        self.result.client += time - self._now
        self._client_is_busy = True
        self._at(time, self._rest)

    def _rest(self) -> None:
        """End a step of the client. Begin the next step if outcomes have arrived meanwhile."""
        self._client_is_busy = False
        if self._arrived:
            self._step()

    def _arrive(self, size: int, is_lost: bool) -> None:
        self._arrived.append((size, is_lost))
        if not self._client_is_busy:
            self._step()

    def _schedule(self, action: Callable[..., None], *arguments: object) -> None:
        """Queue a message at the scheduler. Each batch needs two messages, so each costs half."""
        size = arguments[-1]
        assert isinstance(size, int)
        cost = (self.costs.scheduler_batch + size * self.costs.scheduler_map) / 2
        self._scheduler_free = max(self._scheduler_free, self._now) + cost
        self.result.scheduler += cost
        self._at(self._scheduler_free, action, *arguments)

    def _submitted(self, size: int) -> None:
        self._ready.append(size)
        self._send()

    def _send(self) -> None:
        """Send ready batches to workers that have a free slot."""
        while self._ready and self._slots:
            worker = self._slots.popleft()
            if worker.is_dead:
                continue
            worker.tasks.append(self._ready.popleft())
            if len(worker.tasks) == 1:
                self._at(self._now + self.costs.latency, self._begin, worker)

    def _begin(self, worker: _Worker) -> None:
        """Start the first batch of a worker."""
        if worker.is_dead:
            return
        size, work = worker.tasks[0], self.work
        load = 0.0 if worker.is_loaded else work.load_seconds
        worker.is_loaded = True
        times = (self._random.lognormvariate(-(work.spread**2) / 2, work.spread) for _ in range(size))
        seconds = work.map_seconds * worker.speed * (sum(times) if work.spread else size)
        end = self._now + load + seconds
        if end > worker.dies:
            self._at(max(worker.dies, self._now), self._die, worker)
            return
        self.result.workers += seconds
        self._at(end + self.costs.latency, self._schedule, self._done, worker, size)
        self._at(end, self._finish, worker)

    def _finish(self, worker: _Worker) -> None:
        worker.tasks.popleft()
        if worker.tasks:
            self._begin(worker)

    def _done(self, worker: _Worker, size: int) -> None:
        self._slots.append(worker)
        self._at(self._now + self.costs.latency, self._arrive, size, False)
        self._send()

    def _die(self, worker: _Worker) -> None:
        """Lose the running batch of a worker. The scheduler sends its other batch to another worker."""
        worker.is_dead = True
        first, *others = worker.tasks
        self._ready.extendleft(others)
        self._at(self._now + self.costs.latency, self._arrive, first, True)
        self._send()


def simulate(work: Work, costs: Costs) -> Result:
    """Return what a run takes."""
    return Simulation(work, costs).run()
