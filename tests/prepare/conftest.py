"""Fixtures of the tests of raster steps."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def unit_registry() -> Any:
    import pint

    return pint.UnitRegistry()


@pytest.fixture(autouse=True)
def _one_unit_registry(unit_registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all conversions use one registry of units. pint needs 0.2 s to make a registry."""
    monkeypatch.setattr("pint.UnitRegistry", lambda: unit_registry)
