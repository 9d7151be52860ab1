"""The simulation of a dask cluster agrees with simple arithmetic, and loses no map."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

FREE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module("scaling_model")


def test_without_costs_the_workers_are_always_busy(model: Any) -> None:
    result = model.simulate(model.Work(1200, 0.02, 3), model.Costs(*FREE))
    assert result.maps == 1200
    assert result.seconds == pytest.approx(8.0, rel=0.01)


def test_loading_delays_each_worker_once(model: Any) -> None:
    result = model.simulate(model.Work(1200, 0.02, 3, load_seconds=2.0), model.Costs(*FREE))
    assert result.seconds == pytest.approx(10.0, rel=0.01)


@pytest.mark.parametrize("costs", [(0.0, 0.0, 0.0, 0.01, 0.0), (0.01, 0.0, 0.0, 0.0, 0.0)])
def test_a_scheduler_or_a_client_that_is_always_busy_limits_the_rate(model: Any, costs: tuple[float, ...]) -> None:
    result = model.simulate(model.Work(2000, 0.1, 100, batch_seconds=0.1), model.Costs(*costs))
    assert result.rate == pytest.approx(100.0, rel=0.05)


def test_batches_of_more_seconds_relieve_the_scheduler(model: Any) -> None:
    costs = model.Costs(0.0, 0.0, 0.0, 0.01, 0.0)
    short, long = (model.simulate(model.Work(20_000, 0.1, 100, seconds), costs).rate for seconds in (0.1, 1.0))
    assert long > 3 * short


def test_maps_of_killed_workers_are_drawn_again(model: Any) -> None:
    work = model.Work(4000, 0.02, 10, spread=0.3, slow=0.2, killed=4)
    result = model.simulate(work, model.Costs(0.001, 0.0001, 0.0, 0.001, 0.0001))
    assert result.maps == 4000
    assert 4 <= result.drawn_twice < 4 * 40
