"""Faults of the command line of `regionplot serve`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regionplot.cli import commands

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the service needs Linux")


def test_without_settings_the_command_says_what_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert commands.run(["serve"]) == 2
    assert "give --config FILE or --raster PATH" in capsys.readouterr().err


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert commands.run(["serve", "--raster", "sample:relief"]) == 2
    assert "pip install starlette uvicorn" in capsys.readouterr().err


def test_an_address_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["serve", "--raster", "sample:relief", "--bind", "8080"]) == 2
    assert "HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "1000", "-1", "1.5", "two", ""])
def test_a_number_of_workers_that_is_none_is_refused_without_a_line_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    (tmp_path / "regionplot.toml").write_text('[raster]\npath = "a.tif"\n[serve]\nworkers = 2\n')
    monkeypatch.chdir(tmp_path)
    assert commands.run(["serve", "--workers", number]) == 2
    assert "regionplot: [serve] workers: must be" in capsys.readouterr().err
