"""The key of a layer counts its settings and the files that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from regionplot.errors import InputError
from regionplot.layers.base import LayerSettings, settings_digest
from regionplot.settings.base import InputPath, Section


class Icon(Section):
    image: InputPath


class CitySettings(LayerSettings):
    path: InputPath
    more: Annotated[tuple[InputPath, ...], Field(strict=False)] = ()
    icons: dict[str, Icon] = {}  # noqa: RUF012 (pydantic copies it)
    size: float = 5


def write(folder: Path, name: str, text: str = "Denver,-105,39.7") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("changed", ["path", "more", "icon"])
def test_the_content_of_all_files_counts(tmp_path: Path, changed: str) -> None:
    path, more, icon = (write(tmp_path, name) for name in ("path", "more", "icon"))
    settings = CitySettings(path=path, more=[path, more], icons={"capital": Icon(image=icon)})
    before = settings_digest(settings)
    assert settings_digest(settings) == before
    write(tmp_path, changed, "DENVER,-105,39.7")
    assert settings_digest(settings) != before


def test_settings_and_further_values_change_the_digest(tmp_path: Path) -> None:
    path = write(tmp_path, "cities.csv")
    keys = {settings_digest(CitySettings(path=path, size=size), *more) for size in (4, 5) for more in ((), ("wide",))}
    assert len(keys) == 4


def test_an_excluded_file_does_not_change_the_digest(tmp_path: Path) -> None:
    settings = CitySettings(path=write(tmp_path, "cities.csv"))
    before = settings_digest(settings, exclude={"path"})
    write(tmp_path, "cities.csv", "")
    assert settings_digest(settings, exclude={"path"}) == before


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CitySettings(path=write(tmp_path, "cities.csv"))

    def denied(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(InputError, match=r"cities\.csv: cannot be read: Permission denied"):
        settings_digest(settings)
