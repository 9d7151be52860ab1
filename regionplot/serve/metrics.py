"""Count requests and stages, and write the counts in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts since the start of the front."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._bytes: Counter[str] = Counter()
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_BUCKETS) + 1))
        self._seconds: dict[str, float] = defaultdict(float)
        self._stages: dict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()

    def count_request(self, route: str, status: int, size: int, seconds: float) -> None:
        """Count one answer."""
        self._requests[route, status] += 1
        self._bytes[route] += size
        self._seconds[route] += seconds
        place = next((number for number, limit in enumerate(_BUCKETS) if seconds <= limit), len(_BUCKETS))
        self._buckets[route][place] += 1

    def add_stages(self, stages: Mapping[str, float]) -> None:
        """Add the times of the stages of one drawing."""
        for stage, seconds in stages.items():
            self._stages[stage] += seconds
        self._counts["drawings"] += 1

    def count(self, name: str) -> None:
        """Count an event, such as `cache_hits`."""
        self._counts[name] += 1

    def text(self, gauges: Mapping[str, float]) -> str:
        """Return all counts, and some further numbers, in the text format of Prometheus."""
        return "\n".join([*self._lines(), *_gauges(gauges), ""])

    def _lines(self) -> Iterator[str]:
        yield from _head("requests_total", "counter", "Answers by route and status.")
        for (route, status), count in sorted(self._requests.items()):
            yield f'regionplot_requests_total{{route="{route}",status="{status}"}} {count}'
        yield from _head("response_bytes_total", "counter", "Bytes of answers by route.")
        for route, size in sorted(self._bytes.items()):
            yield f'regionplot_response_bytes_total{{route="{route}"}} {size}'
        yield from _head("request_seconds", "histogram", "Time to answer by route.")
        for route, buckets in sorted(self._buckets.items()):
            yield from self._histogram(route, buckets)
        yield from _head("stage_seconds_total", "counter", "Time of the stages of drawings.")
        for stage, seconds in sorted(self._stages.items()):
            yield f'regionplot_stage_seconds_total{{stage="{stage}"}} {seconds:.6f}'
        yield from _head("events_total", "counter", "Events by kind.")
        for name, count in sorted(self._counts.items()):
            yield f'regionplot_events_total{{kind="{name}"}} {count}'

    def _histogram(self, route: str, buckets: Iterable[int]) -> Iterator[str]:
        total = 0
        for limit, count in zip((*_BUCKETS, "+Inf"), buckets, strict=True):
            total += count
            yield f'regionplot_request_seconds_bucket{{route="{route}",le="{limit}"}} {total}'
        yield f'regionplot_request_seconds_sum{{route="{route}"}} {self._seconds[route]:.6f}'
        yield f'regionplot_request_seconds_count{{route="{route}"}} {total}'


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP regionplot_{name} {text}"
    yield f"# TYPE regionplot_{name} {kind}"


def _gauges(gauges: Mapping[str, float]) -> Iterator[str]:
    for name, value in gauges.items():
        yield f"# TYPE regionplot_{name} gauge"
        yield f"regionplot_{name} {value:g}"
