"""Settings are read and checked. All faults are reported together, with their places."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionplot.errors import ConfigError, InputError
from regionplot.layers.features import FeatureSettings
from regionplot.settings.base import Section
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config

RELIEF = {"path": "sample:relief"}


def write(folder: Path, text: str) -> Path:
    path = folder / "regionplot.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_only_the_raster_is_required() -> None:
    config = read_config({"raster": RELIEF})
    assert config.map.projection == "raster"
    assert config.output.filename == "{name}.png"
    assert config.output.directory == Path.cwd() / "output"
    assert config.raster.path.name == "relief.tif"


def test_the_example_config_is_valid_and_its_comments_are_the_defaults() -> None:
    text = (Path(__file__).parents[2] / "config" / "regionplot.toml").read_text()
    config = read_config(Path(__file__).parents[2] / "config" / "regionplot.toml")
    assert [layer.path.name for layer in config.layers["features"]] == [
        "counties.shp.zip",
        "countries.shp.zip",
        "states.shp.zip",
    ]
    assert f"# timeout = {config.run.timeout:g} " in text
    assert f"# maps_per_worker = {config.run.maps_per_worker} " in text


def test_all_problems_are_reported_together_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[raster]\npath = "sample:relief"\n\n[map]\nszie = [10, 10]\ndpi = "fine"\n\n[[features]]\n'
        'path = "sample:states"\n\n[[features]]\npath = "sample:states"\nlinewith = 2\n[nonsense]\n',
    )
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    problems = [str(problem) for problem in caught.value.problems]
    assert caught.value.exit_code == 2
    assert len(problems) == 4
    assert f"{path}:5: [map] szie: unknown key; did you mean 'size'?" in problems
    assert any(p.startswith(f"{path}:6: [map] dpi: ") and "'fine'" in p for p in problems)
    assert f"{path}:13: [[features]] #2 linewith: unknown key; did you mean 'linewidth'?" in problems
    assert any(p.startswith(f"{path}:14: [nonsense]: unknown key; use one of raster") for p in problems)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({}, r"\[raster\]: is required, but missing"),
        ({"raster": "relief.tif"}, r"\[raster\]"),
        ({"raster": {**RELIEF, "band": 1.5}}, r"\[raster\] band: .*\(it is 1.5\)"),
        ({"map": {"size": [10, 10]}}, r"\[map\] size: .*100"),
        ({"map": {"size": [20_000, 20_000]}}, "more than 100,000,000 pixels"),
        ({"map": {"size": [800]}}, r"\[map\] size"),
        ({"map": {"size": "big"}}, r"\[map\] size"),
        ({"map": {"dpi": True}}, r"\[map\] dpi"),
        ({"map": {"title": "{x.__class__}"}}, "plain field name"),
        ({"map": {"title": "x" * 3000}}, r"\[map\] title: .*2000"),
        ({"map": {"fit": "tight"}}, r"\[map\] fit: .*'datalim' or 'exact'"),
        ({"colors": {"levels": [1, 3, 2]}}, "levels must increase, but 2 follows 3"),
        ({"colors": {"levels": [1]}}, "levels"),
        ({"colors": {"levels": [0, 1], "vmin": 0}}, "either levels, or vmin"),
        ({"colors": {"vmin": 2, "vmax": 2}}, "vmin 2 must be less than vmax 2"),
        ({"colors": {"vmin": 0, "vmax": 2, "norm": "log"}}, "log norm needs"),
        ({"colors": {"vmin": float("nan")}}, r"\[colors\] vmin: .*finite"),
        ({"colors": {"levels": [0.0, float("inf")]}}, r"\[colors\] levels: .*finite"),
        ({"colors": {"classes": []}}, r"\[colors\] classes: .*at least 1"),
        ({"colors": {"classes": [{"color": "red"}]}}, r"\[colors\] classes #1 value: is required, but missing"),
        ({"colors": {"classes": [{"value": 1}, {"value": 1.5}]}}, r"\[colors\] classes #2 value: .*\(it is 1.5\)"),
        ({"colors": {"classes": [{"value": 1, "colour": "red"}]}}, r"classes #1 colour: .*did you mean 'color'"),
        ({"colors": {"classes": [{"value": 3}, {"value": 4}, {"value": 3}]}}, "#1 and #3 have the same value, 3"),
        ({"colors": {"classes": [{"value": 3}, {"value": 2_000_000}]}}, "3 and 2000000 are more than 1,000,000 apart"),
        ({"colors": {"classes": [{"value": 3}], "levels": [1, 2]}}, r"\[colors\].*: give either classes, or colormap"),
        ({"colors": {"classes": [{"value": 3}], "colormap": "viridis"}}, "give either classes, or colormap"),
        ({"map": {"dpi": float("inf")}}, r"\[map\] dpi: .*finite"),
        ({"features": {"path": "sample:states"}}, r"\[features\]"),
        ({"features": [{"path": "sample:states", "linewidth": -1}]}, r"\[\[features\]\] #1 linewidth"),
        ({"output": {"filename": "{name}.gif"}}, r"\[output\] filename: the suffix .* one of .png, .webp, .pdf, .svg"),
        ({"output": {"filename": "{name}"}}, r"\[output\] filename: the suffix of the file name sets the format"),
        ({"output": {"png": {"mode": "gray"}}}, r"\[output.png\] mode: .*'auto', 'palette' or 'rgb'"),
        ({"output": {"webp": {"qualty": 3}}}, r"\[output.webp\] qualty: unknown key; did you mean 'quality'\?"),
        ({"output": {"gif": {}}}, r"\[output\] gif: unknown key"),
        ({"output": {"png_compression": 10}}, r"\[output.png\] compression: .*less than or equal to 9"),
        ({"output": {"png": "gray"}}, r"\[output.png\] mode: .*'auto', 'palette' or 'rgb'"),
        ({"run": {"workers": 0}}, r"\[run\] workers"),
        ({"run": {"start_method": "thread"}}, r"\[run\] start_method"),
    ],
)  # fmt: skip
def test_wrong_values_are_rejected(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config({"raster": RELIEF, **sections} if sections else {})


def test_only_missing_files_are_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\[raster\] path: there is no file .*nowhere.tif") as caught:
        read_config({"raster": {"path": tmp_path / "nowhere.tif"}})
    assert caught.value.exit_code == 3
    with pytest.raises(InputError, match="there is no sample file 'releif'; the files are: "):
        read_config({"raster": {"path": "sample:releif"}})


def test_a_missing_file_among_other_faults_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config({"raster": {"path": tmp_path / "nowhere.tif"}, "map": {"dpi": 1}})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[raster]\npath = \n", r"not valid TOML: .*line 2"),
        (b"[raster]\npath = 'a'\npath = 'b'\n", r"not valid TOML: .*line 3"),
        (b"[colors]\nlevels = " + b"[" * 5000, "not valid TOML"),
        (b"[raster]\npath = '\xff'\n", "byte 17 is not UTF-8"),
    ],
)
def test_files_that_are_not_toml_are_rejected(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml: No such file"):
        read_config(tmp_path / "none.toml")


def test_paths_are_relative_to_the_file_and_override_paths_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.tif").write_bytes(b"x")
    path = write(tmp_path, '\ufeff[raster]\npath = "data/a.tif"\n[output]\ndirectory = "../maps"\n')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    config = read_config(path)
    assert config.raster.path == tmp_path / "data" / "a.tif"
    assert config.output.directory == tmp_path.parent / "maps"
    assert read_config(path, {"output": {"directory": "here"}}).output.directory == elsewhere / "here"


def test_overrides_replace_key_by_key() -> None:
    base = {"raster": RELIEF, "map": {"dpi": 50, "title": "kept"}, "features": [{"path": "sample:states"}]}
    config = read_config(base, {"map": {"dpi": 80}, "features": []})
    assert (config.map.dpi, config.map.title, config.layers) == (80, "kept", {})


def test_a_path_in_the_home_of_an_unknown_user_is_a_missing_file() -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_config({"raster": {"path": "~nobody-of-that-name/relief.tif"}})


levels = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20, unique=True).map(sorted)


@given(levels, st.tuples(st.integers(100, 3000), st.integers(100, 3000)), st.floats(20, 1200))
def test_configs_pickle_and_round_trip(limits: list[float], size: tuple[int, int], dpi: float) -> None:
    """Workers that cannot inherit the data receive a pickled config."""
    sections = {"colors": {"levels": limits}, "map": {"size": list(size), "dpi": dpi}, "raster": RELIEF}
    config = read_config({**sections, "features": [{"path": "sample:states", "facecolor": "red"}]})
    check_round_trip(config)
    assert isinstance(config.layers["features"][0], FeatureSettings)


def test_classes_pickle_and_round_trip() -> None:
    classes = [{"value": 11, "color": "#466b9f", "name": "Open water"}, {"value": 12}]
    config = read_config({"raster": RELIEF, "colors": {"classes": classes}})
    check_round_trip(config)
    assert config.colors.classes is not None
    assert config.colors.classes[0].name == "Open water"
    assert not config.colors.is_numeric_scale


def check_round_trip(config: Config) -> None:
    assert pickle.loads(pickle.dumps(config)) == config
    assert Config.model_validate(config.model_dump()) == config
    assert read_config(config.model_dump()) == config


def test_a_size_with_one_number_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"\[map\] size: has only 1 value; give more values"):
        read_config({"raster": {"path": "sample:relief"}, "map": {"size": [100]}})


def test_further_inputs_need_valid_names_existing_files_and_steps(tmp_path: Path) -> None:
    path = tmp_path / "regionplot.toml"
    text = '[raster]\npath = "sample:relief"\n[raster.inputs]\n{}\n[map]\nsize = [300, 200]\n'
    path.write_text(text.format('"1x" = "sample:relief"'))
    with pytest.raises(ConfigError, match=r"\[raster\] inputs: a name must begin with a letter.*'1x'"):
        read_config(path)
    path.write_text(text.format('normal = "none.tif"') + '[[prepare]]\nstep = "hillshade"\n')
    with pytest.raises(InputError, match=rf"\[raster\] inputs: there is no file {tmp_path / 'none.tif'}"):
        read_config(path)
    path.write_text(text.format('normal = "sample:relief"'))
    with pytest.raises(ConfigError, match=r"regionplot.toml: \[raster\] inputs are for .*but there is no step"):
        read_config(path)
    path.write_text(path.read_text() + '[[prepare]]\nstep = "expression"\nformula = "b1 - normal.b1"\n')
    assert list(read_config(path).raster.inputs) == ["normal"]
    path.write_text(path.read_text().replace("size = [300, 200]", "size = 300"))
    with pytest.raises(ConfigError, match=r"regionplot.toml:6: \[map\] size"):
        read_config(path)


@pytest.mark.parametrize(
    ("output", "mode", "compression"),
    [
        ({}, "auto", 2),
        ({"png": {"mode": "rgb", "compression": 6}}, "rgb", 6),
        ({"png": "rgb", "png_compression": 6}, "rgb", 6),
        ({"png": {"mode": "rgb"}, "png_compression": 6}, "rgb", 6),
        ({"png": {"compression": 3}, "png_compression": 6}, "auto", 3),
    ],
)
def test_keys_of_older_versions_set_the_settings_of_a_format(
    output: dict[str, Any], mode: str, compression: int
) -> None:
    settings = read_config({"raster": RELIEF, "output": output}).output.writer_settings
    assert (settings.mode, settings.compression) == (mode, compression)  # type: ignore[attr-defined]


def test_the_suffix_of_the_file_name_chooses_the_format() -> None:
    output = {"filename": "{name}/a.b.webp", "webp": {"effort": 4}, "png": {"mode": "rgb"}}
    config = read_config({"raster": RELIEF, "output": output})
    assert config.output.format == "webp"
    assert config.output.writer_settings.effort == 4  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize(
    ("text", "line"), [("[output]\n\n[output.png]\n# comment\nmode = 3\n", 7), ("[output]\npng = {mode = 3}\n", 4)]
)
def test_faults_of_a_format_are_reported_with_their_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "regionplot.toml"
    path.write_text(f'[raster]\npath = "sample:relief"\n{text}')
    with pytest.raises(ConfigError, match=rf"toml:{line}: \[output.png\] mode: "):
        read_config(path)


def test_default_sections_equal_sections_that_are_checked():
    defaults = [field.default for field in Config.model_fields.values() if isinstance(field.default, Section)]
    assert len(defaults) == 9
    for section in defaults:
        checked = type(section)()
        assert section == checked
        assert repr(section) == repr(checked)
        assert section.model_fields_set == checked.model_fields_set == set()
