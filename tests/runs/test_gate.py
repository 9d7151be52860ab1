"""Checks before publishing: a map that fails is held back, and regions without an event are skipped."""

from __future__ import annotations

import json
import os
import re
from itertools import count

import numpy as np
import pytest
from manifest_schema import check_manifest
from PIL import Image

from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.run import render_regions
from regionplot.settings.loading import read_config

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
WEST = Region("west", Extent(-99, -91, 35, 45), origin="regions.csv:2")
EAST = Region("east", Extent(-89, -81, 35, 45), origin="regions.csv:3")
REGIONS = [WEST, EAST]
TIMES = count(1_700_000_000, 60)
"""Times of the last write. Each raster has another one, whatever the resolution of the file system."""


@pytest.fixture
def write(write_raster):
    """Write a raster of 20 x 20 cells: random values below 10 in the west, and the same values plus 20 in the east."""

    def write(change=None, seed=1, **options):
        cells = np.random.default_rng(seed).uniform(0, 10, (20, 20)).astype(np.float32)
        cells[:, 10:] += 20
        if change is not None:
            change(cells)
        path = write_raster(cells, nodata=-9999, **options)
        moment = next(TIMES)
        os.utime(path, (moment, moment))
        return path

    return write


@pytest.fixture
def draw(tmp_path):
    """Draw the maps of a raster with settings of `[publish]`."""

    def draw(raster, publish, regions=REGIONS, method="serial", *, force=False, **sections):
        tables = {
            "raster": {"path": raster},
            "map": {"size": [200, 150]},
            "colors": {"levels": [0, 5, 10, 15, 20, 25]},
            "output": {"directory": tmp_path / "maps"},
            "run": {"start_method": method},
            "publish": publish,
        }
        return render_regions(regions, read_config({**tables, **sections}), force=force)

    return draw


@pytest.fixture
def manifest(tmp_path):
    """Read the entries of the manifest by file, and check its format."""

    def read(folder="maps"):
        document = json.loads((tmp_path / folder / "manifest.json").read_text())
        check_manifest(document)
        return {entry["file"]: entry for entry in document["regions"]}

    return read


def _states(report):
    return {
        outcome.job.region.name: "failed" if outcome.failure else outcome.value.state for outcome in report.outcomes
    }


def _east(value, columns=slice(10, 20), rows=slice(0, 20)):
    def change(cells):
        cells[rows, columns] = value

    return change


def _one_class(cells):
    cells[:, 10:] = 20 + cells[:, 10:] / 10


FAULTS = {
    "valid": ({"min_valid": 0.8}, _east(-9999, slice(10, 15)), r"[45]\d(\.\d+)? % of the pixels .* min_valid is 80 %"),
    "none valid": ({"min_valid": 0.01}, _east(-9999), "0 % of the pixels show data"),
    "too small": ({"min_value": -1}, _east(-5, 15, 8), "smallest value is -5, but min_value is -1"),
    "too large": ({"max_value": 40}, _east(99, 15, 8), "largest value is 99, but max_value is 40"),
    "infinite": ({"max_value": 40}, _east(np.inf, 15, 8), "largest value is inf, but max_value is 40"),
    "one value": ({"blank": "hold"}, _east(7), "the same color, so the map is blank"),
    "one class": ({"blank": "hold"}, _one_class, "the same color, so the map is blank"),
    "no data": ({"blank": "hold"}, _east(-9999), "the region has no data, so its map is blank"),
    "two": ({"min_valid": 0.8, "max_value": 15}, _east(-9999, slice(10, 15)), "min_valid .*; the largest value is"),
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("publish", ["replace", "runs"])
def test_a_map_that_fails_a_check_is_held_back_and_the_old_map_stays(kind, publish, write, draw, manifest, tmp_path):
    checks, change, message = FAULTS[kind]
    output = {"directory": tmp_path / "maps", "publish": publish}
    where = "maps" if publish == "replace" else "maps/latest"
    assert _states(draw(write(), {}, output=output)) == {"west": "rendered", "east": "rendered"}
    before = (tmp_path / where / "east.png").read_bytes()
    report = draw(write(change), checks, output=output)
    assert _states(report) == {"west": "rendered", "east": "failed"}
    assert report.exit_code == 1
    failure = report.failed[0].failure
    assert failure.cause == "HeldBackError"
    assert failure.message.startswith("held back by [publish]: ")
    assert (tmp_path / where / "east.png").read_bytes() == before
    run = report.outcomes[0].job.target.parent.relative_to(tmp_path)
    entry = manifest(run)["east.png"]
    assert (entry["state"], entry["error"]["message"]) == ("failed", failure.message)
    assert entry["sha256"] is not None, "the entry describes the old map"
    assert re.search(message, failure.message)


def test_a_map_is_published_as_soon_as_its_data_pass(write, draw, manifest):
    checks = {"min_valid": 0.8, "max_value": 40, "blank": "hold", "repeated": "hold", "when": "count > 0"}
    broken = write(_east(-9999, slice(10, 15)))
    assert _states(draw(broken, checks)) == {"west": "rendered", "east": "failed"}
    assert manifest()["east.png"]["digest"] is None
    assert _states(draw(broken, checks)) == {"west": "unchanged", "east": "failed"}
    assert _states(draw(write(seed=2), checks)) == {"west": "rendered", "east": "rendered"}
    assert _states(draw(write(seed=3), {**checks, "min_value": 25})) == {"west": "failed", "east": "failed"}


def test_limits_are_in_the_units_of_the_scale(write, draw):
    kelvin = write(lambda cells: cells.__iadd__(273.15), tags={"units": "K"})
    celsius = {"colors": {"levels": [0, 10, 20], "units": "degC"}}
    assert draw(kelvin, {"min_value": -0.1, "max_value": 30.1}, **celsius).exit_code == 0
    report = draw(kelvin, {"max_value": 15}, force=True, **celsius)
    assert _states(report) == {"west": "rendered", "east": "failed"}
    assert re.search(r"largest value is 29\.\d+, but", report.failed[0].failure.message)


def test_repeated_cells_of_a_new_raster_are_held_back(write, draw, manifest):
    stuck = {"repeated": "hold"}
    raster = write()
    assert draw(raster, stuck).exit_code == 0
    assert _states(draw(raster, stuck)) == {"west": "unchanged", "east": "unchanged"}, "the raster is not new"
    raster.chmod(0o600)
    assert draw(raster, stuck, force=True).exit_code == 0, "the raster is not new"
    for force in (False, True, False):
        report = draw(write(), stuck, force=force)
        assert _states(report) == {"west": "failed", "east": "failed"}
        assert (
            "the raster is new, but the cells are those of the last published map" in report.failed[0].failure.message
        )
    titled = write(tags={"TIFFTAG_DATETIME": "2026:01:01 00:00:00"})
    report = draw(titled, stuck, map={"size": [200, 150], "title": "{name} of a new run"})
    assert _states(report) == {"west": "failed", "east": "failed"}, "another title hides no stuck model"
    assert manifest()["east.png"]["sha256"] is not None
    report = draw(write(_east(22, 15, 8)), stuck)
    assert _states(report) == {"west": "failed", "east": "rendered"}, "only the cells of the region count"
    assert draw(write(_east(22, 15, 8)), {}).exit_code == 0


def test_cells_of_one_value_may_repeat(write, draw):
    dry = _east(0)
    assert draw(write(dry), {"repeated": "hold"}, [EAST]).exit_code == 0
    assert draw(write(dry), {"repeated": "hold"}, [EAST]).exit_code == 0


def test_a_new_file_name_hides_no_repeated_cells(write, draw, tmp_path):
    output = {"directory": tmp_path / "maps", "filename": "{name}_{time:%H}.png"}
    series = str(tmp_path / "t_{time:%Y%m%d%H}.tif")
    for hour, seed, code in (("06", 1, 0), ("12", 2, 0), ("18", 2, 1), ("19", 3, 0)):
        write(seed=seed, name=f"t_20260101{hour}.tif")
        assert draw(series, {"repeated": "hold"}, output=output).exit_code == code, hour


def test_prepared_cells_can_repeat_too(write, draw):
    prepare = {"prepare": [{"step": "expression", "formula": "b1 * 2"}]}
    raster = write()
    assert draw(raster, {"repeated": "hold"}, **prepare).exit_code == 0
    assert _states(draw(raster, {"repeated": "hold"}, **prepare)) == {"west": "unchanged", "east": "unchanged"}
    assert _states(draw(write(), {"repeated": "hold"}, **prepare)) == {"west": "failed", "east": "failed"}


@pytest.mark.parametrize("publish", ["replace", "runs"])
@pytest.mark.parametrize("rule", ["remove", "keep"])
def test_regions_without_an_event_are_skipped(publish, rule, write, draw, manifest, tmp_path):
    event = {"when": "max > 15", "no_event": rule}
    output = {"directory": tmp_path / "maps", "publish": publish}
    folder = tmp_path / ("maps" if publish == "replace" else "maps/latest")
    raster = write()
    assert draw(raster, {}, output=output).exit_code == 0
    report = draw(raster, event, output=output)
    assert (_states(report), report.exit_code) == ({"west": "skipped", "east": "rendered"}, 0)
    entry = manifest(folder.relative_to(tmp_path))["west.png"]
    assert re.fullmatch(r"no event: max is 9\.\d+, but \[publish\] when is 'max > 15'", entry["reason"])
    assert (folder / "west.png").exists() == (rule == "keep") == (entry["sha256"] is not None)
    again = draw(raster, event, output=output)
    assert _states(again) == {"west": "skipped", "east": "unchanged"}
    assert _states(draw(write(lambda cells: cells.__iadd__(30)), event, output=output)) == {
        "west": "rendered", "east": "rendered",
    }  # fmt: skip
    assert (folder / "west.png").exists()


def test_a_run_without_any_event_is_published(write, draw, manifest, tmp_path):
    """Otherwise, the link would lead to the maps of a past event."""
    output = {"directory": tmp_path / "maps", "publish": "runs"}
    assert draw(write(), {}, output=output).exit_code == 0
    calm = draw(write(seed=2), {"when": "max > 99"}, output=output)
    assert (calm.exit_code, calm.counts()["skipped"]) == (0, 2)
    assert not list((tmp_path / "maps" / "latest").glob("*.png"))
    assert {entry["state"] for entry in manifest("maps/latest").values()} == {"skipped"}
    event = draw(write(seed=3), {"when": "max > 9"}, output=output)
    assert len(event.drawn) == len(list((tmp_path / "maps" / "latest").glob("*.png"))) == 2
    kept = draw(write(seed=4), {"when": "max > 99", "no_event": "keep"}, output=output)
    assert (kept.exit_code, len(list((tmp_path / "maps" / "latest").glob("*.png")))) == (0, 2)


def test_a_changed_file_is_not_removed(write, draw, tmp_path, caplog):
    raster = write()
    draw(raster, {})
    (tmp_path / "maps" / "west.png").write_bytes(b"mine")
    report = draw(raster, {"when": "max > 15"})
    assert (tmp_path / "maps" / "west.png").read_bytes() == b"mine"
    assert not report.removed
    assert "not removed" in caplog.text


def test_conditions_see_the_share_of_pixels_and_percentiles(write, draw):
    half = write(_east(-9999, slice(10, 15)))
    assert _states(draw(half, {"when": "valid < 0.7"})) == {"west": "skipped", "east": "rendered"}
    assert _states(draw(half, {"when": "valid == 1 and p50 < 8 and p100 == max"})) == {
        "west": "rendered", "east": "skipped",
    }  # fmt: skip


def test_a_region_outside_the_raster_fails_as_before(write, draw):
    outside = Region("outside", Extent(10, 20, 35, 45))
    report = draw(write(), {"when": "max > 0", "min_valid": 0.5}, [WEST, outside])
    assert report.failed[0].failure.cause == "NoOverlapError"


def test_a_check_takes_precedence_over_empty_regions(write, draw):
    empty = {"map": {"size": [200, 150], "empty": "skip"}}
    raster = write(_east(-9999))
    assert _states(draw(raster, {"max_value": 50}, **empty)) == {"west": "rendered", "east": "skipped"}
    assert _states(draw(raster, {"min_valid": 0.5}, **empty)) == {"west": "rendered", "east": "failed"}


def test_true_color_has_no_values(write_raster, draw):
    bands = np.random.default_rng(1).integers(1, 255, (3, 20, 20)).astype(np.uint8)
    raster, plain = write_raster(bands, photometric="RGB"), {"colors": {}}
    for key, value in {"max_value": 3, "when": "max > 3", "min_value": 3}.items():
        with pytest.raises(ConfigError, match=rf"\[publish\] {key}: the raster is drawn in true color"):
            draw(raster, {key: value}, **plain)
    passing = {"min_valid": 0.9, "when": "count > 1 and valid > 0.5", "blank": "hold", "repeated": "hold"}
    assert draw(raster, passing, **plain).exit_code == 0
    assert draw(raster, {"min_valid": 0.9, "when": "valid < 0.5"}, **plain).counts()["skipped"] == 2


def test_products_have_their_own_checks(write, draw, manifest):
    products = {
        "strict": {"publish": {"max_value": 15}},
        "events": {"publish": {"when": "max > 15"}},
        "plain": {},
    }
    report = draw(write(), {"min_valid": 0.1}, products=products)
    states = {job.name: state for job, state in ((o.job, o.failure or o.value.state) for o in report.outcomes)}
    assert states.pop("strict/east").cause == "HeldBackError"
    assert states == {
        "strict/west": "rendered", "events/west": "skipped", "events/east": "rendered",
        "plain/west": "rendered", "plain/east": "rendered",
    }  # fmt: skip
    assert "reason" in manifest()["events/west.png"]


@pytest.mark.parametrize("colors", [{"levels": [0, 5, 10, 20, 25]}, {"vmin": 0, "vmax": 30}, {"scale": "region"}])
def test_checked_maps_have_the_same_pixels(colors, write, draw, tmp_path):
    checks, raster = {"min_valid": 0.5, "blank": "hold", "when": "valid > 0.5", "max_value": 90}, write()
    pixels = []
    for publish in ({}, checks):
        assert draw(raster, publish, force=True, colors=colors).exit_code == 0
        with Image.open(tmp_path / "maps" / "west.png") as image:
            pixels.append(np.asarray(image.convert("RGB")))
    assert (pixels[0] == pixels[1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver", "threads"])
def test_all_start_methods_make_the_same_checks(method, write, draw):
    checks = {"when": "max > 3", "max_value": 25, "repeated": "hold", "blank": "hold", "min_valid": 0.5}
    raster = write()
    assert _states(draw(raster, checks, method=method)) == {"west": "rendered", "east": "failed"}
    assert _states(draw(raster, checks, method=method)) == {"west": "unchanged", "east": "failed"}
    assert _states(draw(write(), checks, method=method)) == {"west": "failed", "east": "failed"}


def test_maps_of_a_function_are_checked_by_their_cells(write, draw):
    def plot(_shared, _region):
        return np.zeros((150, 200, 3), np.uint8)

    drawn = {"map": {"size": [200, 150], "draw": plot}}
    raster = write(_east(7))
    assert _states(draw(raster, {"blank": "hold"}, **drawn)) == {"west": "rendered", "east": "failed"}
    assert _states(draw(raster, {"when": "max > 8"}, **drawn)) == {"west": "rendered", "east": "skipped"}


@pytest.mark.parametrize("kind", ["held back", "skipped", "empty"])
def test_an_old_map_keeps_its_description(kind, write, draw, manifest):
    """The alternative text and the mark for missing data describe the map in the folder, not the data of the run."""
    publish = {"held back": {"min_valid": 0.5}, "skipped": {"when": "count > 0", "no_event": "keep"}, "empty": {}}[kind]
    tables = {"map": {"size": [200, 150], "empty": "skip"}, "statistics": {"alt_text": True}}
    draw(write(), publish, **tables)
    before = manifest()["east.png"]
    assert before["alt"]
    assert _states(draw(write(_east(-9999)), publish, **tables))["east"] in ("failed", "skipped")
    assert _states(draw(write(), publish, **tables))["east"] == "unchanged"
    draw(write(_east(-9999)), publish, **tables)
    after = manifest()["east.png"]
    assert {key: after[key] for key in ("alt", "no_data", "sha256")} == {
        key: before[key] for key in ("alt", "no_data", "sha256")
    }
    report = draw(write(), publish, **tables)
    assert _states(report)["east"] == "unchanged"
    assert not report.outcomes[1].value.no_data
