"""The digest of a map changes with everything that the map depends on, and with nothing else."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from pydantic.fields import FieldInfo

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.features import Features, FeatureSettings
from regionplot.registry import WRITERS
from regionplot.render.code import digest_of_modules
from regionplot.render.renderer import MapRenderer
from regionplot.runs.digests import MapDigests
from regionplot.settings.base import NOT_IN_DIGEST, Section, digest_items
from regionplot.settings.config import Config
from regionplot.settings.output import OutputSettings
from regionplot.settings.regions import RegionSettings
from regionplot.settings.run import RunSettings
from regionplot.settings.serve import ServeSettings
from regionplot.settings.statistics import StatisticsSettings
from regionplot.shared.data import SharedData
from regionplot.shared.plan import plan_load
from regionplot.system.code_records import known_sources

pytestmark = pytest.mark.usefixtures("read_in_process")
WEST = Region("west", Extent(-99, -91, 33, 36.5), title="West")
EAST = Region("east", Extent(-76, -68, 33, 36.5), title="East")
SIZE = {"size": (300, 200)}
LEVELS = {"levels": [0, 100, 1000, 2000]}


@pytest.fixture(autouse=True)
def forgotten_code() -> Iterator[None]:
    """Forget digests of code that a test has changed."""
    yield
    digest_of_modules.cache_clear()
    known_sources.cache_clear()


@pytest.fixture
def data(write_raster, write_vector, make_config):
    """Return a function that loads a grid of 1-degree cells and a layer of one line. Its arguments change the data."""
    values = np.arange(50 * 50, dtype=np.float32).reshape(50, 50)

    def make(change=None, amount=1, line=((-98, 31), (-70, 44)), regions=None, tags=None, **sections) -> SharedData:
        cells = values.copy()
        if change:
            cells[change] += amount
        path = write_vector([shapely.LineString(line)])
        defaults = {"colors": LEVELS, "map": SIZE, "features": [{"path": path}], "run": {"cache": False}}
        raster = {"path": write_raster(cells, tags=tags or {}), **sections.pop("raster", {})}
        config = make_config(raster=raster, **{**defaults, **sections})
        return SharedData.load(config, regions)

    return make


def digests(shared: SharedData) -> list[str]:
    digest_of_modules.cache_clear()  # as in a new process
    known_sources.cache_clear()
    maps = MapDigests(shared)
    return [maps.of(region) for region in (WEST, EAST)]


def test_the_same_inputs_have_the_same_digest(data) -> None:
    west, east = digests(data())
    assert (west, east) == tuple(digests(data()))
    assert west != east


def test_a_changed_cell_changes_only_digests_of_regions_that_show_it(data) -> None:
    west, east = digests(data())
    changed_west, changed_east = digests(data(change=(15, 8), amount=500))  # 92 west, 35 north: only west shows it
    assert changed_west != west
    assert changed_east == east


@pytest.mark.parametrize(
    ("cell", "amount", "is_same"),
    [((15, 8), 1, True), ((15, 8), 242, False), ((15, 8), np.nan, False), ((15, 8), -758.5, False)],
    ids=["same class", "next class", "missing", "below"],
)
def test_a_digest_changes_exactly_if_a_cell_changes_its_class(data, cell, amount, is_same) -> None:
    """The value of the cell is 758. The class begins at 100 and ends before 1000."""
    before, after = data(), data(change=cell, amount=amount)
    assert (MapDigests(before).of(WEST) == MapDigests(after).of(WEST)) == is_same
    pixels = [MapRenderer(shared).render(WEST).pixels for shared in (before, after)]
    assert np.array_equal(*pixels) == is_same


@pytest.mark.parametrize(
    "changes", [{"colors": {"vmin": 0, "vmax": 3000}}, {"raster": {"resampling": "bilinear"}}], ids=["range", "mixed"]
)
def test_each_value_counts_if_it_can_show(data, changes) -> None:
    before, after = data(**changes), data(change=(15, 8), **changes)
    assert MapDigests(before).of(WEST) != MapDigests(after).of(WEST)


def test_other_regions_do_not_change_a_digest(data) -> None:
    for region in (WEST, EAST):
        alone, beside = data(regions=[region]), data(regions=[WEST, EAST])
        assert alone.plan.window != beside.plan.window
        assert MapDigests(alone).of(region) == MapDigests(beside).of(region)


@pytest.mark.parametrize(
    "difference",
    [
        {"line": ((-98, 31), (-70, 43))},
        {"colors": {"levels": [0, 100, 1000, 2001]}},
        {"colors": {**LEVELS, "colormap": "turbo"}},
        {"colors": {**LEVELS, "label": "metres"}},
        {"map": {**SIZE, "dpi": 90}},
        {"map": {**SIZE, "projection": "EPSG:5070"}},
        {"map": {**SIZE, "projection": "auto"}},
        {"map": {**SIZE, "title": "{title}!"}},
        {"map": {**SIZE, "empty": "skip"}},
        {"output": {"png": {"mode": "rgb"}}},
        {"output": {"png": {"compression": 3}}},
        {"output": {"world_file": True}},
        {"focus": {"outside": "white"}},
        {"region_box": {}},
        {"north_arrow": {"min_angle": 0}},
        {"locator": {"path": "sample:countries"}},
        {"output": {"filename": "{name}.webp"}},
        {"output": {"filename": "{name}.pdf"}},
        {"raster": {"resampling": "bilinear"}},
        {"tags": {"long_name": "Snow depth", "units": "m"}},
        {"tags": {"long_name": "Snow depth"}},
        {"features": []},
    ],
    ids=str,
)
def test_everything_that_shows_changes_the_digest(data, difference) -> None:
    assert not set(digests(data())) & set(digests(data(**difference)))


@pytest.mark.parametrize("tags", [{"long_name": "Snow depth"}, {"units": "m"}], ids=str)
def test_name_and_units_change_the_digest_even_if_no_layer_has_them_in_its_key(data, tags) -> None:
    """Every layer gets name and units with the sheet. Here, the key of the color bar has neither of them."""
    labeled = {"colors": {**LEVELS, "label": "Depth"}}
    assert not set(digests(data(**labeled))) & set(digests(data(**labeled, tags=tags)))


def test_settings_of_the_run_and_of_other_formats_do_not_change_a_digest(data) -> None:
    run = {"workers": 3, "timeout": 5, "cache": False}
    output = {"directory": "elsewhere", "filename": "{name}_.png", "webp": {"effort": 4}, "publish": "runs"}
    assert digests(data()) == digests(data(run=run, output=output))


def _fields(section: type[Section], place: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _fields(inner, f"{place}{name}.")
        else:
            yield f"{place}{name}", field


def test_all_fields_marked_not_in_digest_are_listed_here() -> None:
    """Mark another field only if it changes no pixel. Otherwise outdated maps would be kept."""
    run = {f"run.{name}" for name in RunSettings.model_fields}
    output = {f"output.{name}" for name in OutputSettings.model_fields} - {"output.world_file"}  # maps lack the files
    raster = {f"raster.{name}" for name in ("path", "cycle", "settle", "max_cells", "prepared", "inputs")}
    raster |= {"raster.time", "raster.level", "raster.member"}  # they choose the cells, which are in the digest
    raster |= {"raster.levels", "raster.allow_remote", "raster.allow_vrt"}  # runs ignore levels; the others only allow
    raster |= {"raster.allow_references", "raster.asset", "raster.valid_time"}  # the time is in the title
    regions = {f"regions.{name}" for name in RegionSettings.model_fields}  # the extent of each region is in the digest
    found = {place for place, field in _fields(Config) if NOT_IN_DIGEST in field.metadata}
    functions = {"map.draw", "map.decorate", "map.load", "map.files"}  # their content is in the digest
    skipped = {"publish.no_event"}  # it concerns regions without a map
    statistics = {f"statistics.{name}" for name in StatisticsSettings.model_fields}  # the alternative text is in it
    serve = {f"serve.{name}" for name in ServeSettings.model_fields}  # maps do not depend on the service
    assert found == run | output | raster | regions | functions | skipped | statistics | serve
    assert {name for name, field in _fields(FeatureSettings) if NOT_IN_DIGEST in field.metadata} == {
        "allow_remote",
        "path",
    }  # `VectorLayer.key` covers the content of the file


@pytest.mark.parametrize("name", list(WRITERS))
def test_all_settings_of_a_format_are_in_the_digest(name: str) -> None:
    settings = WRITERS[name].Settings()
    assert set(digest_items(settings)) == set(type(settings).model_fields)


def _change_source(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make one source file of the package read as if it had one more line."""
    read = Path.read_bytes

    def changed(path: Path) -> bytes:
        return read(path) + (b"\n# changed" if path.as_posix().endswith(f"regionplot/{name}") else b"")

    monkeypatch.setattr(Path, "read_bytes", changed)


@pytest.mark.parametrize(
    "source",
    [
        "geo/areas.py", "geo/linework.py", "geo/sampling.py", "geo/warp.py", "inputs/reading.py",
        "inputs/vector_arrays.py", "inputs/vector_files.py", "inputs/vector_layers.py", "render/agg.py",
        "render/renderer.py", "colors/numbers.py", "sheet/layout.py", "text.py", "writers/png.py", "settings/colors.py",
    ],
)  # fmt: skip
def test_code_that_draws_is_in_the_digest(data, monkeypatch, source: str) -> None:
    shared = data()
    before = digests(shared)
    _change_source(monkeypatch, source)
    assert not set(digests(shared)) & set(before)


@pytest.mark.parametrize("source", ["runs/run.py", "cli/display.py", "executors/processes.py", "writers/webp.py"])
def test_code_that_does_not_draw_is_not_in_the_digest(data, monkeypatch, source: str) -> None:
    shared = data()
    before = digests(shared)
    _change_source(monkeypatch, source)
    assert digests(shared) == before


def test_the_code_of_the_chosen_format_is_in_the_digest(data, monkeypatch) -> None:
    shared = data(output={"filename": "{name}.webp"})
    before = digests(shared)
    _change_source(monkeypatch, "writers/webp.py")
    assert not set(digests(shared)) & set(before)


@pytest.mark.parametrize(
    "library", ["numpy", "matplotlib", "cartopy", "shapely", "pyproj", "rasterio", "pyogrio", "isal"]
)
def test_the_versions_of_libraries_are_in_the_digest(data, monkeypatch, tmp_path, library: str) -> None:
    shared = data()
    before = digests(shared)
    (tmp_path / "site" / f"{library}-0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert not set(digests(shared)) & set(before)


@pytest.mark.parametrize(
    "place", ["pyproj.proj_version_str", "shapely.geos_version_string", "rasterio.__gdal_version__"]
)
def test_the_versions_of_c_libraries_are_in_the_digest(data, monkeypatch, place: str) -> None:
    shared = data()
    before = digests(shared)
    monkeypatch.setattr(place, "0")
    assert not set(digests(shared)) & set(before)


def test_the_version_of_the_image_library_is_in_the_digest_of_its_formats(data, monkeypatch) -> None:
    png, webp = data(), data(output={"filename": "{name}.webp"})
    before = digests(png), digests(webp)
    monkeypatch.setattr("PIL.__version__", "0")
    assert digests(png) == before[0]
    assert not set(digests(webp)) & set(before[1])


def test_only_columns_that_show_are_in_the_digest(data) -> None:
    maps = MapDigests(data())
    assert maps.of(replace(WEST, name="other", attributes={"population": "7"}, origin="x:3")) == maps.of(WEST)
    assert maps.of(replace(WEST, title="Far West")) != maps.of(WEST)
    assert maps.of(replace(WEST, extent=Extent(-99, -91, 33, 37))) != maps.of(WEST)


def test_the_limits_of_a_scale_from_the_data_are_in_the_digest(data) -> None:
    before = digests(data(colors={}))
    assert digests(data(colors={}, change=(15, 8)))[1] == before[1]
    south = {"change": slice(40, None), "amount": 1000}  # neither region shows these rows
    assert not set(before) & set(digests(data(colors={}, **south)))
    assert digests(data(**south)) == digests(data()), "levels are fixed"


def test_the_code_of_a_layer_of_another_package_is_in_the_digest(data, tmp_path, monkeypatch) -> None:
    source = tmp_path / "extra_layers.py"
    source.write_text("from regionplot.layers.features import Features\nclass Layer(Features):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    layer_class = importlib.import_module("extra_layers").Layer
    shared = data()
    layers = [
        layer_class(layer.settings, layer.vectors, layer.key) if isinstance(layer, Features) else layer
        for layer in shared.layers
    ]
    shared = replace(shared, layers=tuple(layers))
    before = digests(shared)
    source.write_text(source.read_text() + "# changed")
    assert not set(digests(shared)) & set(before)


def test_the_file_of_a_raster_that_is_not_loaded_is_in_the_digest(data) -> None:
    def unloaded() -> SharedData:
        loaded = data()
        return SharedData.load(loaded.config, plan=plan_load(loaded.config, loaded.info, budget=1))

    shared = unloaded()
    assert shared.plan.reads_per_map
    before = digests(shared)
    assert digests(shared) == before
    assert not set(digests(unloaded())) & set(before)


def test_maps_with_the_same_digest_are_the_same_picture(data) -> None:
    pictures = [MapRenderer(shared).render(WEST).pixels for shared in (data(), data(change=(15, 30)))]
    assert digests(data())[0] == digests(data(change=(15, 30)))[0]
    np.testing.assert_array_equal(*pictures)
