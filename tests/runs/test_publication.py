"""How maps come before the public: one by one, or a run at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regionplot.errors import OutputError
from regionplot.runs.publication import Runs, link_or_copy, publication
from regionplot.settings.output import OutputSettings
from regionplot.system.files import new_run


def publish(directory: Path, *, complete: bool = True, keep: int = 2, partial: bool = False) -> Runs:
    """A run of one map, from its start to its end."""
    run = Runs(directory, new_run(), keep, partial)
    run.folder.mkdir()
    (run.folder / "map.png").write_text(run.run)
    run.finish(complete=complete)
    return run


def test_by_default_each_map_replaces_the_older_one(tmp_path: Path) -> None:
    way = publication(OutputSettings(directory=tmp_path), "run")
    assert way.folder == way.previous == tmp_path
    way.finish(complete=False)
    assert list(tmp_path.iterdir()) == []


def test_the_latest_run_is_reached_through_a_link(tmp_path: Path) -> None:
    settings = OutputSettings(directory=tmp_path, publish="runs", keep=3)
    assert publication(settings, "run") == Runs(tmp_path, "run", 3, False)
    for _ in range(2):
        run = publish(tmp_path)
        assert (tmp_path / "latest").readlink() == Path(run.run)
        assert (tmp_path / "latest" / "map.png").read_text() == run.run
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("partial", [False, True])
def test_a_run_of_which_maps_are_missing_becomes_the_latest_only_if_asked_to(tmp_path: Path, partial: bool) -> None:
    good = publish(tmp_path)
    bad = publish(tmp_path, complete=False, partial=partial)
    assert (tmp_path / "latest").readlink() == Path((bad if partial else good).run)


def test_a_failed_run_without_a_map_leaves_no_folder(tmp_path: Path) -> None:
    run = Runs(tmp_path, new_run(), 2, False)
    run.folder.mkdir()
    (run.folder / "manifest.json").write_text("{}")
    run.finish(complete=False)
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_runs_go_but_never_the_latest_nor_anything_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    good = publish(tmp_path)
    runs = [publish(tmp_path, complete=False) for _ in range(5)]
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"mine", "latest", good.run, runs[-1].run}, "failed runs do not push good ones out"
    newer = [publish(tmp_path) for _ in range(4)]
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "latest", *(run.run for run in newer[-3:])}


def test_a_folder_in_the_place_of_the_link_is_told_before_anything_is_drawn_and_left(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(OutputError, match="latest: it is not the link"):
        publication(OutputSettings(directory=tmp_path, publish="runs"), "run")
    with pytest.raises(OutputError, match="cannot be made a link"):
        publish(tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_nothing_is_never_published(tmp_path: Path) -> None:
    good = publish(tmp_path)
    for complete in (True, False):
        Runs(tmp_path, new_run(), 2, True).finish(complete=complete)
    assert (tmp_path / "latest").readlink() == Path(good.run)


def test_a_run_that_was_cut_short_is_not_published_even_in_part(tmp_path: Path) -> None:
    good, run = publish(tmp_path), Runs(tmp_path, new_run(), 2, True)
    run.folder.mkdir()
    (run.folder / "map.png").touch()
    run.finish(complete=False, ended=False)
    assert (tmp_path / "latest").readlink() == Path(good.run)


def test_an_unchanged_map_is_linked_into_the_new_run(tmp_path: Path) -> None:
    old, new = tmp_path / "old" / "a" / "map.png", tmp_path / "new" / "a" / "map.png"
    old.parent.mkdir(parents=True)
    old.write_text("map")
    link_or_copy(old, new)
    assert old.samefile(new)
    link_or_copy(old, old)
    assert old.read_text() == "map"


def test_where_links_cannot_be_made_an_unchanged_map_is_copied(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "map.png").write_text("map")
    link_or_copy(tmp_path / "map.png", tmp_path / "new" / "map.png")
    assert (tmp_path / "new" / "map.png").read_text() == "map"
