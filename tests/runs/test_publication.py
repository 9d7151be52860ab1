"""Maps are published one by one, or all maps of a run at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regionplot.errors import OutputError
from regionplot.runs.publication import PublicationByRun, RunEnd, link_or_copy, make_publication
from regionplot.settings.output import OutputSettings
from regionplot.system.files import new_run

COMPLETE = RunEnd(has_maps=True, is_complete=True)
INCOMPLETE = RunEnd(has_maps=True, is_complete=False)
WITHOUT_MAPS = RunEnd(has_maps=False, is_complete=False)


def publish(directory: Path, end: RunEnd = COMPLETE, *, keep: int = 2, partial: bool = False) -> PublicationByRun:
    """Start and finish a run of one map."""
    run = PublicationByRun(directory, new_run(), keep, partial)
    run.folder.mkdir()
    (run.folder / "map.svg").write_text(run.run)
    run.finish(end)
    return run


def test_by_default_each_map_replaces_the_older_one(tmp_path: Path) -> None:
    replace = make_publication(OutputSettings(directory=tmp_path), "run")
    assert replace.folder == replace.previous == tmp_path
    replace.finish(INCOMPLETE)
    assert list(tmp_path.iterdir()) == []


def test_the_latest_run_is_reached_through_a_link(tmp_path: Path) -> None:
    settings = OutputSettings(directory=tmp_path, publish="runs", keep=3)
    assert make_publication(settings, "run") == PublicationByRun(tmp_path, "run", 3, False)
    for _ in range(2):
        run = publish(tmp_path)
        assert (tmp_path / "latest").readlink() == Path(run.run)
        assert (tmp_path / "latest" / "map.svg").read_text() == run.run
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("partial", [False, True])
def test_a_run_with_missing_maps_becomes_the_latest_only_on_request(tmp_path: Path, partial: bool) -> None:
    good = publish(tmp_path)
    bad = publish(tmp_path, INCOMPLETE, partial=partial)
    assert (tmp_path / "latest").readlink() == Path((bad if partial else good).run)


def test_a_failed_run_without_a_map_leaves_no_folder(tmp_path: Path) -> None:
    run = PublicationByRun(tmp_path, new_run(), 2, False)
    run.folder.mkdir()
    (run.folder / "manifest.json").write_text("{}")
    run.finish(WITHOUT_MAPS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["map.png", "map.webp", "map.pdf", "folder/map.svg"])
def test_a_run_with_maps_of_any_format_keeps_its_folder(tmp_path: Path, name: str) -> None:
    for end in (COMPLETE, INCOMPLETE):
        run = PublicationByRun(tmp_path, new_run(), 2, False)
        (run.folder / name).parent.mkdir(parents=True)
        (run.folder / name).write_text("map")
        run.finish(end)
        assert (run.folder / name).read_text() == "map"


def test_the_oldest_runs_are_removed_but_not_the_latest_run_or_other_folders(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    good = publish(tmp_path)
    runs = [publish(tmp_path, INCOMPLETE) for _ in range(5)]
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"mine", "latest", good.run, runs[-1].run}, "failed runs do not push good ones out"
    newer = [publish(tmp_path) for _ in range(4)]
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "latest", *(run.run for run in newer[-3:])}


def test_a_folder_in_the_place_of_the_link_is_an_error_before_anything_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(OutputError, match="latest: not a link"):
        make_publication(OutputSettings(directory=tmp_path, publish="runs"), "run")
    with pytest.raises(OutputError, match="cannot be made a link"):
        publish(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_a_run_without_maps_is_not_published(tmp_path: Path) -> None:
    good = publish(tmp_path)
    for is_complete in (True, False):
        PublicationByRun(tmp_path, new_run(), 2, True).finish(RunEnd(has_maps=False, is_complete=is_complete))
    assert (tmp_path / "latest").readlink() == Path(good.run)


def test_an_interrupted_run_is_not_published_even_in_part(tmp_path: Path) -> None:
    good, run = publish(tmp_path), PublicationByRun(tmp_path, new_run(), 2, True)
    run.folder.mkdir()
    (run.folder / "map.svg").touch()
    run.finish(RunEnd(has_maps=True, is_complete=False, is_interrupted=True))
    assert (tmp_path / "latest").readlink() == Path(good.run)


def test_an_unchanged_map_is_linked_into_the_new_run(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "a" / "map.svg", tmp_path / "new" / "a" / "map.svg"
    old.parent.mkdir(parents=True)
    old.write_text("map")
    link_or_copy(old, new)
    assert old.samefile(new)
    link_or_copy(old, old)
    assert old.read_text() == "map"


def test_an_unchanged_map_is_copied_if_links_are_not_possible(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "map.svg").write_text("map")
    link_or_copy(tmp_path / "map.svg", tmp_path / "new" / "map.svg")
    assert (tmp_path / "new" / "map.svg").read_text() == "map"
