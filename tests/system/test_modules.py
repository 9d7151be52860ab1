"""A module of the user is imported as its source file is now."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regionplot.system.modules import load_module


@pytest.fixture(autouse=True)
def _restored_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def test_a_change_in_the_same_second_is_imported(tmp_path: Path) -> None:
    """Python would use the old bytecode, because size and second of the change are the same."""
    for value in range(5):
        (tmp_path / "own_plots.py").write_text(f"from own_helper import VALUE\n# {value}\n")
        (tmp_path / "own_helper.py").write_text(f"VALUE = {value}\n")
        module = load_module("own_plots", tmp_path)
        assert vars(module)["VALUE"] == value
    assert not list(tmp_path.rglob("*.pyc"))
    assert sys.dont_write_bytecode is False
