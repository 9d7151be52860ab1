"""What draws maps is prepared while threads read the raster. Without it, the maps are the same."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from regionplot.errors import ConfigError, RasterReplacedError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.inputs import strips
from regionplot.render import renderer
from regionplot.runs.ahead import Ahead
from regionplot.runs.run import render_regions
from regionplot.shared.data import SharedData

REGIONS = [Region("one", Extent(-100, -95, 38, 41)), Region("two", Extent(-104, -99, 38, 41))]
LEVELS = {"levels": [0, 0.25, 0.5, 0.75, 1]}


@pytest.fixture
def configured(make_config, grid_file):
    def config(**sections: Any):
        sections = {"colors": LEVELS, "map": {"size": [200, 150]}, "run": {"start_method": "serial"}, **sections}
        return make_config(raster={"path": grid_file}, **sections)

    return config


def test_the_data_can_be_used_while_threads_classify_the_cells(configured, monkeypatch):
    seen: list[SharedData] = []
    is_used = threading.Event()
    decode = strips.decode

    def wait_and_decode(*arguments: Any) -> Any:
        assert is_used.wait(10)
        return decode(*arguments)

    def use(shared: SharedData) -> None:
        seen.append(shared)
        is_used.set()

    monkeypatch.setattr(strips, "decode", wait_and_decode)
    loaded = SharedData.load(configured(), REGIONS, meanwhile=use)
    assert seen == [loaded]
    assert loaded is seen[0], "what was prepared belongs to the loaded data"
    assert loaded.codes is not None
    assert not loaded.codes.flags.writeable


@pytest.mark.parametrize("sections", [{"colors": {}}, {"raster_resampling": "bilinear"}], ids=["values", "bilinear"])
def test_nothing_is_prepared_for_cells_whose_values_are_loaded(make_config, grid_file, sections):
    resampling = sections.pop("raster_resampling", "nearest")
    config = make_config(raster={"path": grid_file, "resampling": resampling}, **sections)
    SharedData.load(config, REGIONS, meanwhile=lambda _: pytest.fail("there are no classes"))


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals of POSIX")
def test_threads_that_read_take_no_signals(configured, monkeypatch):
    masks: list[set[int]] = []
    decode = strips.decode

    def decode_with_mask(*arguments: Any) -> Any:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        return decode(*arguments)

    monkeypatch.setattr(strips, "decode", decode_with_mask)
    SharedData.load(configured(), REGIONS)
    assert masks
    assert all({signal.SIGINT, signal.SIGTERM, signal.SIGALRM} <= mask for mask in masks)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_renderer_that_cannot_be_made_is_made_again_by_the_task(configured, monkeypatch):
    calls: list[int] = []
    real = renderer.MapRenderer.__init__

    def fail_first(self: Any, *arguments: Any, **named: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("the first time")
        real(self, *arguments, **named)

    monkeypatch.setattr(renderer.MapRenderer, "__init__", fail_first)
    report = render_regions(REGIONS, configured())
    assert len(report.drawn) == 2
    assert len(calls) == 2


def test_a_renderer_of_a_replaced_raster_is_not_used(configured, monkeypatch):
    """The raster is replaced while it is read. The values of the new raster are loaded, so nothing is prepared."""
    calls: list[dict[str, Any]] = []
    drawn: list[SharedData] = []
    load, real = SharedData.load, renderer.MapRenderer.__init__

    def replace_first(*arguments: Any, meanwhile: Any, **named: Any) -> SharedData:
        calls.append(named)
        if len(calls) > 1:
            return load(*arguments, **named)
        load(*arguments, meanwhile=meanwhile, **named)
        raise RasterReplacedError("the raster was replaced")

    def record(self: Any, shared: SharedData, *arguments: Any, **named: Any) -> None:
        drawn.append(shared)
        real(self, shared, *arguments, **named)

    monkeypatch.setattr(SharedData, "load", replace_first)
    monkeypatch.setattr(renderer.MapRenderer, "__init__", record)
    assert len(render_regions(REGIONS, configured()).drawn) == 2
    assert len(calls) == len(drawn) == 2, "the task makes a renderer for the new raster"
    assert drawn[0] is not drawn[1]


def test_an_error_of_the_renderer_is_raised_as_before(configured):
    many = {"levels": [number / 200 for number in range(201)]}
    lines = {"path": "sample:states", "edgecolor": "white"}
    config = configured(colors=many, output={"png": {"mode": "palette"}}, features=[lines])
    ahead = Ahead(())
    SharedData.load(config, REGIONS, meanwhile=ahead.prepare)
    assert not ahead.renderers
    with pytest.raises(ConfigError, match="a palette needs"):
        render_regions(REGIONS, config)
