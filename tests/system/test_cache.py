"""Test the cache of arrays, and projected vectors that are read from the cache."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import shapely

from regionplot.geo.crs import parse_crs
from regionplot.inputs.vector_layers import load_layer
from regionplot.layers.features import FeatureSettings
from regionplot.sample import locate
from regionplot.system import array_file
from regionplot.system.cache import ArrayCache, digest, user_cache, user_cache_folder

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
    assert [path.name for path in cache.folder.iterdir()] == ["a.arrays"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not an archive", b"\x80\x04\x95 a pickle"])
def test_a_damaged_entry_counts_as_missing(cache, content):
    cache.write("a", ARRAYS)
    (cache.folder / "a.arrays").write_bytes(content)
    assert cache.read("a") is None


def test_a_damaged_entry_is_replaced(cache):
    cache.write("a", ARRAYS)
    (cache.folder / "a.arrays").write_bytes(b"RPA1")
    cache.write("a", ARRAYS)
    assert cache.read("a").keys() == ARRAYS.keys()
    assert [path.name for path in cache.folder.iterdir()] == ["a.arrays"]


@pytest.mark.parametrize("is_new", [True, False])
def test_a_write_that_fails_leaves_no_part_of_an_entry(is_new, cache, monkeypatch):
    if not is_new:
        cache.write("a", ARRAYS)

    def write_half(file, _):
        file.write(b"RPA1")
        file.flush()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(array_file, "write_arrays", write_half)
    cache.write("a", {"x": np.zeros(3)})
    assert [path.name for path in cache.folder.iterdir()] == ([] if is_new else ["a.arrays"])
    assert cache.has("a") is not is_new
    assert is_new or cache.read("a").keys() == ARRAYS.keys()


def test_a_truncated_entry_counts_as_missing(cache):
    cache.write("a", ARRAYS)
    path = cache.folder / "a.arrays"
    path.write_bytes(path.read_bytes()[:-40])
    assert cache.read("a") is None


def test_an_entry_is_found_without_reading_it(cache):
    assert not cache.has("a")
    cache.write("a", ARRAYS)
    assert cache.has("a")


def test_a_folder_of_many_small_entries_stays_bounded(tmp_path):
    rows = {"a": np.zeros(1000, np.uint8)}
    cache = ArrayCache(tmp_path / "cache", max_bytes=50_000, writes_per_trim=4)
    for number in range(400):
        cache.write(f"{number}", rows)
    size = sum(path.stat().st_size for path in cache.folder.iterdir())
    assert size < 200_000, "the limit, and the entries that are written between two checks"


def test_folder_and_entries_are_private_also_with_an_open_umask(cache):
    cache.folder.mkdir(mode=0o777)
    cache.folder.chmod(0o777)
    before = os.umask(0)
    try:
        cache.write("a", ARRAYS)
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((cache.folder / "a.arrays").stat().st_mode) == 0o600


PLANTED = {
    "link": lambda path: path.symlink_to(path.with_name("b.arrays")),
    "hard link": lambda path: path.hardlink_to(path.with_name("b.arrays")),
    "pipe": os.mkfifo,
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.skipif(sys.platform == "win32", reason="files of POSIX")
@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_entry_is_not_read_and_causes_no_error(cache, kind):
    cache.write("b", ARRAYS)
    PLANTED[kind](cache.folder / "a.arrays")
    assert cache.read("a") is None
    cache.write("a", ARRAYS)
    assert (cache.read("a") is None) == (kind == "folder"), "a folder cannot be replaced"
    assert cache.read("b") is not None or kind == "hard link"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owner")
@pytest.mark.parametrize("foreign", ["a.arrays", "."])
def test_a_folder_or_entry_of_another_user_is_not_used(cache, foreign, monkeypatch):
    cache.write("a", ARRAYS)
    owner = (cache.folder / foreign).stat().st_ino
    real = os.fstat if foreign == "a.arrays" else os.lstat

    def stat_of(path, *arguments, **options):
        found = real(path, *arguments, **options)
        return os.stat_result([*found[:4], found.st_uid + 1, *found[5:]]) if found.st_ino == owner else found

    monkeypatch.setattr(os, real.__name__, stat_of)
    monkeypatch.setattr(Path, "lstat", lambda path: os.lstat(path))
    assert cache.read("a") is None
    if foreign == ".":
        cache.write("b", ARRAYS)
        assert not (cache.folder / "b.arrays").exists()


def test_a_folder_that_is_a_link_is_not_used(cache, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    cache.folder.symlink_to(tmp_path / "elsewhere")
    cache.write("a", ARRAYS)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_link_or_missing_entry_does_not_disturb_the_removal_of_old_entries(tmp_path):
    cache = ArrayCache(tmp_path, max_bytes=10)
    (tmp_path / "old.arrays").symlink_to("nothing")
    cache.write("a", ARRAYS)
    assert not (tmp_path / "old.arrays").is_symlink()


def test_a_folder_that_cannot_be_created_causes_no_error(tmp_path):
    (tmp_path / "file").touch()
    cache = ArrayCache(tmp_path / "file" / "cache")
    cache.write("a", ARRAYS)
    assert cache.read("a") is None


def test_the_least_recently_used_entries_are_removed(tmp_path):
    cache = ArrayCache(tmp_path, max_bytes=3000)
    for number, key in enumerate("abc"):
        cache.write(key, {"x": np.zeros(100)})
        os.utime(tmp_path / f"{key}.arrays", (number, number))
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


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
@pytest.mark.parametrize("home", [None, "", "relative"])
def test_without_a_home_folder_there_is_no_cache_and_no_error(home, monkeypatch):
    """The user has no entry in the password file, either, as in a container with an arbitrary user id."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    assert user_cache() is None
    with pytest.raises(FileNotFoundError, match="set HOME or XDG_CACHE_HOME"):
        user_cache_folder()


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
@pytest.mark.parametrize("cache", [None, "", "relative", "/somewhere", "/with/end/"])
@pytest.mark.parametrize("home", [None, "/home/someone", "/home/someone/"])
def test_the_cache_folder_is_that_of_platformdirs(cache, home, monkeypatch):
    for name, value in (("XDG_CACHE_HOME", cache), ("HOME", home)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert user_cache_folder() == Path(platformdirs.user_cache_dir("regionplot"))
