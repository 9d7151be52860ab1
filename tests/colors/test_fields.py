"""Scales of the package: chosen by the quantity in the raster, if the metadata identify it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from regionplot.colors.check import reading_problems
from regionplot.colors.classes import Classes
from regionplot.colors.shipped import palette_names, scale_names, scale_settings
from regionplot.colors.units import unit_name
from regionplot.errors import ConfigError
from regionplot.inputs.array import ArraySource
from regionplot.settings.colors import ColorSettings
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.shared.load import DrawnRaster

VALUES = np.array([[1, 2], [3, 4]], np.float32)


def effective(path: Path, **colors: Any) -> ColorSettings:
    return DrawnRaster.of(read_config({"raster": {"path": path}, "colors": colors})).config.colors


@pytest.mark.parametrize(
    ("standard_name", "units", "shown", "first"),
    [
        ("air_temperature", "K", "degC", -50),
        ("air_temperature", "degF", "degF", -60),
        ("sea_surface_temperature", "kelvin", "degC", -2),
        ("air_pressure_at_mean_sea_level", "Pa", "hPa", 960),
        ("precipitation_amount", "kg m-2", "mm", 0.2),
        ("precipitation_flux", "kg m-2 s-1", "mm/h", 0.1),
        ("surface_snow_thickness", "m", "cm", 1),
        ("relative_humidity", "1", "%", 0),
        ("wind_speed", "knots", "kt", 0),
        ("equivalent_reflectivity_factor", "dBZ", "dBZ", 5),
    ],
)
def test_the_standard_name_and_the_units_choose_the_scale(
    standard_name: str, units: str, shown: str, first: float, write_raster
) -> None:
    path = write_raster(VALUES, tags={"standard_name": standard_name, "units": units})
    found = effective(path)
    assert (found.units, found.levels and found.levels[0]) == (shown, first)


@pytest.mark.parametrize(
    "tags",
    [
        {"standard_name": "air_temperature", "units": "m"},
        {"standard_name": "air_temperature"},
        {"units": "K"},
        {"units": "m"},
        {"standard_name": "surface_upward_heat_flux", "units": "W m-2"},
        {"standard_name": "tendency_of_air_temperature", "units": "K s-1"},
        {"long_name": "Elevation of the sun", "units": "degree"},
    ],
)
def test_no_scale_is_chosen_for_an_ambiguous_quantity(tags: dict[str, str], write_raster) -> None:
    path = write_raster(VALUES, tags=tags)
    config = read_config({"raster": {"path": path}})
    assert DrawnRaster.of(config).config is config


@pytest.mark.parametrize("name", ["Elevation", "bathymetry", "Relief of the surface of the earth"])
def test_relief_is_drawn_as_relief(name: str, write_raster) -> None:
    path = write_raster(VALUES, tags={"long_name": name, "units": "m"})
    found = effective(path)
    assert found.is_ramp
    assert found.units == "m"


def test_an_anomaly_has_a_center(write_raster) -> None:
    found = effective(write_raster(VALUES, tags={"standard_name": "air_temperature_anomaly", "units": "K"}))
    assert (found.colormap, found.diverging, found.units) == ("vik", 0, None)


@pytest.mark.parametrize(
    "colors",
    [
        {"colormap": "magma"},
        {"levels": [0, 1]},
        {"vmin": 0},
        {"norm": "sqrt"},
        {"field": False},
        {"colors": ["red", "blue"]},
    ],
)
def test_the_settings_of_the_user_have_priority(colors: dict[str, Any], write_raster) -> None:
    path = write_raster(VALUES, tags={"standard_name": "air_temperature", "units": "K"})
    config = read_config({"raster": {"path": path}, "colors": colors})
    assert DrawnRaster.of(config).config is config


def test_single_keys_of_the_user_are_kept(write_raster) -> None:
    path = write_raster(VALUES, tags={"standard_name": "air_temperature", "units": "K"})
    found = effective(path, under="none", label="T", units="degF", ticks=[0, 32])
    assert (found.under, found.label, found.units, found.ticks) == ("none", "T", "degF", (0, 32))
    assert found.levels is not None
    assert found.levels[0] == -60


def test_other_units_convert_the_levels(write_raster) -> None:
    path = write_raster(VALUES, tags={"standard_name": "air_pressure_at_mean_sea_level", "units": "Pa"})
    found = effective(path, units="kPa")
    assert found.levels is not None
    assert (found.levels[0], found.levels[-1]) == (96, 105)


def test_stored_numbers_are_not_a_quantity(write_raster) -> None:
    path = write_raster(VALUES, tags={"standard_name": "air_temperature", "units": "K"})
    config = read_config({"raster": {"path": path, "mask_and_scale": False}})
    assert DrawnRaster.of(config).config is config


def test_a_scale_is_chosen_by_its_name_for_a_raster_without_units(write_raster) -> None:
    found = effective(write_raster(VALUES), colormap="nws:temperature")
    assert (found.units, found.colormap) == (None, None)
    assert found.levels is not None
    assert found.levels[0] == -50


def test_limits_of_the_user_use_only_the_colors_of_a_scale(write_raster) -> None:
    path = write_raster(VALUES)
    shared = read_config({"raster": {"path": path}, "colors": {"colormap": "nws:temperature", "levels": [0, 2, 4]}})
    assert DrawnRaster.of(shared).config is shared


@pytest.mark.parametrize(("units", "levels"), [("m", [-3000, 0, 100, 1000]), ("ft", [-10000, 0, 300, 3000])])
def test_levels_of_relief_keep_blue_for_heights_below_zero(units: str, levels: list[float], write_raster) -> None:
    """The colors of relief belong to heights, so a class gets the color of the height at its middle."""
    path = write_raster(VALUES, tags={"units": units})
    config = read_config({"raster": {"path": path}, "colors": {"colormap": "relief", "levels": levels}})
    scale: Any = SharedData.load(config).scale
    palette = scale.palette  # the first row is the color below the levels
    assert [int(np.argmax(row[:3])) for row in palette[1:3]] == [2, 1]  # blue, green
    assert DrawnRaster.of(config).config.colors.levels == tuple(levels)


def test_an_array_in_memory_is_identified_by_its_attributes() -> None:
    data = xr.DataArray(
        VALUES, dims=("y", "x"), coords={"y": [41.0, 40.0], "x": [-100.0, -99.0]},
        attrs={"standard_name": "air_temperature", "units": "K"},
    )  # fmt: skip
    data = data.rio.write_crs("EPSG:4326")
    config = read_config({"raster": {"path": "sample:relief"}})
    assert DrawnRaster.of(config, ArraySource.of(data)).config.colors.units == "degC"


@pytest.mark.parametrize("name", scale_names())
def test_each_scale_is_valid_and_can_be_followed_by_all_readers(name: str, write_raster) -> None:
    path = write_raster(VALUES)
    for units, keys in scale_settings(name).items():
        assert not units or unit_name(units) == units
        ColorSettings(**keys)
        config = read_config({"raster": {"path": path}, "colors": dict(keys)})
        assert not list(reading_problems(None, config))


@pytest.mark.parametrize("name", palette_names())
def test_each_color_table_can_be_followed_by_all_readers(name: str, write_raster) -> None:
    config = read_config({"raster": {"path": write_raster(VALUES)}, "colors": {"colormap": name}})
    assert not list(reading_problems(None, config))


@pytest.mark.parametrize("name", ["jet", "RdYlGn", "nipy_spectral"])
def test_scales_that_color_blind_readers_cannot_follow_are_named(name: str, write_raster) -> None:
    config = read_config({"raster": {"path": write_raster(VALUES)}, "colors": {"colormap": name}})
    assert any("deuteranopia" in problem.message for problem in reading_problems(None, config))


def test_lines_that_do_not_stand_out_are_named(write_raster) -> None:
    lines = [{"path": "sample:states", "edgecolor": color} for color in ("#202020", "#f0f000", "#ffffff00")]
    colors = {"levels": [0, 1, 2], "colors": ["#f4f420", "#2040a0"]}
    config = read_config({"raster": {"path": write_raster(VALUES)}, "colors": colors, "features": lines})
    found = [problem for problem in reading_problems(None, config) if problem.place.section == "features"]
    assert [problem.place.number for problem in found] == [2]
    assert "the colors of 0 to 1;" in found[0].message


def flags(path_of: Any, **attributes: Any) -> Any:
    values = np.array([[0, 1, 2], [2, 1, 1]], np.int8)
    texts = {"flag_values": "{0,1,2}", "flag_meanings": "water_body forest town", **attributes}
    return path_of(values, tags={key: value for key, value in texts.items() if value})


def test_cf_flags_are_classes(write_raster) -> None:
    path = flags(write_raster, flag_colors="#0000ff #00ff00 #ff0000")
    found = DrawnRaster.of(read_config({"raster": {"path": path}})).coloring
    assert isinstance(found, Classes)
    assert [(item.value, item.color, item.name) for item in found.shown] == [
        (0, "#0000ffff", "water body"), (1, "#00ff00ff", "forest"), (2, "#ff0000ff", "town")
    ]  # fmt: skip


def test_cf_flags_without_colors_have_different_colors(write_raster) -> None:
    found = DrawnRaster.of(read_config({"raster": {"path": flags(write_raster)}})).coloring
    assert isinstance(found, Classes)
    assert len({item.color for item in found.shown}) == 3


@pytest.mark.parametrize(
    "attributes",
    [
        {"flag_values": "{0,1}"},
        {"flag_values": "{0,1,1}"},
        {"flag_values": "{0,1,1.5}"},
        {"flag_values": ""},
        {"units": "m"},
        {"valid_range": "{3,100}"},
    ],
)
def test_attributes_that_do_not_describe_classes_are_ignored(attributes: dict[str, str], write_raster) -> None:
    path = flags(write_raster, **attributes)
    assert DrawnRaster.of(read_config({"raster": {"path": path}})).coloring is None


def test_bit_flags_are_refused_unless_numbers_are_wanted(write_raster) -> None:
    path = flags(write_raster, flag_values="", flag_masks="{1,2,4}")
    with pytest.raises(ConfigError, match="each bit of the values is a flag"):
        DrawnRaster.of(read_config({"raster": {"path": path}}))
    numbers = read_config({"raster": {"path": path}, "colors": {"colormap": "viridis"}})
    assert DrawnRaster.of(numbers).coloring is None


def test_flags_of_unsigned_bytes_are_classes(write_netcdf) -> None:
    values = np.array([[0, 10, -56], [10, 10, -56]], np.int8)
    attributes = {
        "flag_values": np.array([0, 10, -56], np.int8), "flag_meanings": "none crop city", "_Unsigned": "true",
    }  # fmt: skip
    path = write_netcdf(
        lat=(np.array([50.0, 49.0]), {"units": "degrees_north"}),
        lon=(np.array([-100.0, -99.0, -98.0]), {"units": "degrees_east"}),
        cover=(values, attributes),
    )
    found = DrawnRaster.of(read_config({"raster": {"path": path}})).coloring
    assert isinstance(found, Classes)
    assert {item.value: item.name for item in found.shown} == {0: "none", 10: "crop", 200: "city"}


def test_flags_of_an_array_in_memory_are_classes() -> None:
    data = xr.DataArray(
        VALUES.astype(np.int16), dims=("y", "x"), coords={"y": [41.0, 40.0], "x": [-100.0, -99.0]},
        attrs={"flag_values": np.array([1, 2, 3, 4], np.int16), "flag_meanings": "a b c d"},
    )  # fmt: skip
    data = data.rio.write_crs("EPSG:4326")
    found = DrawnRaster.of(read_config({"raster": {"path": "sample:relief"}}), ArraySource.of(data)).coloring
    assert isinstance(found, Classes)
    assert [item.name for item in found.shown] == ["a", "b", "c", "d"]


def test_a_scale_of_the_package_needs_no_matplotlib(write_raster, light_process, tmp_path) -> None:
    path = write_raster(VALUES, tags={"standard_name": "air_temperature", "units": "K"})
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom regionplot.settings.loading import read_config\n"
        "from regionplot.shared.data import SharedData\n"
        f"SharedData.load(read_config({{'raster': {{'path': {str(path)!r}}}}})).scale\n"
        "print('matplotlib' in sys.modules)"
    )
    with light_process.start(tmp_path, script=script) as loading:
        assert loading.communicate(timeout=100) == ("False\n", "")
