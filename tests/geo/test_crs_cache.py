"""Test the cache of functions of CRSs."""

from __future__ import annotations

import pyproj
import pytest

from regionplot.geo.crs_cache import crs_cache

WKT = pyproj.CRS("EPSG:5070").to_wkt()


def test_the_same_and_equal_crss_share_a_result_and_others_do_not() -> None:
    calls: list[tuple[str, float]] = []

    @crs_cache(8)
    def described(crs: pyproj.CRS, number: float) -> str:
        calls.append((crs.name, number))
        return f"{crs.name} {number}"

    albers, equal, other = pyproj.CRS(WKT), pyproj.CRS(WKT), pyproj.CRS("EPSG:3857")
    assert described(albers, 1.0) == described(equal, 1.0) == described(albers, 1.0) == f"{albers.name} 1.0"
    assert described(albers, 2.0) == f"{albers.name} 2.0"
    assert described(other, 1.0) == f"{other.name} 1.0"
    assert calls == [(albers.name, 1.0), (albers.name, 2.0), (other.name, 1.0)]


def test_the_hash_of_the_same_crs_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes: list[object] = []
    real = pyproj.CRS.__hash__
    monkeypatch.setattr(pyproj.CRS, "__hash__", lambda crs: hashes.append(crs) or real(crs))
    cached = crs_cache(8)(lambda crs, number: f"{crs.name} {number}")
    albers = pyproj.CRS(WKT)
    for number in (1, 1, 2, 3):
        cached(albers, number)
    assert len(hashes) == 1


def test_errors_are_not_kept_and_results_are_limited() -> None:
    calls: list[int] = []

    @crs_cache(2)
    def failing(crs: pyproj.CRS, number: int) -> int:
        calls.append(number)
        if len(calls) == 1:
            raise ValueError(crs.name)
        return number

    albers = pyproj.CRS(WKT)
    with pytest.raises(ValueError, match="Albers"):
        failing(albers, 1)
    assert [failing(albers, number) for number in (1, 2, 3, 1)] == [1, 2, 3, 1]
    assert calls == [1, 1, 2, 3, 1]
