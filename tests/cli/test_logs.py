"""Test the log: its records and its rotation. Text from a table of regions must not forge lines."""

from __future__ import annotations

import json
import logging
import os
import re
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest

import regionplot
from regionplot.cli import draw_maps
from regionplot.cli.log_file import log_to_file
from regionplot.cli.logs import JsonFormatter, LineFormatter, ShortFormatter, WithoutRepeats
from regionplot.text import one_line

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
TABLE = (
    "name,west,east,south,north\neast,-84.5,-75.3,33.8,36.7\noutside,100,110,-30,-20\n"
    '"evil\n2026-01-01T00:00:00.000+00:00 INFO regionplot.run: ended with exit code 0",-124,-114,33,42\n'
    '"\x1b[2Jodd\u2028\u202e",100,110,-30,-20\n'
)
LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00) (INFO|ERROR) regionplot\.run: (.*)")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "regionplot.toml").write_text('[raster]\npath = "sample:relief"\n[map]\nsize = [300, 200]\n')
    (tmp_path / "regions.csv").write_text(TABLE.partition('"evil')[0], encoding="utf-8")
    return tmp_path


@pytest.fixture
def run(run_command):
    return lambda folder, *arguments: run_command(folder, "regions.csv", *arguments)


@pytest.fixture
def logger():
    logger = logging.getLogger("regionplot.test_logs")
    logger.setLevel(logging.INFO)
    return logger


def test_the_log_has_the_start_each_map_and_the_end(run, folder):
    before = datetime.now(UTC)
    assert run(folder, "-q", "--log-file", "run.log").returncode == 1
    start, *maps, end = (LINE.fullmatch(line).groups() for line in (folder / "run.log").read_text().splitlines())
    config = re.escape(str(folder / "regionplot.toml"))
    assert re.fullmatch(
        rf"regionplot {regionplot.__version__} started: config ({config}|regionplot.toml), "
        r"raster .*relief\.tif, maps: 2, [12] x fork",
        start[2],
    )
    drawn, failed = sorted(maps, key=lambda line: line[1], reverse=True)
    assert re.fullmatch(rf"drawn: east, {folder}/output/east\.png, \d+\.\d{{3}} s", drawn[2])
    assert re.fullmatch(r"failed: regions\.csv:3: outside: .* \(NoOverlapError\)", failed[2])
    assert re.fullmatch(r"ended with exit code 1: 1 map drawn, 1 failed in \d+\.\d s", end[2])
    assert [line[1] for line in (start, drawn, failed, end)] == ["INFO", "INFO", "ERROR", "INFO"]
    assert before.timestamp() - 1 < datetime.fromisoformat(start[0]).timestamp() < datetime.now(UTC).timestamp()
    assert run(folder, "-q", "--log-file", "next.log").returncode == 1
    assert "unchanged: east, " in (folder / "next.log").read_text()


@pytest.mark.parametrize("quiet", [True, False])
def test_json_lines_in_the_file_and_on_stderr(run, quiet, folder):
    result = run(folder, "--log-file", "run.jsonl", "--log-format", "json", *["-q"] * quiet)
    records = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    assert len(records) == 4
    by_region = {record["region"]: record for record in records if "region" in record}
    assert by_region["east"]["file"] == str(folder / "output" / "east.png")
    assert by_region["east"]["seconds"] > 0
    assert by_region["east"]["cause"] is None
    assert by_region["outside"]["cause"] == "NoOverlapError"
    assert all(datetime.fromisoformat(record["time"]).utcoffset().total_seconds() == 0 for record in records)
    assert [json.loads(line) for line in result.stderr.splitlines()] == [by_region["outside"]]
    assert ("[" in result.stdout) != quiet


def test_json_on_stderr_reports_errors_before_the_run_starts(run, folder):
    result = run(folder, "--raster", "none.tif", "--log-format", "json")
    (record,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert (result.returncode, record["level"]) == (3, "ERROR")
    assert "there is no file" in record["message"]


def test_verbose_json_logs_everything_to_stderr(run, folder):
    result = run(folder, "-v", "--log-format", "json", "-j1")
    records = [json.loads(line) for line in result.stderr.splitlines()]
    loggers = {record["logger"] for record in records}
    assert "regionplot.run" in loggers
    assert any(name.startswith("regionplot.shared.") for name in loggers)
    assert sum("region" in record for record in records) == 2


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_cells_cannot_forge_lines(run, log_format, folder):
    (folder / "regions.csv").write_text(TABLE, encoding="utf-8")
    result = run(folder, "-q", "--log-file", "run.log", "--log-format", log_format)
    lines = (folder / "run.log").read_text().split("\n")
    assert result.returncode == 1
    assert len(lines) == 1 + 4 + 1 + 1
    assert "ended with exit code 1: 2 maps drawn, 2 failed in " in lines[-2]
    text = "\n".join(lines) + result.stderr
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", text)
    assert len(result.stderr.splitlines()) == 2


def test_a_traceback_is_kept_below_its_line(folder, logger):
    with log_to_file(folder / "run.log", "text"):
        logger.error("bad\nnews", extra={"traceback": "Traceback:\n  a\x1b[0m\n2026 INFO forged"})
        try:
            raise ValueError("first\n2026 INFO forged")
        except ValueError:
            logger.exception("worse")
    lines = (folder / "run.log").read_text().splitlines()
    assert lines[0].endswith("ERROR regionplot.test_logs: bad\\nnews")
    assert lines[1:4] == ["    | Traceback:", "    |   a\\x1b[0m", "    | 2026 INFO forged"]
    assert all(line.startswith("    | ") for line in lines[5:])
    assert lines[-1] == "    | 2026 INFO forged"


def test_a_json_record_keeps_the_traceback(logger):
    record = logger.makeRecord(logger.name, logging.ERROR, "f", 1, "é\n%s", ("x",), None, extra={"traceback": "a\nb"})
    assert json.loads(JsonFormatter().format(record)) == {
        "time": LineFormatter().format(record).split()[0],
        "level": "ERROR",
        "logger": logger.name,
        "message": "é\nx",
        "traceback": "a\nb",
    }
    assert "\n" not in JsonFormatter().format(record)


@pytest.mark.parametrize("formatter", [ShortFormatter(), LineFormatter(), JsonFormatter()])
def test_logs_of_libraries_show_no_signature(logger, formatter):
    address = "https://me:SECRET@example.org/snow.tif?X-Amz-Signature=SECRET&file=1"
    fields = {"traceback": f"RasterioIOError: /vsicurl/{address}"}
    record = logger.makeRecord("rasterio._env", 30, "f", 1, "response on %s: 0", (address,), None, extra=fields)
    try:
        raise OSError(address)
    except OSError as error:
        trace = (type(error), error, error.__traceback__)
        failed = logger.makeRecord("rasterio._env", 30, "f", 1, "failed", (), trace)
    texts = [formatter.format(record), formatter.format(failed)]
    assert "SECRET" not in "".join(texts)
    assert "response on https://example.org/snow.tif?... 0" in texts[0]
    assert "OSError: https://example.org/snow.tif?..." in texts[1]


def test_names_in_any_script_stay_readable():
    assert one_line("Łódź 北海道 Zürich\u00a0–\tnaïve\r\n") == "Łódź 北海道 Zürich\u00a0–\\tnaïve\\r\\n"
    assert one_line("\udc80\u202egpj.\u2029\x9b") == "\\udc80\\u202egpj.\\u2029\\x9b"


def test_the_log_rotates_at_a_megabyte_and_keeps_five_files(run, folder):
    for number in range(1, 6):
        (folder / f"run.log.{number}").write_text(f"old {number}\n")
    (folder / "run.log").write_bytes(b"x" * 999_990 + b"\n")
    assert run(folder, "-q", "--log-file", "run.log", "--only", "east").returncode == 0
    assert len((folder / "run.log").read_text().splitlines()) == 3
    assert (folder / "run.log.1").stat().st_size == 999_991
    assert [(folder / f"run.log.{n}").read_text() for n in range(2, 6)] == [f"old {n}\n" for n in range(1, 5)]
    assert not (folder / "run.log.6").exists()


@pytest.mark.timeout(method="signal")
def test_a_forked_process_writes_nothing_into_the_log(folder, logger):
    with log_to_file(folder / "run.log", "text"):
        logger.info("before")
        child = os.fork()
        if not child:
            logger.info("from the child")
            os._exit(0)
        os.waitpid(child, 0)
        logger.info("after")
    assert [line.split()[-1] for line in (folder / "run.log").read_text().splitlines()] == ["before", "after"]


@pytest.mark.parametrize("place", ["none/run.log", "output", "regions.csv/run.log"])
def test_a_log_that_cannot_be_written_ends_the_run_before_anything_is_loaded(run, place, folder):
    (folder / "output").mkdir()
    (folder / "regionplot.toml").write_text('[raster]\npath = "none.tif"\n')
    result = run(folder, "--log-file", place)
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(rf"regionplot: {place}: the log cannot be written: .*\n", result.stderr)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_log_that_is_a_pipe_needs_a_reader(run, folder):
    os.mkfifo(folder / "run.log")
    result = run(folder, "-q", "--log-file", "run.log")
    assert (result.returncode, result.stderr) == (
        2,
        "regionplot: run.log: the log cannot be written: no process reads this pipe\n",
    )
    reader = os.open(folder / "run.log", os.O_RDONLY | os.O_NONBLOCK)
    assert run(folder, "-q", "--log-file", "run.log").returncode == 1
    assert b"ended with exit code 1" in os.read(reader, 100_000)
    os.close(reader)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_stops_the_log_but_not_the_maps(run, folder):
    result = run(folder, "-q", "--only", "east", "--log-file", "/dev/full")
    assert result.returncode == 0, result.stderr
    assert re.fullmatch("regionplot: /dev/full: the log cannot be written: .*No space left.*\n", result.stderr)
    assert (folder / "output" / "east.png").is_file()


@pytest.mark.slow
def test_the_log_is_the_same_with_spawned_workers(run, folder):
    result = run(folder, "-q", "--only", "east", "--start-method", "spawn", "--log-file", "run.log")
    assert (result.returncode, result.stderr) == (0, "")
    assert len((folder / "run.log").read_text().splitlines()) == 3


def test_all_lines_of_an_error_are_logged(run, folder):
    (folder / "regions.csv").write_text("name,west,east,south,north\na,x,1,2,3\nb,y,1,2,3\n")
    result = run(folder, "-q", "--log-file", "run.log")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 2
    levels = [LINE.fullmatch(line)[2] for line in (folder / "run.log").read_text().splitlines()]
    assert levels == ["ERROR", "ERROR", "INFO"]


@pytest.mark.parametrize("options", [("-q",), (), ("-v",)])
def test_warnings_of_libraries_go_to_the_log_file_once_per_kind(run, folder, monkeypatch, options):
    (folder / "regions.csv").write_text("name,west,east,south,north\neast,-84.5,-75.3,33.8,36.7\n")
    read = draw_maps.render_regions

    def noisy(*arguments, **keywords):
        for number in range(3):
            warnings.warn_explicit(f"layer {number} has a code that is assumed", RuntimeWarning, "gdal.py", number)
            logging.getLogger("rasterio._env").error("CPLE_AppDefined in tag %d is unknown", number)
        return read(*arguments, **keywords)

    monkeypatch.setattr(draw_maps, "render_regions", noisy)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = run(folder, *options, "--log-file", "run.log")
    lines = [line.partition(" ")[2] for line in (folder / "run.log").read_text().splitlines()]
    assert [line for line in lines if line.startswith("DEBUG")] == [
        "DEBUG python.warnings: RuntimeWarning: layer 0 has a code that is assumed (gdal.py:0)",
        "DEBUG rasterio._env: CPLE_AppDefined in tag 0 is unknown",
    ]
    assert result.returncode == 0
    assert ("is unknown" in result.stderr, "is assumed" in result.stderr) == (options == ("-v",),) * 2
    assert options != ("-q",) or (result.stdout, result.stderr) == ("", "")


def test_the_command_restores_the_display_of_warnings(run, folder):
    before = warnings.showwarning
    run(folder, "-q")
    assert warnings.showwarning is before


def test_equal_warnings_are_written_once_within_some_seconds() -> None:
    only_new = WithoutRepeats()
    records = [logging.makeLogRecord({"msg": text, "levelno": 30, "created": at}) for text, at in (
        ("a", 1.0), ("b", 2.0), ("a", 3.0), ("a", 12.0), ("b", 30.0),
    )]  # fmt: skip
    assert [only_new.filter(record) for record in records] == [True, True, False, False, True]
