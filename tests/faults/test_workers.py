"""Test dying, hanging and too large workers, and an interrupted or killed command, with real signals."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="a limit or a signal of Linux")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

PHASES = {"a": "start", "b": "draw", "c": "save", "d": "verify", "e": "replace"}
ENDS = {
    "a": ("segv", "the worker was killed by SIGSEGV"),
    "b": ("abort", "the worker was killed by SIGABRT"),
    "c": ("exit0", "the worker ended with exit code 0 and without a result"),
    "d": ("unpicklable", "ValueError: ('holds a function', "),
    "e": ("raise", "ValueError: injected"),
}


FORKSERVER = {"start_method": '"forkserver"'}


@pytest.fixture(scope="module")
def killed(new_place):
    """Return a run whose workers are killed, each in another phase of its map."""
    return new_place().run([f"{phase}:{name}:kill" for name, phase in PHASES.items()])


@pytest.fixture(scope="module")
def ended(new_place):
    """Return a run whose maps fail in different ways. One worker at a time keeps the stacks apart."""
    return new_place().run([f"draw:{name}:{action}" for name, (action, _) in ENDS.items()], workers=1)


@pytest.fixture(scope="module")
def late(new_place):
    """Return a run with two hanging maps, one of which ignores SIGTERM. One retry is allowed."""
    return new_place().run(["draw:a:hang", "save:b:hang-ignoring-term"], "--timeout", 0.6, retries=1, workers=1)


def test_a_worker_killed_in_any_phase_fails_only_its_map(killed):
    killed.assert_only_failed(*PHASES)


@pytest.mark.parametrize("region", PHASES, ids=PHASES.values())
def test_a_killed_worker_is_reported_with_its_cause(region, killed):
    assert killed.messages()[region] == "the worker was killed by SIGKILL (out of memory?)"


def test_crashes_exits_and_errors_fail_only_their_own_maps(ended):
    ended.assert_only_failed(*ENDS)


@pytest.mark.parametrize("region", ENDS, ids=[action for action, _ in ENDS.values()])
def test_each_failure_is_reported_with_its_cause(region, ended):
    assert ended.messages()[region].startswith(ENDS[region][1])


@pytest.mark.parametrize("header", ["Segmentation fault", "Aborted"])
def test_the_stack_of_a_crash_is_printed_to_stderr(header, ended):
    assert re.search(rf'Fatal Python error: {header}\n\n.*\n(  File .*\n)*  File .*task\.py", line \d+', ended.error)


def test_a_hanging_worker_is_ended_at_the_timeout_and_not_retried(late):
    late.assert_only_failed("a", "b")
    assert set(late.messages().values()) == {"took longer than 0.6 s and was stopped"}
    assert sorted(late.strikes()) == ["draw:a:hang", "save:b:hang-ignoring-term"]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no signal to ask with")
@pytest.mark.parametrize(("region", "where"), [("a", "in _hang"), ("b", "in _hang_ignoring_term")])
def test_a_hanging_worker_prints_its_stack_before_it_is_ended(region, where, late):
    start = re.search(rf"ERROR: {region}: worker \d+ took longer than 0\.6 s and was stopped; its stack:\n", late.error)
    stack = late.error[start.end() :].partition("ERROR: ")[0]
    assert where in stack
    assert "in __call__" in stack


def test_a_map_is_retried_when_its_worker_is_killed(place):
    """A temporary file of the killed worker does not disturb the retry."""
    place.run(["draw:a:kill", "verify:b:kill", "replace:c:exit0"], "-v", retries=1, times=1)
    place.assert_only_failed()
    assert sorted(place.strikes()) == ["draw:a:kill", "replace:c:exit0", "verify:b:kill"]
    assert place.error.count("the job is retried alone after all other jobs") == 3
    assert "6 maps drawn in" in place.output


@pytest.mark.parametrize(("retries", "times"), [(1, "twice"), (2, "3 times")])
def test_a_map_that_kills_every_worker_fails_after_its_retries(retries, times, place):
    place.run(["save:c:kill", "draw:d:raise"], retries=retries)
    place.assert_only_failed("c", "d")
    assert place.messages()["c"].endswith(
        f"killed by SIGKILL (out of memory?); it failed {times}, the last time with no other job running"
    )
    assert place.strikes().count("save:c:kill") == retries + 1
    assert place.strikes().count("draw:d:raise") == 1, "an error of the data is not retried"


def test_a_failed_retry_also_reports_the_first_failure(place):
    place.run(["draw:c:kill", "save:c:raise"], times=1, retries=2)
    place.assert_only_failed("c")
    message = "ValueError: injected (previous attempt: the worker was killed by SIGKILL (out of memory?))"
    assert place.messages()["c"] == message


@linux
def test_a_worker_over_its_memory_limit_fails_its_map(place):
    place.run(["draw:b:memory"], worker_memory=300, retries=1)
    place.assert_only_failed("b")
    message = place.messages()["b"]
    assert message.startswith("out of memory: Unable to allocate 1.00 GiB")
    assert "; a worker may use 300 MB in addition to the shared data; it failed twice, the last time with " in message
    assert message.endswith("; raise the limit with [run] worker_memory")


@linux
def test_a_worker_within_its_memory_limit_draws_its_map(place):
    place.run(["draw:b:memory"], worker_memory=1500).assert_only_failed()
    assert place.strikes() == ["draw:b:memory"]


@pytest.mark.parametrize(
    ("phase", "action", "name", "code"),
    [
        ("read", "interrupt", "SIGINT", 130),
        ("draw", "interrupt", "SIGINT", 130),
        ("verify", "term", "SIGTERM", 143),
        ("replace", "hup", "SIGHUP", 129),
        ("verify", "interrupt-twice", "SIGINT", 130),
        ("report", "term", "SIGTERM", 143),
    ],
)
def test_a_signal_ends_the_run_and_cleans_up_in_each_phase(phase, action, name, code, place):
    place.run([f"{phase}:{'*' if phase in ('read', 'report') else 'c'}:{action}"], retries=1)
    assert place.code == code
    if phase == "read":
        assert place.error == f"regionplot: ended by {name}: no map was started\n"
        drawn = 0
    else:
        found = re.fullmatch(rf"regionplot: ended by {name}: (\d) of 6 maps drawn, (\d) not run\n", place.error)
        drawn, not_run = map(int, found.groups())
        assert drawn + not_run == 6
    states = Counter(place.states().values())
    assert states["rendered"] + states["not run"] == 6
    assert states["rendered"] - drawn in (0, 1), (
        "the signal may arrive after a map is recorded and before it is reported"
    )
    assert (drawn == 6) == (phase == "report")
    assert len(place.drawn()) >= drawn
    assert place.drawn() | place.untouched() == set("abcdef")
    assert len(place.strikes()) == 1, "no new jobs, and no retry"
    place.assert_tidy()


@pytest.mark.parametrize("pause", [0, 0.002, 0.006, 0.02])
def test_several_signals_do_not_stop_the_cleanup(pause, place):
    """The second and third signal arrive during the cleanup, which has temporary files to remove."""
    command = place.start(["verify:*:hang-ignoring-term"])
    place.wait_for_strikes(2)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        command.send_signal(number)
        time.sleep(pause)
    place.output, place.error = command.communicate(timeout=20)
    assert command.returncode in (143, 130, 129)
    assert re.fullmatch(r"regionplot: ended by SIG\w+: 0 of 6 maps drawn, 6 not run\n", place.error)
    assert place.untouched() == set("abcdef")
    place.assert_tidy()


@pytest.fixture(scope="module")
def hanging_in_c(new_place):
    """Return the places of commands that hung in C code, and the seconds that each end took, by the cause of the end.

    The commands hang at the same time, because each of them takes 4 s to end.
    """
    causes = (signal.SIGTERM, signal.SIGINT, "deadline", "deadline of the data process")
    places = {cause: new_place() for cause in causes}
    fault, found = ["read:*:hang-in-c"], {}
    try:
        places["deadline"].start(fault, "--deadline", 0.3)
        places["deadline of the data process"].start(fault, "--deadline", 4, **FORKSERVER)
        for number in causes[:2]:
            places[number].start(fault)
        for number in causes[:2]:
            places[number].wait_for_strikes(1)
        time.sleep(0.3)  # until the wait has begun
        sent = time.monotonic()
        for number in causes[:2]:
            places[number].started[0].send_signal(number)
        for cause, place in places.items():
            place.output, place.error = place.started[0].communicate(timeout=20)
            place.code = place.started[0].returncode
            found[cause] = place, time.monotonic() - sent
    finally:
        for process in (each.started[0] for each in places.values() if each.started):
            with process:
                process.kill()
    return found


@linux
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_command_that_hangs_in_c_code(number, code, hanging_in_c):
    place, seconds = hanging_in_c[number]
    assert seconds < 5
    assert place.code == code
    name = signal.Signals(number).name
    assert place.error == f"regionplot: ended by {name}: the process did not stop in time and was killed\n"
    place.assert_tidy()


@linux
def test_the_deadline_ends_a_command_that_hangs_in_c_code(hanging_in_c):
    place, _ = hanging_in_c["deadline"]
    assert place.code == 1
    assert place.error == "regionplot: the deadline has passed: the process did not stop in time and was killed\n"
    place.assert_tidy()


@linux
@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("segv", 139, "a library crashed with SIGSEGV; an input file may be damaged"),
        ("kill", 137, "killed by SIGKILL (out of memory?)"),
    ],
)
def test_a_crash_of_the_command_is_one_line(fault, code, message, place):
    place.run([f"read:*:{fault}"])
    assert (place.code, place.error) == (code, f"regionplot: {message}\n")
    place.assert_tidy()


@linux
def test_no_worker_outlives_the_killed_command(place):
    command = place.start(["draw:a:hang", "verify:*:hang-ignoring-term"])
    place.wait_for_strikes(2)
    assert len(place.alive()) == 4, "the guard, the command and two workers"
    command.kill()
    place.wait_for_end(2)
    assert place.untouched() == set("abcdef")
    assert place.temporaries(), "a killed run cannot clean up"
    place.run([])
    place.assert_only_failed()


@linux
@pytest.mark.parametrize(
    ("phase", "action", "code"),
    [("read", "interrupt", 130), ("draw", "term", 143), ("verify", "interrupt-twice", 130)],
)
def test_a_signal_ends_a_run_whose_data_another_process_has_loaded(phase, action, code, place):
    place.run([f"{phase}:{'*' if phase == 'read' else 'c'}:{action}"], **FORKSERVER, retries=1)
    assert place.code == code
    assert re.fullmatch(
        r"regionplot: ended by SIG\w+: (no map was started|\d of 6 maps drawn, \d not run)\n", place.error
    )
    assert place.drawn() | place.untouched() == set("abcdef")
    assert len(place.strikes()) == 1, "no new jobs, and no retry"
    place.assert_tidy()


@linux
def test_the_deadline_ends_a_process_that_loads_the_data_in_c_code(hanging_in_c):
    place, _ = hanging_in_c["deadline of the data process"]
    assert place.code == 1
    assert re.fullmatch("regionplot: the deadline of 4 s has passed: (no map|0 of 6 maps).*\n", place.error)
    place.assert_tidy()


@linux
def test_no_map_is_lost_when_the_process_with_the_data_or_a_worker_is_killed(place):
    place.run(["cells:*:kill", "draw:b:kill"], "-v", **FORKSERVER, retries=1, times=1)
    place.assert_only_failed()
    assert sorted(place.strikes()) == ["cells:*:kill", "draw:b:kill"]
    assert "WARNING: the process that loads the data was killed by SIGKILL (out of memory?); a new " in place.error
    assert place.error.count("loaded the shared data in") == 1
    assert "6 maps drawn in" in place.output


@linux
def test_a_process_that_is_always_killed_while_it_loads_the_data_is_one_error(place):
    place.run(["cells:*:kill"], **FORKSERVER)
    assert (place.code, place.untouched()) == (3, set("abcdef"))
    last = place.error.splitlines()[-1]
    assert last == (
        "regionplot: the process that loads the data was killed by SIGKILL (out of memory?), two times in a row; "
        "free some memory, or use fewer workers"
    )
    place.assert_tidy()


@linux
def test_no_process_with_data_outlives_the_killed_command(place):
    command = place.start(["draw:a:hang", "verify:*:hang-ignoring-term"], **FORKSERVER)
    place.wait_for_strikes(2)
    command.kill()
    place.wait_for_end(2)
    assert place.untouched() == set("abcdef")


@linux
@pytest.mark.parametrize("descriptors", [24, 18])
def test_few_descriptors_mean_few_workers(descriptors, place):
    place.run([], "-v", limit=f"-n {descriptors}", workers=6, maps_per_worker=1).assert_only_failed()
    message = r"WARNING: no more workers can be started: Too many open files; continuing with [1-5]"
    assert re.search(message, place.error)


@linux
@pytest.mark.parametrize("descriptors", [11, 8])
def test_too_few_descriptors_for_any_worker_are_reported(descriptors, place):
    place.run([], limit=f"-n {descriptors}")
    assert (place.code, place.untouched()) == (3, set("abcdef")), place.error
    last = place.error.splitlines()[-1]
    assert re.match(r"regionplot: .*Too many open files", last), last
    if descriptors > 8:  # with 8, even the raster may not be opened
        assert re.search(
            r"no worker process can be started: Too many open files; raise .*\(ulimit -n\), or draw without workers",
            last,
        )
    place.assert_tidy()


def test_inputs_that_fail_in_spawned_workers_are_reported_once(place):
    place.run(["read:*:unreadable"], start_method='"spawn"', retries=3)
    assert (place.code, place.error) == (3, "regionplot: grid.tif: cannot be read\n")
    assert 1 <= len(place.strikes()) <= 2, "no worker is started again to fail again"
    assert place.untouched() == set("abcdef")
    place.assert_tidy()


@linux
def test_workers_use_the_nice_value_of_the_settings(place):
    command = place.start(["draw:*:hang"], nice=7)
    place.wait_for_strikes(2)
    nice = psutil.Process().nice()
    run = psutil.Process(command.run_pid)
    assert run.nice() == nice
    assert {worker.nice() for worker in run.children()} == {min(nice + 7, 19)}


_MANY = """
import os, sys
import psutil
from regionplot import Extent, Region, read_config, render_regions

class Watch:
    done, seen = 0, []
    def started(self, jobs, workers, method):
        pass
    def finished(self, outcome):
        assert outcome.ok, outcome.failure
        self.done += 1
        if self.done % 50 == 0:
            process = psutil.Process()
            self.seen.append((process.num_fds(), process.memory_info().rss >> 20))

if __name__ == "__main__":
    regions = [Region(f"r{i}", Extent(-120 + i % 50, -115 + i % 50, 25 + i // 50, 30 + i // 50)) for i in range(1000)]
    for workers, count in ((1, 300), (2, 1000)):
        watch = Watch()
        render_regions(regions[-count:], read_config({
            "raster": {"path": "sample:relief"}, "map": {"size": [100, 100]},
            "colors": {"colorbar": False, "levels": [-5000, -1000, 0, 200, 500, 1000, 3000]},
            "output": {"directory": f"by{workers}"}, "run": {"workers": workers, "maps_per_worker": 100},
        }), observer=watch)
        (before, small), later = watch.seen[1], watch.seen[2:]
        print(*watch.seen)
        assert max(descriptors for descriptors, _ in later) <= before + 4, watch.seen
        assert max(megabytes for _, megabytes in later) <= small + 8, watch.seen
        watch.seen.clear()
"""


@linux
def test_1000_regions_need_no_more_memory_and_images_do_not_depend_on_workers(tmp_path):
    (tmp_path / "many.py").write_text(_MANY)
    result = subprocess.run(
        [sys.executable, "many.py"], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / f"by{n}").glob("*.png")} for n in (1, 2))
    assert len(two) == 1000
    assert one == {name: two[name] for name in one}
    assert len(one) == 300
