"""A style gives settings that the user's settings do not give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import regionplot.cli
from regionplot.colors.check import color_problems
from regionplot.errors import ConfigError, InputError
from regionplot.layers.stack import all_layers
from regionplot.settings.loading import read_config
from regionplot.settings.places import Places
from regionplot.settings.styles import STYLES, styled

RASTER = {"raster": {"path": "sample:relief"}}


def names(config: Any) -> set[str]:
    return {planned.name for planned in all_layers(config)}


def test_the_plain_style_changes_nothing() -> None:
    config = read_config(RASTER)
    assert config.map.style == "plain"
    assert read_config({**RASTER, "map": {"style": "plain"}}).model_dump() == config.model_dump()


def test_settings_take_precedence_over_the_style_key_by_key() -> None:
    config = read_config({**RASTER, "map": {"style": "atlas", "subtitle": "Height"}, "sheet": {"margin": 30}})
    assert config.map.subtitle == "Height"
    assert (config.sheet.margin, config.sheet.colorbar, config.sheet.font) == (30, "short", "Source Sans 3")
    assert {"graticule", "scale_bar"} <= names(config)


def test_show_turns_a_layer_of_the_style_off() -> None:
    config = read_config({**RASTER, "map": {"style": "atlas"}, "scale_bar": {"show": False}})
    assert "scale_bar" not in names(config)
    assert "graticule" in names(config)


def test_vector_layers_get_the_settings_of_their_kind() -> None:
    features = [
        {"path": "sample:states", "kind": "states"},
        {"path": "sample:counties", "kind": "counties", "linewidth": 3},
        {"path": "sample:states", "kind": ""},
    ]
    config = read_config({**RASTER, "map": {"style": "atlas"}, "features": features})
    found: Any = config.layers["features"]
    states, counties, plain = found
    assert (states.edgecolor, states.linewidth) == ("#2a2a32e6", 1.1)
    assert (counties.edgecolor, counties.linewidth) == ("#3b33404d", 3)
    assert (plain.edgecolor, plain.linewidth) == ("black", 0.6)


@pytest.mark.parametrize(
    ("name", "layer", "linewidth"),
    [
        ("us_counties.shp", None, 0.4),
        ("cb_2018_us_county_20m.zip", None, 0.4),
        ("ne_50m_admin_1_states_provinces.shp", None, 1.1),
        ("Canada_Provinces.shp", None, 1.1),
        ("ne_10m_coastline.shp", None, 0.7),
        ("world.gpkg", "lakes", 0.5),
        ("estates.geojson", None, 0.7),
        ("roads.geojson", None, 0.7),
    ],
)
def test_the_kind_of_a_layer_is_known_from_its_name(name: str, layer: str | None, linewidth: float) -> None:
    tables = {"map": {"style": "atlas"}, "features": [{"path": Path("/data", name), "layer": layer}]}
    features = styled(Places(), tables)[1]["features"]
    assert features[0]["linewidth"] == linewidth
    assert "max_scale" not in features[0]


def test_the_first_settings_file_uses_the_atlas_style() -> None:
    config = read_config(Path(regionplot.cli.__file__).parent / "starter" / "regionplot.toml")
    assert (config.map.style, config.sheet.colorbar) == ("atlas", "short")


def test_each_product_can_have_its_own_style() -> None:
    products = {"a": {"map": {"style": "atlas"}}, "b": {"sheet": {"margin": 4}}}
    config = read_config({**RASTER, "products": products})
    assert [own.sheet.margin for own in config.products.values()] == [17.3, 4]


def test_a_style_of_the_user_is_a_file_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text('[sheet]\ncolor = "navy"\n[kinds.roads]\nlinewidth = 2\n')
    settings = tmp_path / "regionplot.toml"
    settings.write_text(
        '[raster]\npath = "sample:relief"\n[map]\nstyle = "ours.toml"\n'
        '[[features]]\npath = "sample:states"\nkind = "roads"\n'
    )
    config = read_config(settings)
    assert config.sheet.color == "navy"
    features: Any = config.layers["features"]
    assert features[0].linewidth == 2


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("[raster]\nband = 2\n", r"ours.toml:1: \[raster\]: a style cannot have this table; move it to your settings"),
        ("[sheet\n", r"ours.toml:1: "),
        ("[sheet]\ncolour = 1\n", r"ours.toml:2: \[sheet\] colour: unknown key; did you mean 'color'"),
        ("[kinds.states]\nwidth = 1\n", r"ours.toml:2: \[kinds.states\] width: unknown key"),
        ("[kinds.roads]\nlinewidth = 1\n", r"\[\[features\]\] #1 kind: the style has no kind 'states'; use roads"),
    ],
)
def test_faults_of_a_style_are_named(tmp_path: Path, style: str, message: str) -> None:
    (tmp_path / "ours.toml").write_text(style)
    features = [{"path": "sample:states", "kind": "states"}]
    with pytest.raises(ConfigError, match=message):
        read_config({**RASTER, "map": {"style": tmp_path / "ours.toml"}, "features": features})


def test_a_missing_style_is_an_error_that_lists_the_styles() -> None:
    with pytest.raises(
        InputError, match=r"\[map\] style: there is no style and no file .*fancy; use plain, atlas or a file"
    ):
        read_config({**RASTER, "map": {"style": "fancy"}})
    assert set(STYLES) == {"plain", "atlas"}


def test_a_kind_that_the_style_lacks_is_reported() -> None:
    features = [{"path": "sample:states", "kind": "states"}, {"path": "sample:states", "kind": "stattes"}]
    with pytest.raises(ConfigError, match=r"\[\[features\]\] #2 kind: the style has no kind 'stattes'; use states, "):
        read_config({**RASTER, "map": {"style": "atlas"}, "features": features})
    read_config({**RASTER, "features": features})  # the plain style has no kinds


@pytest.mark.parametrize("key", ["color", "line_color", "faint_color"])
def test_unknown_colors_of_the_sheet_are_reported(key: str) -> None:
    problems = color_problems(read_config({**RASTER, "sheet": {key: "nocolor"}}))
    assert [str(each) for each in problems] == [f"[sheet] {key}: 'nocolor' is not a color; write a name or '#rrggbb'"]


def test_paths_in_a_style_are_relative_to_the_style(tmp_path: Path) -> None:
    folder = tmp_path / "styles"
    folder.mkdir()
    (folder / "colors.clr").write_text("1 10 20 30\n2 40 50 60\n")
    (folder / "ours.toml").write_text('[colors]\nfile = "colors.clr"\n')
    config = read_config({**RASTER, "map": {"style": folder / "ours.toml"}})
    assert config.colors.file == folder / "colors.clr"


def test_a_projection_with_keywords_is_replaced_as_a_whole() -> None:
    lambert = {"name": "LambertConformal", "standard_parallels": [33, 45]}
    mercator = {"name": "Mercator"}
    products = {"a": {"map": {"projection": mercator}}, "b": {"output": {"png": {"mode": "rgb"}}}}
    output = {"png": {"compression": 6}}
    config = read_config({**RASTER, "map": {"projection": lambert}, "output": output, "products": products})
    own, other = config.products.values()
    assert (own.map.projection, other.map.projection) == (mercator, lambert)
    assert other.output.settings_of("png").model_dump() == {"mode": "rgb", "compression": 6}
