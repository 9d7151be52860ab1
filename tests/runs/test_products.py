"""Several products and times in one run."""

from __future__ import annotations

import json
import re
import weakref
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from affine import Affine
from manifest_schema import check_manifest
from PIL import Image

from regionplot.errors import ConfigError, RasterError, RegionsError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.inputs import strips
from regionplot.inputs.reading import FileSource
from regionplot.inputs.vector_layers import VectorLayer
from regionplot.layers.features import Features
from regionplot.prepare.run import prepared
from regionplot.runs.run import render_regions
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.shared.fields import find_fields
from regionplot.system import failpoints

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
REGIONS = [Region(name, Extent(-98 + 3 * i, -92 + 3 * i, 40, 46), origin=f"r.csv:{i + 2}")
           for i, name in enumerate(("west", "middle", "east"))]  # fmt: skip
START = datetime(2026, 3, 10, tzinfo=UTC)
HOURS = 24


@pytest.fixture
def series(write_raster):
    """Write one raster for each hour of a day. Return the path of the series."""
    cells = np.random.default_rng(3).uniform(0, 30, (20, 30)).astype(np.float32)
    for hour in range(HOURS):
        path = write_raster(cells + hour, name=f"t_{START + timedelta(hours=hour):%Y%m%d%H}.tif")
    return str(path.parent / "t_{time:%Y%m%d%H}.tif")


@pytest.fixture
def make(tmp_path):
    """Return a function that makes settings with products."""

    def make(products, base=(), method="serial", **run):
        sections = {
            "map": {"size": [200, 150], "title": "{product} {title}"},
            "output": {"directory": tmp_path / "maps"},
            "features": [{"path": "sample:states"}],
            "run": {"start_method": method, **run},
            "products": products,
        }
        return read_config({**sections, **dict(base)})

    return make


@pytest.fixture
def counted(monkeypatch):
    """Count the reads of cells and the loads of vector layers."""
    counts = {"cells": [], "layers": set()}
    read, start = FileSource.read, strips.StripReader.start
    monkeypatch.setattr(
        FileSource, "read", lambda self, *args: counts["cells"].append(self.info.path.name) or read(self, *args)
    )
    monkeypatch.setattr(
        strips.StripReader,
        "start",
        lambda self, pool: counts["cells"].append(self.info.path.name) or start(self, pool),
    )
    made = Features._of.__func__
    monkeypatch.setattr(
        Features,
        "_of",
        classmethod(
            lambda cls, settings, vectors, *more: (
                counts["layers"].add(id(vectors)) or made(cls, settings, vectors, *more)
            )
        ),
    )
    return counts


def _names(report):
    return {outcome.job.target.relative_to(outcome.job.target.parents[2]).as_posix() for outcome in report.outcomes}


def test_times_and_products_are_drawn_once_and_kept_by_the_next_run(make, series, counted, tmp_path):
    hours = 8
    for path in sorted(Path(series).parent.glob("t_*.tif"))[hours:]:
        path.unlink()
    levels = {"colors": {"levels": [0, 10, 20, 30, 40]}}
    raster = {"path": series, "time": "all"}
    config = make(
        {"warm": {"raster": raster, **levels}, "plain": {"raster": raster, "colors": {"levels": [0, 30, 60]}}}
    )
    report = render_regions(REGIONS, config)
    assert (len(report.drawn), report.exit_code) == (2 * hours * 3, 0), str(report)
    reads = Counter(counted["cells"])
    assert set(reads.values()) == {1}, "a raster was read for each product"
    assert len(reads) == hours
    assert len(counted["layers"]) == 1
    assert "warm/20260310T0500/west.png" in _names(report)
    document = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    check_manifest(document)
    assert {(entry["product"], entry["time"]) for entry in document["regions"]} == {
        (product, f"2026-03-10T{hour:02}:00") for product in ("warm", "plain") for hour in range(hours)
    }
    again = render_regions(REGIONS, config)
    assert len(again.unchanged) == 2 * hours * 3, str(again)


def test_groups_that_do_not_fit_together_give_the_same_maps(make, series, monkeypatch, tmp_path):
    products = {"a": {"raster": {"path": series, "time": "0:2"}}, "b": {"raster": {"path": series, "time": "1:3"}}}
    whole = render_regions(REGIONS, make(products))
    files = {path: path.read_bytes() for path in (tmp_path / "maps").rglob("*.png")}
    assert len(files) == len(whole.drawn) == 2 * 2 * 3
    monkeypatch.setattr("regionplot.shared.groups.memory_budget", lambda _memory: 1)
    parts = render_regions(REGIONS, make(products), force=True)
    assert len(parts.drawn) == len(files)
    assert {path: path.read_bytes() for path in (tmp_path / "maps").rglob("*.png")} == files
    assert len(render_regions(REGIONS, make(products)).unchanged) == len(files)


def test_the_data_of_a_group_are_dropped_before_the_next_group(make, series, monkeypatch):
    counts, load = [], SharedData.load.__func__

    def counted_load(cls, *args, **options):
        data = load(cls, *args, **options)
        refs.append(weakref.ref(data.loaded.codes))
        counts.append(sum(ref() is not None for ref in refs))
        return data

    refs: list[weakref.ref] = []
    monkeypatch.setattr(SharedData, "load", classmethod(counted_load))
    monkeypatch.setattr("regionplot.shared.groups.memory_budget", lambda _memory: 1)
    products = {"a": {"raster": {"path": series, "time": "0:6"}, "colors": {"levels": [0, 10, 20, 40]}}}
    assert len(render_regions(REGIONS[:1], make(products)).drawn) == 6
    assert counts == [1] * 6


@pytest.mark.parametrize("method", ["fork", "forkserver", "threads"])
def test_all_start_methods_give_the_same_bytes(method, make, series, tmp_path):
    products = {"a": {"raster": {"path": series, "time": [0, 5]}}, "b": {"raster": {"path": "sample:relief"}}}
    base = {"output": {"directory": tmp_path / "serial"}}
    render_regions(REGIONS, make(products, base))
    report = render_regions(REGIONS, make(products, method=method, workers=2))
    assert (report.exit_code, len(report.drawn)) == (0, 9), [each.message for each in report.failed]
    found = sorted((tmp_path / "maps").rglob("*.png"))
    assert len(found) == 9
    for path in found:
        expected = tmp_path / "serial" / path.relative_to(tmp_path / "maps")
        with Image.open(path) as image, Image.open(expected) as other:
            assert image.text == other.text, f"{path}: other metadata"
            assert (np.asarray(image.convert("RGB")) == np.asarray(other.convert("RGB"))).all(), f"{path}: other pixels"
        assert path.read_bytes() == expected.read_bytes()


def test_a_bad_raster_fails_only_the_maps_of_its_product(make, series, tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"II*\0damaged")
    products = {
        "good": {"raster": {"path": series}},
        "missing": {"raster": {"path": str(tmp_path / "none_{time:%Y%m%d}.tif")}},
        "absent": {"raster": {"path": str(tmp_path / "absent.tif")}},
        "bad": {"raster": {"path": str(tmp_path / "bad.tif")}},
        "late": {"raster": {"path": series, "time": "2030-01-01"}},
    }
    report = render_regions(REGIONS, make(products))
    assert (report.exit_code, len(report.drawn), len(report.failed)) == (1, 3, 12)
    messages = {outcome.job.field.product: outcome.message for outcome in report.failed}
    assert messages["missing"] == f"nothing matches {tmp_path}/none_{{time:%Y%m%d}}.tif"
    assert messages["absent"] == f"there is no file {tmp_path}/absent.tif"
    assert str(tmp_path / "bad.tif") in messages["bad"]
    assert "there is no time 2030-01-01 among the 24 times" in messages["late"]
    check_manifest(json.loads((tmp_path / "maps" / "manifest.json").read_text()))


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_cells_that_cannot_be_read_fail_only_the_maps_of_their_product(method, make, series, write_raster, caplog):
    """The header of the raster is complete. Under forkserver, the process that loads the data finds the fault."""
    noise = np.random.default_rng(0).integers(0, 1000, (200, 300)).astype(np.int16)
    path = write_raster(noise, name="short.tif", compress="deflate")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    products = {"good": {"raster": {"path": series, "time": [0, 1]}}, "short": {"raster": {"path": str(path)}}}
    with caplog.at_level("INFO", "regionplot"):
        report = render_regions(REGIONS, make(products, method=method, workers=2))
    assert (report.exit_code, len(report.drawn), len(report.failed)) == (1, 6, 3)
    for outcome in report.failed:
        assert outcome.job.field.product == "short"
        assert outcome.message.startswith(f"{path}: ")
    assert method == "fork" or caplog.text.count("loaded the shared data") == 2, "once for each field"


def test_a_product_that_cannot_be_drawn_is_one_line_and_exit_3_if_no_other_is_drawn(series, run_command, tmp_path):
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nr,-98,-92,40,46\ns,-97,-92,40,46\n")
    (tmp_path / "bad.tif").write_bytes(b"II*\0damaged")
    (tmp_path / "regionplot.toml").write_text(
        f"[map]\nsize = [200, 150]\n[products.good]\nraster.path = '{series}'\n"
        "[products.gone]\nraster.path = 'gone.tif'\n[products.bad]\nraster.path = 'bad.tif'\n"
    )
    log = tmp_path / "log.txt"
    result = run_command(tmp_path, "regions.csv", "--log-file", log, "--product", "[bg]*")
    assert (result.returncode, result.stdout.count("output/good/")) == (1, 2)
    lines = result.stderr.splitlines()
    assert lines[0] == f"regionplot: gone, 2 maps: there is no file {tmp_path}/gone.tif"
    assert lines[1].startswith(f"regionplot: bad, 2 maps: {tmp_path}/bad.tif: ")
    assert (len(lines), log.read_text().count(" ERROR ")) == (2, 2)
    result = run_command(tmp_path, "regions.csv", "--product", "gone", "--product", "bad")
    assert (result.returncode, len(result.stderr.splitlines())) == (3, 2)
    assert json.loads((tmp_path / "output" / "manifest.json").read_text())["run"]["exit_code"] == 3
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nr,100,110,-30,-20\n")
    result = run_command(tmp_path, "regions.csv", "--product", "good", "--product", "gone")
    assert result.returncode == 1, "a region outside the raster is no fault of the product"


def test_all_times_of_a_product_have_the_same_colors(make, series, tmp_path):
    """Cells rise by 1 each hour. An automatic scale of each hour would hide this."""
    products = {
        "all": {"raster": {"path": series, "time": "all"}},
        "two": {"raster": {"path": series, "time": [0, 23]}},
        "one": {"raster": {"path": series, "time": 0}},
        "quantile": {"raster": {"path": series, "time": [0, 23]}, "colors": {"norm": "quantile"}},
        "own": {"raster": {"path": series, "time": [0, 23]}, "colors": {"scale": "region"}},
    }
    (tmp_path / f"t_{START + timedelta(hours=5):%Y%m%d%H}.tif").write_bytes(b"damaged")
    config = make({name: products[name] for name in ("two", "one", "quantile", "own")})
    shared = SharedData.load(config)
    limits = {name: tuple(data.scale.digest_items()[:2]) for name, data in shared.products.items()}
    first, last = "2026-03-10T00:00", "2026-03-10T23:00"
    assert limits[f"two/{first}"] == limits[f"two/{last}"] == ("0.0", "60.0")
    assert limits[f"one/{first}"] == ("0.0", "30.0")
    quantiles = [shared.products[f"quantile/{time}"].scale.digest_items() for time in (first, last)]
    assert quantiles[0] == quantiles[1]
    assert limits[f"own/{first}"] != limits[f"own/{last}"]

    report = render_regions(REGIONS[:1], make({"all": products["all"]}))
    assert (len(report.drawn), len(report.failed)) == (HOURS - 1, 1), "a damaged raster costs only its time"
    frames = set()
    for outcome in report.drawn:
        with Image.open(outcome.job.target) as image:
            frames.add(np.asarray(image.convert("RGB"))[104:130].tobytes())
    assert len(frames) == 1, "all color bars are equal"
    assert len(render_regions(REGIONS[:1], make({"all": products["all"]})).unchanged) == HOURS - 1


def test_products_that_share_cells_keep_their_own_scales(make, series):
    products = {
        "day": {"raster": {"path": series, "time": [0, 23]}},
        "hour": {"raster": {"path": series, "time": 0}},
        "hours": {"raster": {"path": series, "time": [0, 1]}},
    }
    orders = [("day", "hour", "hours"), ("hour", "hours", "day")]
    found = []
    for order in orders:
        data = SharedData.load(make({name: products[name] for name in order})).products
        found.append({name: own.scale.digest_items()[:2] for name, own in data.items()})
    assert found[0] == found[1]
    assert len({tuple(limits) for name, limits in found[0].items() if name.endswith("T00:00")}) >= 2


def test_fixed_limits_need_no_sample(make, series, monkeypatch):
    monkeypatch.setattr("regionplot.shared.series.sample_raster", lambda *_, **__: pytest.fail("a raster was sampled"))
    raster = {"path": series, "time": "0:3"}
    products = {
        "a": {"raster": raster, "colors": {"vmin": 0, "vmax": 9}},
        "b": {"raster": raster, "colors": {"levels": [1, 2]}},
    }
    assert len(render_regions(REGIONS[:1], make(products)).drawn) == 6


def test_products_can_be_selected_and_the_maps_of_others_stay(make, series, tmp_path):
    config = make({name: {"raster": {"path": series}} for name in ("snow", "snow_new", "wind")})
    render_regions(REGIONS, config)
    report = render_regions(REGIONS, config, products=["snow*"], force=True)
    assert {outcome.job.field.product for outcome in report.drawn} == {"snow", "snow_new"}
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 9
    assert not render_regions(REGIONS, config, prune=True).removed
    with pytest.raises(ConfigError, match=r"no product's name matches 'rain'; the products are snow, snow_new, wind"):
        render_regions(REGIONS, config, products=["rain"])


def test_maps_of_lost_regions_are_removed_but_not_those_of_older_times(make, series, tmp_path):
    render_regions(REGIONS, make({"a": {"raster": {"path": series, "time": "0:2"}}}))
    report = render_regions(REGIONS[:2], make({"a": {"raster": {"path": series, "time": "1:3"}}}), prune=True)
    removed = sorted(path.relative_to(tmp_path / "maps").as_posix() for path in report.removed)
    assert removed == ["a/20260310T0000/east.png", "a/20260310T0100/east.png"]
    assert (tmp_path / "maps/a/20260310T0000/west.png").is_file()


def test_equal_file_names_are_refused(make, series, tmp_path):
    base = {"output": {"directory": tmp_path / "maps", "filename": "{name}.png"}}
    config = make({name: {"raster": {"path": series}} for name in ("a", "b")}, base)
    with pytest.raises(RegionsError, match=r"the maps of a/2026-03-10T23:00 and b/2026-03-10T23:00 would both"):
        render_regions(REGIONS, config)


def test_file_names_and_titles_have_product_time_and_lead(make, write_raster, tmp_path):
    tags = {"VALID_TIME": "2026-03-10T06:00:00", "REF_TIME": "2026-03-10T00:00:00"}
    path = write_raster(np.ones((20, 30), np.float32), tags=tags)
    base = {"output": {"directory": tmp_path / "maps", "filename": "{product}/{time:%H}_{lead:03d}/{name}.png"}}
    config = make({"a": {"raster": {"path": path}, "map": {"title": "{product} {time:%H} +{lead} {name}"}}}, base)
    report = render_regions(REGIONS[:1], config)
    assert _names(report) == {"a/06_006/west.png"}
    assert b"a 06 +6 west" in (tmp_path / "maps/a/06_006/west.png").read_bytes()
    unknown = make({"a": {"raster": {"path": write_raster(np.ones((20, 30)), name="u.tif")}}}, base)
    assert "the lead of this raster is unknown" in render_regions(REGIONS[:1], unknown).failed[0].message


def test_loaded_data_hold_each_product_and_the_layers_once(make, series):
    config = make({"a": {"raster": {"path": series, "time": "0:2"}}, "b": {"raster": {"path": "sample:relief"}}})
    shared = SharedData.load(config, REGIONS)
    assert list(shared.products) == ["a/2026-03-10T00:00", "a/2026-03-10T01:00", "b"]
    vectors = {id(layer.vectors) for data in shared.products.values() for layer in data.layers
               if isinstance(layer, Features)}  # fmt: skip
    assert len(vectors) == 1
    one, two, _ = shared.products.values()
    assert one.raster.shape == one.meshgrid[0].shape
    np.testing.assert_allclose(two.cells - one.cells, 1, rtol=1e-4)
    assert isinstance(next(layer for layer in one.layers if isinstance(layer, Features)).vectors, VectorLayer)
    assert len(render_regions(REGIONS, shared).drawn) == 9
    assert len(render_regions(REGIONS, config).unchanged) == 9


@pytest.fixture
def ensemble(tmp_path):
    """Write a NetCDF file with times, levels and members. Each cell is 100 time + 10 level + member."""
    path = tmp_path / "ensemble.nc"
    axes = {
        "time": (np.arange(3), {"units": "hours since 2026-03-10 00:00"}),
        "level": (np.array([850.0, 500.0]), {"units": "hPa", "axis": "Z"}),
        "number": (np.arange(4), {"standard_name": "realization"}),
        "lat": (np.linspace(47, 39, 5), {"units": "degrees_north"}),
        "lon": (np.linspace(-100, -80, 6), {"units": "degrees_east"}),
    }
    with netCDF4.Dataset(path, "w") as file:
        for name, (values, attributes) in axes.items():
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
            file[name].setncatts(attributes)
        variable = file.createVariable("z", "f4", tuple(axes))
        times, levels, members = np.meshgrid(np.arange(3), np.arange(2), np.arange(4), indexing="ij")
        variable[:] = (100 * times + 10 * levels + members)[..., None, None] + np.zeros((5, 6))
    return path


@pytest.mark.parametrize(
    ("selection", "value"),
    [
        ({"time": 1, "level": 500, "member": 3}, 113),
        ({"time": "2026-03-10T02:00", "level": "850 hPa", "member": 0}, 200),
        ({"time": "latest", "level": "500.0 hPa", "member": "mean"}, 211.5),
        ({"time": 0, "level": 850, "member": "spread"}, np.sqrt(1.25)),
    ],
)
def test_level_member_and_time_select_a_band(make_config, ensemble, selection, value):
    shared = SharedData.load(make_config(raster={"path": ensemble, **selection}))
    np.testing.assert_allclose(shared.cells, value, rtol=1e-6)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"level": 300}, "no band has the level 300; the levels are 850 hPa, 500 hPa"),
        ({"member": 9}, "there is no member 9; the members are 0, 1, 2, 3"),
        ({"time": 3}, "there is no time number 3 among the 3 times"),
        ({"time": "5:"}, "selects none of the 3 times"),
        ({"time": 1, "level": 500}, "4 bands match; choose among them with band, level, member or time"),
        ({"time": 1, "member": "mean"}, "8 bands match"),
    ],
)
def test_a_selection_without_exactly_one_band_is_an_error(make_config, ensemble, selection, message):
    with pytest.raises(RasterError, match=re.escape(message)):
        SharedData.load(make_config(raster={"path": ensemble, **selection}))


def test_the_times_of_one_file_are_drawn_without_products(make_config, ensemble):
    raster = {"path": ensemble, "time": "::-2", "level": 500, "member": "mean"}
    maps = {"size": [200, 150], "title": "{time:%H}"}
    config = make_config(raster=raster, map=maps, run={"start_method": "serial"})
    report = render_regions(REGIONS[:1], config)
    assert sorted(outcome.job.target.parent.name for outcome in report.drawn) == ["20260310T0000", "20260310T0200"]
    assert len(render_regions(REGIONS[:1], config).unchanged) == 2


def test_raster_steps_see_the_selected_band(make_config, ensemble):
    raster = {"path": ensemble, "time": "0:2", "level": 500, "member": "mean"}
    steps = [{"step": "expression", "formula": "b1 * 2"}]
    run = {"start_method": "serial", "cache": False}
    config = make_config(
        raster=raster, prepare=steps, map={"size": [200, 150]}, colors={"vmin": 0, "vmax": 300}, run=run
    )
    fields = find_fields(config)
    values = [SharedData.load(prepared(field.config)).cells.mean() for field in fields]
    np.testing.assert_allclose(values, [23, 223], rtol=1e-6)
    assert len(render_regions(REGIONS[:1], config).drawn) == 2


def test_faults_name_the_table_of_the_product(tmp_path):
    path = tmp_path / "regionplot.toml"
    path.write_text(
        '[raster]\npath = "sample:relief"\n[map]\nsiz = 3\n[products.a]\ncolors.levels = [2, 1]\n'
        "[products.b.raster]\nband = 0.5\n[[products.b.features]]\npath = 'sample:states'\nlinewidt = 3\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert [str(problem).removeprefix(str(tmp_path)) for problem in caught.value.problems] == [
        "/regionplot.toml:4: [map] siz: unknown key; did you mean 'size'?",
        "/regionplot.toml:6: [products.a.colors] levels: levels must increase, but 1 follows 2 (it is [2, 1])",
        "/regionplot.toml:8: [products.b.raster] band: must be a whole number or text in quotes (it is 0.5)",
        "/regionplot.toml:11: [[products.b.features]] #1 linewidt: unknown key; did you mean 'linewidth'?",
    ]


@pytest.mark.parametrize(
    ("products", "message"),
    [
        ({}, "must be a table with 1 to 1000 products"),
        ([], "must be a table with 1 to 1000 products"),
        ({"a": 3}, "[products] a: must be a table"),
        ({"../a": {}}, "the name of a product must begin with a letter or digit"),
        ({"a": {"run": {"workers": 2}}}, "[products.a] run: one run has one such setting for all products"),
        ({"a": {"output": {"directory": "x"}}}, "[products.a.output] directory: one run has one such setting"),
        ({"a": {"color": {}}}, "[products.a] color: unknown section"),
        ({"a": {"raster": {"time": "noon"}}}, "'noon' is not a choice of times"),
        ({"a": {"raster": {"path": "a_{time:%b}.tif"}}}, "the only field of a series is the time of a file"),
        ({"a": {"raster": {"path": "a_{time:%H}.tif"}}}, "the date of a file is unknown"),
    ],
)
def test_products_that_cannot_be_used_are_refused(products, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_config({"raster": {"path": "sample:relief"}, "products": products})


def test_the_command_selects_products_bands_and_times(run_command, ensemble, write_raster, tmp_path):
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nr,-98,-92,40,46\n")
    (tmp_path / "regionplot.toml").write_text(
        "[map]\nsize = [200, 150]\n[products.a]\nraster.path = 'sample:relief'\n"
        "[products.b]\nraster.path = 'sample:relief'\ncolors.levels = [0, 1000, 3000]\n"
    )
    result = run_command(tmp_path, "regions.csv", "--product", "b")
    assert (result.returncode, "output/b/r.png" in result.stdout, "output/a" in result.stdout) == (0, True, False)
    settings = (tmp_path / "regionplot.toml").read_text()
    (tmp_path / "regionplot.toml").write_text(settings + "[products.b.map]\ntitle = '{product} {title}'\n")
    result = run_command(tmp_path, "regions.csv", "--wait-for", "9", "--product", "b")
    assert (result.returncode, "output/b/r.png" in result.stdout) == (0, True), result.stderr
    two = write_raster(np.stack([np.zeros((20, 30)), np.ones((20, 30))]), descriptions=("snow", "rain"))
    result = run_command(tmp_path, "regions.csv", "--no-config", "--raster", str(two), "--band", "rain", "-o", "bands")
    assert (result.returncode, result.stderr) == (0, "")
    result = run_command(tmp_path, "regions.csv", "--no-config", "--raster", str(two), "--band", "7")
    assert "there is no band 7" in result.stderr
    result = run_command(tmp_path, "regions.csv", "--no-config", "--raster", str(ensemble), "--variable", "q")
    assert "there is no variable 'q'" in result.stderr


def test_options_override_the_settings_of_products(tmp_path: Path, write_raster) -> None:
    """`--raster` was ignored without a word if a product has its own raster."""
    for name in ("a.tif", "b.tif"):
        write_raster(np.ones((2, 2), np.float32), name=name)
    own = {"raster": {"path": str(tmp_path / "a.tif"), "band": 1}, "features": [{"path": "sample:states"}]}
    source = {"products": {"x": own, "y": {"raster": {"path": str(tmp_path / "a.tif")}}}}
    overrides = {"raster": {"path": str(tmp_path / "b.tif")}, "features": [{"path": "sample:counties"}]}
    products = read_config(source, overrides).products
    assert {each.raster.path.name for each in products.values()} == {"b.tif"}
    assert products["x"].raster.band == 1
    assert "counties" in str(products["x"].layers["features"])


def test_a_raster_that_is_replaced_while_it_is_read_is_drawn_as_it_is_now(make, write_raster):
    path = write_raster(np.zeros((20, 30), np.float32), name="a.tif")
    new = write_raster(np.full((20, 30), 20, np.float32), name="new.tif")
    levels = {"levels": [-5, 5, 15, 25], "colors": ["red", "lime", "blue"]}
    products = {name: {"raster": {"path": str(path)}, "colors": levels} for name in ("one", "two")}
    products["two"]["map"] = {"projection": "EPSG:5070"}

    def replace(phase, name):
        if phase == "cells" and name == "a.tif" and new.exists():
            new.replace(path)

    with failpoints.install(replace):
        report = render_regions(REGIONS, make(products))
    assert not new.exists()
    assert (len(report.drawn), report.failed) == (6, [])
    for outcome in report.drawn:
        with Image.open(outcome.job.target) as image:
            assert (0, 0, 255) in {color for _, color in image.convert("RGB").getcolors(100_000)}


def test_the_memory_of_workers_does_not_grow_with_the_number_of_times(make, write_raster, monkeypatch):
    """The cells of all times together need 144 MB. The peak varies by some ten megabytes from run to run."""
    monkeypatch.setattr("regionplot.shared.groups.memory_budget", lambda _memory: 16_000_000)
    cells = np.linspace(0, 30, 3_000_000, dtype=np.float32).reshape(1500, 2000)
    path = write_raster(cells, Affine(0.02, 0, -110, 0, -0.02, 60), name="t_2026031000.tif")
    for hour in range(1, 12):
        (path.parent / f"t_20260310{hour:02}.tif").hardlink_to(path)
    series = str(path).replace("2026031000", "{time:%Y%m%d%H}")
    peaks = []
    for count in (2, 12):
        products = {"a": {"raster": {"path": series, "time": f"0:{count}"}, "colors": {"vmin": 0, "vmax": 30}}}
        report = render_regions([Region("r", Extent(-110, -70, 30, 60))], make(products, method="fork", workers=1))
        assert len(report.drawn) >= 10 or count == 2
        peaks.append(max(outcome.value.peak_memory for outcome in report.drawn))
    assert peaks[1] - peaks[0] < 70_000_000, f"{(peaks[1] - peaks[0]) / 1e6:.0f} MB more for 10 more times"


def _of_times(path, time, tmp_path):
    """Return settings without products that draw several times."""
    sections = {"raster": {"path": path, "time": time}, "map": {"size": [200, 150]}, "run": {"start_method": "serial"}}
    return read_config({**sections, "output": {"directory": tmp_path / "maps"}})


@pytest.mark.parametrize("time", [9, "5:9", "2031-01-01T00:00"])
def test_maps_of_other_times_stay_if_a_time_is_missing(time, write_raster, tmp_path):
    """The regions are still in the table, so that `prune` removes nothing and the report lists no leftovers."""
    write_raster(np.ones((20, 30), np.float32), name="t_2026031000.tif")
    path = tmp_path / "t_{time:%Y%m%d%H}.tif"
    assert render_regions(REGIONS, _of_times(path, "all", tmp_path)).exit_code == 0
    report = render_regions(REGIONS, _of_times(path, time, tmp_path), prune=True)
    assert (len(report.failed), report.removed, report.leftovers) == (3, (), ())
    assert len(list((tmp_path / "maps" / "20260310T0000").glob("*.png"))) == 3


@pytest.mark.parametrize("content", [b"damaged", None])
def test_a_raster_without_times_is_the_error_and_not_the_file_name(content, write_raster, tmp_path):
    path = write_raster(np.ones((20, 30), np.float32), name="t.tif")
    if content is not None:
        Path(path).write_bytes(content)
    report = render_regions(REGIONS, _of_times(path, "all", tmp_path))
    assert len(report.failed) == 3
    assert report.failed[0].failure.message.startswith(f"{path}: ")
