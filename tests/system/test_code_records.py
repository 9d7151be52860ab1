"""What source files contain is kept on disk, as long as no file of the package changes."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

from regionplot.system import code, code_records
from regionplot.system.cache import ArrayCache
from regionplot.system.code_records import LibraryFile, Sources, known_file, known_sources
from regionplot.system.marks import are_older, own_marks

MODULES = ("package.one",)


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    """Return the folder of a package that stands for this package. Its files count as old."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name, text in {"__init__": "", "one": "from package import two\n", "two": "import numpy\n"}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code_records, "_PACKAGE", folder)
    monkeypatch.setattr(code_records, "are_older", lambda *_: True)
    return folder


@pytest.fixture
def find(tmp_path, monkeypatch):
    """Return a function that finds the sources as a new process does, and tells whether it has read the files."""
    reads = []
    read = Sources.of.__func__
    monkeypatch.setattr(Sources, "of", classmethod(lambda cls, modules: reads.append(1) or read(cls, modules)))
    records = ArrayCache(tmp_path / "records")

    def find(modules=MODULES, records=records):
        for function in (*vars(code).values(), own_marks, known_sources):
            if hasattr(function, "cache_clear"):
                function.cache_clear()
        reads.clear()
        return known_sources(modules, records), bool(reads)

    return find


def test_files_are_read_once(find):
    first, was_read = find()
    assert was_read
    assert first.libraries == ("numpy",)
    assert find() == (first, False)


def test_a_changed_file_is_read(find, package):
    first, _ = find()
    time.sleep(0.02)  # the resolution of the times of files
    (package / "two.py").write_text("import shapely, pyproj\n")
    changed, was_read = find()
    assert was_read
    assert changed.libraries == ("pyproj", "shapely")
    assert changed.digest != first.digest
    assert find() == (changed, False)


def test_a_file_with_its_old_size_and_time_is_read(find, package):
    find()
    time.sleep(0.02)
    path = package / "two.py"
    before = path.stat()
    path.write_text("import shapy\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert find()[1]


def test_young_files_have_no_record(find, monkeypatch):
    monkeypatch.setattr(code_records, "are_older", are_older)
    first, _ = find()
    assert find() == (first, True)


def test_a_damaged_record_is_not_used(find, tmp_path):
    first, _ = find()
    (record,) = (tmp_path / "records").iterdir()
    ArrayCache(tmp_path / "records").write(record.stem, {**first.arrays(), "digest": first.arrays()["digest"][:5]})
    assert find() == (first, True)


def test_modules_of_other_packages_and_runs_without_cache_have_no_record(find, tmp_path):
    (tmp_path / "other.py").write_text("import numpy\n")
    for _ in range(2):
        assert find(("other", "package.one"))[1]
        assert find(records=None)[1]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Return a file, and a function that tells what it contains and whether it was read."""
    path, reads, read = tmp_path / "library.so", [], Path.read_bytes
    path.write_bytes(b"uses libfreetype")
    monkeypatch.setattr(Path, "read_bytes", lambda path: reads.append(path) or read(path))

    own = ArrayCache(tmp_path / "records")

    def find(records=own, word=b"libfreetype"):
        reads.clear()
        return known_file(path, word, records), bool(reads)

    return path, find


def test_a_file_of_a_library_is_read_again_only_if_it_has_changed(library):
    path, find = library
    first = LibraryFile(hashlib.sha256(b"uses libfreetype").hexdigest(), has_word=True)
    assert [find(), find()] == [(first, True), (first, False)]
    assert find(word=b"libpng") == (LibraryFile(first.digest, has_word=False), True)
    time.sleep(0.02)
    path.write_bytes(b"uses libfreetipe")
    changed = LibraryFile(hashlib.sha256(b"uses libfreetipe").hexdigest(), has_word=False)
    assert [find(), find()] == [(changed, True), (changed, False)]
    assert find(records=None) == (changed, True)


def test_a_young_file_of_a_library_has_no_record(library, monkeypatch):
    monkeypatch.setattr(code_records, "are_older", are_older)
    _, find = library
    assert [was_read for _, was_read in (find(), find())] == [True, True]


@pytest.mark.parametrize("damage", [{"digest": np.zeros(3, np.uint8)}, {"has_word": np.zeros(2, bool)}, None])
def test_a_damaged_record_of_a_library_is_not_used(damage, library, tmp_path):
    _, find = library
    first, _ = find()
    (record,) = (tmp_path / "records").iterdir()
    ArrayCache(tmp_path / "records").write(record.stem, {**first.arrays(), **damage} if damage else {})
    assert find() == (first, True)
