"""Names of regions become names of files that the system can store."""

from __future__ import annotations

import os

import pytest

from regionplot.errors import RegionsError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.filenames import assign_file_names


def test_names_that_the_encoding_of_file_names_lacks_are_reported_together(monkeypatch, make_config) -> None:
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("latin-1"))
    regions = [Region(name, Extent(0, 1, 0, 1), origin=f"r.csv:{line}") for line, name in enumerate("aéłш", 2)]
    config = make_config()
    with pytest.raises(RegionsError) as caught:
        assign_file_names(regions, config)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["r.csv:4", "ł.png"], ["r.csv:5", "ш.png"]]
    assert all(
        line.endswith("lacks a character of this name; set the environment variable PYTHONUTF8=1") for line in lines
    )
    assert [name for _, name in assign_file_names(regions[:2], config)] == ["a.png", "é.png"]
