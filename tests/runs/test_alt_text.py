"""Alternative text says what a map shows, in plain words."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.alt_text import alt_text
from regionplot.shared.numbers import RegionNumbers

REGION = Region("co", Extent(-109, -102, 37, 41), title="Colorado")
NUMBERS = RegionNumbers(
    "cells", 90, 90, 996.04, 1013.26, 1005.5, above=0.004, min_at=(-105.04, 38.96), max_at=(12.35, -33.44), units="hPa"
)


def _text(found: RegionNumbers, above: float | None = None, label: str | None = None, **description: str) -> str:
    settings = SimpleNamespace(statistics=SimpleNamespace(above=above), colors=SimpleNamespace(label=label))
    shared: Any = SimpleNamespace(config=settings, description={"long_name": "pressure", **description})
    return alt_text(shared, REGION, found)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "highest 1013 hPa near 33.4 S 12.3 E, lowest 996 hPa near 39.0 N 105.0 W, mean 1006 hPa"),
        ({"time": "2026-03-10T06:00:00Z", "max": 996.04}, "996 hPa everywhere"),
        ({"max_at": None, "min_at": None, "units": "1", "min": 0.0123}, "highest 1013, lowest 0.0123, mean 1006"),
        ({"total": 120, "max": 996.04}, "996 hPa everywhere; 25 % without data"),
        ({"count": 0}, "no data"),
        ({"mean": float("nan")}, "highest 1013 hPa near 33.4 S 12.3 E, lowest 996 hPa near 39.0 N 105.0 W"),
        ({"classes": {"Forest": 0.7512, "Water": 0.2487}, "total": 91}, "Forest 75 %, Water 25 %, 1 % without data"),
        ({"max": float("nan")}, "a picture in true color"),
        ({"units": "degF", "min": -3.25, "max": 99.96, "mean": -0.0, "max_at": None, "min_at": None},
         "highest 100 °F, lowest -3.25 °F, mean 0 °F"),
    ],
)  # fmt: skip
def test_the_text_states_the_extremes_and_missing_data(changes: dict[str, Any], expected: str) -> None:
    time = ", valid 2026-03-10 06:00 UTC" if "time" in changes else ""
    assert _text(replace(NUMBERS, **changes)) == f"Pressure, Colorado{time}: {expected}."


def test_the_label_of_the_colors_is_the_name_of_the_quantity() -> None:
    assert _text(NUMBERS, label="Pressure at sea level (hPa)").startswith("Pressure at sea level, Colorado: ")


@pytest.mark.parametrize(
    ("share", "expected"), [(0, "0 %"), (0.004, "less than 1 %"), (0.5, "50 %"), (0.9999, "99 %"), (1, "100 %")]
)
def test_shares_are_not_rounded_to_none_or_all(share: float, expected: str) -> None:
    assert _text(replace(NUMBERS, above=share), above=1000.0).endswith(f"; {expected} above 1000 hPa.")
