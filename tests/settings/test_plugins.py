"""Classes in the registry check the tables of layers and steps, also classes of other packages."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regionplot.errors import ConfigError, InputError
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config

RELIEF = {"path": "sample:relief"}

MODULE = """
from pathlib import Path
from typing import Annotated, ClassVar
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from regionplot.layers.base import Layer
from regionplot.prepare.base import StepSettings
from regionplot.settings.base import InputPath, LayerSettings, Section

class StampSettings(LayerSettings):
    text: str = "draft"
    image: InputPath | None = None

class Stamp(Layer):
    Settings = StampSettings

    @classmethod
    def load(cls, settings, context):
        return cls()

class PointSettings(LayerSettings):
    is_array: ClassVar[bool] = True
    tables: Annotated[tuple[Path, ...], Field(strict=False)] | dict[str, Path] = ()
    x: float = 0

class Points(Stamp):
    Settings = PointSettings

@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Aspect(StepSettings):
    step: ClassVar[str] = "aspect"
    option: ClassVar[None] = None
    parse: ClassVar[None] = None
    add_to: ClassVar[None] = None
    size: int = 3
    like: InputPath | None = None
"""
ENTRY_POINTS = """
[regionplot.layers]
stamp = drawn_by_others:Stamp
spots = drawn_by_others:Points
[regionplot.steps]
aspect = drawn_by_others:Aspect
"""


@pytest.fixture(autouse=True)
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that adds two layers and a step."""
    folder = tmp_path / "site"
    information = folder / "drawn_by_others-1.dist-info"
    information.mkdir(parents=True)
    (folder / "drawn_by_others.py").write_text(MODULE)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: drawn-by-others\nVersion: 1\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop("drawn_by_others", None)


def test_the_class_of_a_layer_decides_between_one_table_and_an_array() -> None:
    config = read_config({"raster": RELIEF, "stamp": {"text": "final"}, "spots": [{"x": 1.5}, {}]})
    assert [layer.model_dump()["text"] for layer in config.layers["stamp"]] == ["final"]
    assert [layer.model_dump()["x"] for layer in config.layers["spots"]] == [1.5, 0]
    with pytest.raises(ConfigError, match=r"settings: \[spots\]: must be an array of tables: write \[\[spots\]\]"):
        read_config({"raster": RELIEF, "spots": {"x": 1.5}})
    with pytest.raises(ConfigError, match=r"settings: \[stamp\]: must be a single table: write \[stamp\]"):
        read_config({"raster": RELIEF, "stamp": [{"text": "final"}]})
    with pytest.raises(ConfigError, match=r"settings: \[stamp\]: must be a table with keys and values"):
        read_config({"raster": RELIEF, "stamp": "final"})


def test_a_layer_is_only_accepted_as_a_top_level_table() -> None:
    for name in ("layers", "(layers)"):
        with pytest.raises(ConfigError, match="unknown key"):
            read_config({"raster": RELIEF, name: {"stamp": {}}})


def test_errors_of_all_tables_are_reported_together() -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(
            {
                "raster": {**RELIEF, "bnad": 1},
                "stamp": {"txt": "final"},
                "spots": [{}, {"y": 1}],
                "stmap": {},
                "prepare": [{"step": "aspect", "siz": 1}, {"step": "aspect", "size": "large"}, "aspect"],
            }
        )
    assert sorted(map(str, caught.value.problems)) == [
        "settings: [[prepare]] #1 siz: unknown key; did you mean 'size'?",
        "settings: [[prepare]] #2 size: must be a whole number (it is 'large')",
        "settings: [[prepare]] #3: step is missing; use one of expression, focal, reclassify, mask, hillshade, slope, "
        "convert, scale, resample, reproject, accumulate, aspect (it is 'aspect')",
        "settings: [[spots]] #2 y: unknown key; use one of show, tables, x",
        "settings: [raster] bnad: unknown key; did you mean 'band'?",
        "settings: [stamp] txt: unknown key; did you mean 'text'?",
        "settings: [stmap]: unknown key; did you mean 'stamp'?",
    ]


def test_paths_are_found_by_the_type_of_their_field(tmp_path: Path) -> None:
    (tmp_path / "stamp.png").touch()
    (tmp_path / "like.tif").touch()
    path = tmp_path / "regionplot.toml"
    path.write_text(
        '[raster]\npath = "sample:relief"\n[stamp]\ntext = "a.txt"\nimage = "stamp.png"\n'
        '[[spots]]\ntables = ["a.csv"]\n[[spots]]\ntables = { main = "b.csv" }\n'
        '[[prepare]]\nstep = "aspect"\nlike = "like.tif"\n'
    )
    layers = read_config(path).model_dump()
    assert layers["stamp"] == {"show": True, "text": "a.txt", "image": tmp_path / "stamp.png"}
    assert [layer["tables"] for layer in layers["spots"]] == [(tmp_path / "a.csv",), {"main": tmp_path / "b.csv"}]
    assert read_config(path).prepare[0].like == tmp_path / "like.tif"
    (tmp_path / "like.tif").unlink()
    with pytest.raises(InputError, match=rf":12: \[\[prepare\]\] #1 like: there is no file {tmp_path / 'like.tif'}"):
        read_config(path)


def test_a_config_with_plug_ins_pickles_and_round_trips() -> None:
    tables = {"raster": RELIEF, "stamp": {"text": "final"}, "spots": [{"x": 1.5}], "prepare": [{"step": "aspect"}]}
    config = read_config(tables)
    assert pickle.loads(pickle.dumps(config)) == config
    assert read_config(config.model_dump()) == config
    assert Config.model_validate(config.model_dump()) == config
    assert config.model_dump(mode="json")["prepare"] == [{"step": "aspect", "size": 3, "like": None}]
    assert read_config({"raster": RELIEF, "stamp": config.layers["stamp"][0]}).layers == {
        "stamp": config.layers["stamp"]
    }


def test_only_plug_ins_that_the_settings_name_are_imported() -> None:
    read_config({"raster": RELIEF, "features": [{"path": "sample:states"}]})
    assert "drawn_by_others" not in sys.modules
