"""The command after a run: its arguments, its limits, and its failures."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from manifest_schema import check_manifest

from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.run import render_regions
from regionplot.settings.loading import read_config
from regionplot.system.programs import run_program

EAST = Region("$(touch hacked); `x`", Extent(-84.5, -75.3, 33.8, 36.7), title="; rm -rf", origin="r.csv:2")
OUTSIDE = Region("outside", Extent(100, 110, -30, -20), origin="r.csv:3")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the test commands are shell scripts")


@pytest.fixture
def folder(tmp_path):
    """A folder with the program `note.sh`, which writes its arguments to a file."""
    program = tmp_path / "note.sh"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/arguments\necho "to stdout"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
def draw(folder):
    """Draw with a command that is written in a settings file. Return the report, the arguments and the manifest."""

    def draw(command, regions=(EAST,), more="", output="", raster='path = "sample:relief"'):
        (folder / "arguments").unlink(missing_ok=True)
        path = folder / "regionplot.toml"
        path.write_text(
            f"[raster]\n{raster}\n[map]\nsize = [200, 150]\n[output]\n{output}\n"
            f'[run]\nstart_method = "serial"\non_published = {command}\n{more}\n'
        )
        report = render_regions(list(regions), read_config(path))
        noted = (folder / "arguments").read_text().splitlines() if (folder / "arguments").exists() else []
        latest = folder / "output" / "latest"
        document = json.loads(((latest if latest.exists() else folder / "output") / "manifest.json").read_text())
        check_manifest(document)
        return report, noted, document["run"].get("on_published")

    return draw


def test_a_command_gets_the_folder_and_the_numbers_of_maps(draw, folder):
    command = '["./note.sh", "{path}", "{maps} of {drawn:03d}", "{failed}", "a b; $HOME `x` *", "{{path}}"]'
    report, noted, result = draw(command)
    assert report.exit_code == 0
    assert noted == [str(folder / "output"), "1 of 001", "0", "a b; $HOME `x` *", "{path}"]
    assert (result["exit_code"], result["error"]) == (0, None)
    assert result["command"] == [str(folder / "note.sh"), *noted]
    report, noted, _ = draw(command, [EAST, OUTSIDE])
    assert report.exit_code == 1
    assert noted[:3] == [str(folder / "output"), "1 of 000", "1"], "an unchanged map is up to date"
    assert not (folder / "hacked").exists()


def test_a_published_run_is_named(draw, folder):
    runs = 'publish = "runs"'
    _, noted, result = draw('["./note.sh", "{path}"]', output=runs)
    assert noted == [str((folder / "output" / "latest").resolve())]
    assert result["error"] is None
    report, noted, result = draw('["./note.sh", "{path}"]', [EAST, OUTSIDE], output=runs)
    assert (report.exit_code, noted) == (1, []), "a run with failed maps is not published"
    partial = f"{runs}\npublish_partial = true"
    _, noted, _ = draw('["./note.sh", "{failed}"]', [EAST, OUTSIDE], output=partial)
    assert noted == ["1"]


def test_no_command_runs_if_all_maps_fail(draw):
    report, noted, result = draw('["./note.sh"]', [OUTSIDE])
    assert (report.exit_code, noted, result) == (1, [], None)


def test_the_time_is_that_of_the_data(draw, write_raster):
    cells = np.arange(600, dtype=np.float32).reshape(20, 30)
    tagged = write_raster(cells, tags={"VALID_TIME": "2026-03-10T06:00:00"})
    region = Region("r", Extent(-95, -80, 35, 45))
    command = '["./note.sh", "{time:%Y%m%d%H}"]'
    _, noted, _ = draw(command, [region], raster=f'path = "{tagged}"')
    assert noted == ["2026031006"]
    for hour in (3, 9):
        write_raster(cells, name=f"t_{datetime(2026, 3, 11, hour, tzinfo=UTC):%Y%m%d%H}.tif")
    series = f'path = "{tagged.parent}/t_{{time:%Y%m%d%H}}.tif"\ntime = "all"'
    _, noted, _ = draw(command, [region], raster=series)
    assert noted == ["2026031109"], "the latest time"
    report, noted, result = draw(command)
    assert (report.exit_code, noted) == (0, [])
    assert "the time of the data is unknown" in result["error"]


FAILURES = {
    "exit code": ('["sh", "-c", "seq 1 9 >&2; exit 3"]', 3, "ended with exit code 3: 5 | 6 | 7 | 8 | 9"),
    "no text": ('["false"]', 1, "ended with exit code 1"),
    "signal": ('["sh", "-c", "kill -9 $$"]', -9, "was killed by signal 9"),
    "binary": (
        '["sh", "-c", "printf \'\\\\377\\\\033[31m\' >&2; exit 1"]',
        1,
        "ended with exit code 1: \ufffd\\x1b[31m",
    ),
    "time limit": ('["sh", "-c", "echo slow >&2; sleep 60"]', None, "exceeded its time limit of 0.2 s"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_reported_and_affects_no_map(kind, draw, caplog):
    command, code, message = FAILURES[kind]
    report, _, result = draw(command, more="on_published_timeout = 0.2")
    assert (report.exit_code, len(report.drawn)) == (0, 1)
    assert result["exit_code"] == code
    assert result["error"].startswith(message)
    assert f"[run] on_published: {result['command'][0]} {message}" in caplog.text
    assert "the maps are published" in caplog.text


def test_a_program_that_cannot_be_started_is_a_failure(draw, folder, caplog):
    (folder / "note.sh").write_text("no program")
    report, _, result = draw('["./note.sh"]')
    assert report.exit_code == 0
    assert result["error"].startswith("cannot be started: ")
    assert "cannot be started" in caplog.text


def test_the_processes_of_a_late_program_are_ended(tmp_path):
    pid = tmp_path / "pid"
    start = time.monotonic()
    end = run_program(["sh", "-c", f"trap '' TERM; sleep 60 & echo $! > {pid}; wait; sleep 60"], 0.3)
    assert end.exit_code is None
    assert time.monotonic() - start < 20
    number = int(pid.read_text())
    for _ in range(100):
        status = Path(f"/proc/{number}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the child of the program still runs")


def test_a_program_that_leaves_a_process_behind_is_not_waited_for():
    start = time.monotonic()
    assert run_program(["sh", "-c", "sleep 5 & exit 0"], 10).exit_code == 0
    assert time.monotonic() - start < 4


WRONG = {
    '"rsync a b"': "must be a list of the program and its arguments",
    "[]": "must have at least the name of the program",
    '["{path}"]': "first item must be the name of the program, without fields",
    '[""]': "first item must be the name of the program",
    '["true", 3]': "item 2 must be text",
    '["true", "{name}"]': "item 2: there is no field 'name'; the fields are: path, time, maps, drawn, failed",
    '["true", "{path"]': "expected '}'",
    '["true", "{path.parent}"]': "must be a plain field name",
    '["no_such_program_here"]': "there is no such program",
    '["./regionplot.toml"]': "it is not a program",
    '["true", "\\u0000"]': "item 2 must be text",
}


@pytest.mark.parametrize("command", WRONG)
def test_wrong_commands_are_errors_of_the_key_before_anything_is_drawn(command, draw, folder):
    with pytest.raises(ConfigError, match=r"regionplot.toml:9: \[run\] on_published: ") as caught:
        draw(command)
    assert WRONG[command] in str(caught.value)
    assert not (folder / "output").exists()
