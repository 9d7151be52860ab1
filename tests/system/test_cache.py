"""Test the cache of arrays, and projected vectors that are read from the cache."""

from __future__ import annotations

import os

import numpy as np
import pytest
import shapely

from regionplot.geo.crs import parse_crs
from regionplot.inputs.vectors import load_layer
from regionplot.layers.features import FeatureSettings
from regionplot.sample import locate
from regionplot.system.cache import ArrayCache, digest

ALBERS = parse_crs("EPSG:5070")
ARRAYS = {"points": np.arange(12.0).reshape(6, 2), "offsets": np.array([0, 2, 6])}


@pytest.fixture
def cache(tmp_path):
    return ArrayCache(tmp_path / "cache")


def test_written_arrays_are_read_again(cache):
    assert cache.read("a") is None
    cache.write("a", ARRAYS)
    found = cache.read("a")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
    assert [path.name for path in cache.folder.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not an archive", b"\x80\x04\x95 a pickle"])
def test_a_damaged_entry_counts_as_missing(cache, content):
    cache.write("a", ARRAYS)
    (cache.folder / "a.npz").write_bytes(content)
    assert cache.read("a") is None


def test_a_truncated_entry_counts_as_missing(cache):
    cache.write("a", ARRAYS)
    path = cache.folder / "a.npz"
    path.write_bytes(path.read_bytes()[:-40])
    assert cache.read("a") is None


def test_a_folder_that_cannot_be_created_causes_no_error(tmp_path):
    (tmp_path / "file").touch()
    cache = ArrayCache(tmp_path / "file" / "cache")
    cache.write("a", ARRAYS)
    assert cache.read("a") is None


def test_the_least_recently_used_entries_are_removed(tmp_path):
    cache = ArrayCache(tmp_path, max_bytes=4000)
    for number, key in enumerate("abc"):
        cache.write(key, {"x": np.zeros(100)})
        os.utime(tmp_path / f"{key}.npz", (number, number))
    assert cache.read("a") is not None  # reading updates the time of last use, so entry b is the oldest
    cache.write("d", {"x": np.zeros(100)})
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c", "d"}


def test_digests_depend_on_texts_and_contents(tmp_path):
    one, other = tmp_path / "one.shp", tmp_path / "other.shp"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    keys = [digest(["a"], [one]), digest(["a"], [other]), digest(["b"], [one]), digest(["a", ""], [one])]
    assert len(set(keys)) == 4
    assert digest(["a"], [one]) == keys[0]


@pytest.mark.parametrize("facecolor", ["none", "red"])
def test_a_cached_layer_equals_the_projected_layer(cache, facecolor):
    settings = FeatureSettings(path=locate("countries"), facecolor=facecolor)
    fresh, cached = load_layer(settings, ALBERS, cache), load_layer(settings, ALBERS, cache)
    for kind in ("lines", "polygons", "points"):
        np.testing.assert_array_equal(
            shapely.to_wkb(getattr(fresh, kind)), shapely.to_wkb(getattr(cached, kind)), err_msg=kind
        )
    assert bool(cached.polygons.size) == (facecolor != "none")


def test_a_cached_layer_is_not_read_from_its_file(cache):
    settings = FeatureSettings(path=locate("countries"))
    fresh = load_layer(settings, ALBERS, cache)
    cache.write(
        fresh.key, {name: array + 1 if name == "lines" else array for name, array in cache.read(fresh.key).items()}
    )
    cached = load_layer(settings, ALBERS, cache)
    np.testing.assert_array_equal(shapely.get_coordinates(cached.lines), shapely.get_coordinates(fresh.lines) + 1)


def test_points_are_read_from_the_cache(cache, write_vector):
    settings = FeatureSettings(path=write_vector([shapely.Point(-90, 40), shapely.Point(-80, 30)]))
    fresh, cached = load_layer(settings, ALBERS, cache), load_layer(settings, ALBERS, cache)
    np.testing.assert_array_equal(shapely.get_coordinates(fresh.points), shapely.get_coordinates(cached.points))
    assert cached.points.size == 2


def test_a_changed_file_is_read_again(cache, write_vector):
    path = write_vector([shapely.Point(-90, 40)])
    assert load_layer(FeatureSettings(path=path), ALBERS, cache).points.size == 1
    path = write_vector([shapely.Point(-90, 40), shapely.Point(-80, 30)])
    assert load_layer(FeatureSettings(path=path), ALBERS, cache).points.size == 2
