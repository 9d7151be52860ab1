"""The JSON Schema of regionplot.toml: up to date, and it accepts and rejects what the settings classes do."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import regionplot.settings
from regionplot.registry import LAYERS, STEPS, WRITERS
from regionplot.settings.config import section_names, settings_of
from regionplot.settings.output import FORMATS, OutputSettings
from regionplot.settings.plugins import fields_of
from regionplot.settings.schema import config_schema, schema_text

ROOT = Path(__file__).parents[2]
SHIPPED = Path(regionplot.settings.__path__[0]) / "regionplot.schema.json"
RELIEF = {"path": "sample:relief"}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return config_schema()


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> jsonschema.Draft4Validator:
    jsonschema.Draft4Validator.check_schema(schema)
    return jsonschema.Draft4Validator(schema)


def test_the_shipped_schema_is_up_to_date() -> None:
    """To update it: regionplot schema > regionplot/settings/regionplot.schema.json."""
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == json.loads(schema_text())


def test_the_starter_and_its_commented_settings_are_valid(validator: jsonschema.Draft4Validator) -> None:
    text = (ROOT / "config" / "regionplot.toml").read_text(encoding="utf-8")
    schema_line = re.match(r"#:schema (\S+)\n", text)
    assert schema_line
    assert (ROOT / "config" / schema_line[1]).resolve() == SHIPPED.resolve()
    validator.validate(tomllib.loads(text))
    commented = tomllib.loads(re.sub(r"(?m)^# (?=\w+ = |\[)", "", text))
    assert commented["prepare"][0]["kind"] == "gaussian"
    validator.validate(commented)


@pytest.mark.parametrize(
    ("tables", "place"),
    [
        ({"map": {}}, ""),
        ({"raster": {}}, "raster"),
        ({"raster": RELIEF, "mpa": {}}, ""),
        ({"raster": RELIEF, "map": {"szie": [300, 200]}}, "map"),
        ({"raster": RELIEF, "map": {"size": [300]}}, "map.size"),
        ({"raster": RELIEF, "map": {"size": [300, 10]}}, "map.size.1"),
        ({"raster": RELIEF, "colors": {"classes": [{"value": 1}, {"name": "a"}]}}, "colors.classes.1"),
        ({"raster": RELIEF, "features": {"path": "a.shp"}}, "features"),
        ({"raster": RELIEF, "features": [{"path": "a.shp", "linewidth": "wide"}]}, "features.0.linewidth"),
        ({"raster": RELIEF, "output": {"formats": {}}}, "output"),
        ({"raster": RELIEF, "run": {"timeout": 0}}, "run.timeout"),
        ({"raster": RELIEF, "output": {"png": {"compression": 10}}}, "output.png.compression"),
        ({"raster": RELIEF, "output": {"webp": {"compression": 1}}}, "output.webp"),
        ({"raster": RELIEF, "run": {"workers": "all"}}, "run.workers"),
        ({"raster": RELIEF, "prepare": [{"step": "smooth"}]}, "prepare.0"),
        ({"raster": RELIEF, "prepare": [{"formula": "b1"}]}, "prepare.0"),
        ({"raster": RELIEF, "prepare": [{"step": "focal", "sigma": 0.0}]}, "prepare.0"),
        ({"raster": RELIEF, "prepare": [{"step": "slope", "azimuth": 315}]}, "prepare.0"),
    ],
)
def test_the_schema_finds_faults_at_their_keys(
    validator: jsonschema.Draft4Validator, tables: dict[str, Any], place: str
) -> None:
    (error,) = validator.iter_errors(tables)
    assert ".".join(map(str, error.absolute_path)) == place


def test_each_section_layer_and_step_has_its_keys(schema: dict[str, Any]) -> None:
    assert list(schema["properties"]) == [*section_names(), "products"]
    assert {"features", *LAYERS} <= set(section_names())
    for name in section_names():
        table = schema["properties"][name]
        reference = table.get("items", table).get("$ref", "")
        if name != "prepare":
            keys = schema["definitions"][reference.rpartition("/")[2]]["properties"]
            settings = settings_of(name, {})
            assert settings is not None
            formats = WRITERS if settings is OutputSettings else ()
            assert list(keys) == [*(name for name in fields_of(settings) if name != FORMATS), *formats]
    kinds = [step["properties"]["step"]["enum"] for step in schema["properties"]["prepare"]["items"]["anyOf"]]
    assert kinds == [[name] for name in STEPS]


def test_all_keys_have_descriptions(schema: dict[str, Any]) -> None:
    tables = {**schema["definitions"], **{step: {} for step in STEPS}}
    for step in schema["properties"]["prepare"]["items"]["anyOf"]:
        tables[step["properties"]["step"]["enum"][0]] = step
    keys = {f"{name}.{key}": value for name, table in tables.items() for key, value in table["properties"].items()}
    assert [name for name, key in keys.items() if "$ref" not in key and not key.get("description")] == []
    assert "Hours between two" in keys["RasterSettings.cycle"]["description"]


def test_the_schema_has_no_alternative_that_toml_lacks(schema: dict[str, Any]) -> None:
    assert schema["definitions"]["RasterSettings"]["properties"]["variable"]["type"] == "string"
    assert not re.search(r'"null"|\$defs|prefixItems|"const"', schema_text())


def test_the_command_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    from regionplot.cli.commands import cli

    cli.main(["schema"], standalone_mode=False)
    assert capsys.readouterr().out == schema_text()


@pytest.mark.parametrize(("raster", "is_valid"), [("product:wind", True), ({"band": 1}, True), ("wind", False)])
def test_a_raster_of_an_overlay_can_be_a_product(
    validator: jsonschema.Draft4Validator, raster: Any, is_valid: bool
) -> None:
    tables = {"raster": {"path": "a.tif"}, "contours": [{"interval": 1, "raster": raster}]}
    assert validator.is_valid({**tables, "barbs": [{"u": raster, "v": raster}]}) == is_valid
    assert validator.is_valid({"raster": {"path": "a.tif", "minus": raster}}) == isinstance(raster, dict)
