"""Functions of the user draw maps, or add to maps."""

# ruff: noqa: ARG001 (a function takes all arguments that regionplot passes)

from __future__ import annotations

import dataclasses
import functools
import gc
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import regionplot
from regionplot import Extent, Region, RunReport, SharedData, render_regions
from regionplot.runs.digests import MapDigests
from regionplot.shared.functions import with_functions

REGIONS = [
    Region("colorado", Extent(-109, -102, 37, 41)),
    Region("nc", Extent(-84.5, -75.3, 33.8, 36.7)),
    Region("ohio", Extent(-85, -80, 38, 42)),
]
SMALL = {"map": {"size": [300, 200]}, "run": {"start_method": "serial"}}
FORK = {"map": {"size": [300, 200]}, "run": {"start_method": "fork", "workers": 2}}


@pytest.fixture(autouse=True)
def no_modules_left() -> Iterator[None]:
    """Forget modules that a test has imported from its folder."""
    path, modules = sys.path[:], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if "pytest-" in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def figure(shared: Any, region: Region) -> Figure:
    made = Figure(figsize=(3, 2), dpi=100, facecolor="red")
    made.add_axes((0.1, 0.1, 0.8, 0.8)).imshow(shared.raster)
    return made


def axes(shared: Any, region: Region) -> Any:
    return figure(shared, region).axes[0]


def png(shared: Any, region: Region) -> bytes:
    file = io.BytesIO()
    figure(shared, region).savefig(file)
    return file.getvalue()


def jpeg(shared: Any, region: Region) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(file, "jpeg")
    return file.getvalue()


def pixels(shared: Any, region: Region) -> Any:
    return np.full((20, 30, 4), (255, 0, 0, 255), np.uint8)


def floats(shared: Any, region: Region) -> Any:
    return np.broadcast_to(np.float32([1, 0, 0]), (20, 30, 3))


def pyplot_figure(shared: Any, region: Region) -> Any:
    made, axes_ = pyplot.subplots()
    made.set_facecolor("red")
    return axes_


def subfigure(shared: Any, region: Region) -> Any:
    made = Figure(figsize=(3, 2), facecolor="red")
    return made.subfigures(2)[1].add_subplot()


@pytest.mark.parametrize("draw", [figure, axes, png, jpeg, pixels, floats, pyplot_figure])
def test_each_kind_of_result_becomes_a_map(draw: Any, make_config: Callable[..., Any]) -> None:
    report = render_regions(REGIONS[:1], make_config(**SMALL), draw=draw)
    assert not report.failed, report.failed[0].message
    with Image.open(report.drawn[0].job.target) as image:
        corner = image.convert("RGB").getpixel((0, 0))
    assert corner[0] > 250
    assert max(corner[1:]) < 5
    assert not pyplot.get_fignums()


def test_a_figure_has_the_pixels_that_savefig_writes(make_config: Callable[..., Any], load: Callable[..., Any]) -> None:
    report = render_regions(REGIONS[:1], make_config(**SMALL), draw=figure)
    with (
        Image.open(io.BytesIO(png(load(**SMALL), REGIONS[0]))) as expected,
        Image.open(report.drawn[0].job.target) as found,
    ):
        assert (np.asarray(found) == np.asarray(expected.convert("RGB"))).all()


def test_bytes_in_the_format_of_the_file_are_written_as_they_are(
    make_config: Callable[..., Any], load: Callable[..., Any]
) -> None:
    report = render_regions(REGIONS[:1], make_config(**SMALL), draw=png)
    assert report.drawn[0].job.target.read_bytes() == png(load(**SMALL), REGIONS[0])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "returns None; return a figure, axes"),
        (42, "type int"),
        ("map.png", "type str"),
        (b"text", "4 bytes that are not an image"),
        (np.zeros((2, 3, 5)), "shape (2, 3, 5)"),
        (np.zeros((0, 3, 3)), "shape (0, 3, 3)"),
        (np.zeros((2, 3, 3), np.int32), "type int32"),
        (np.full((2, 3, 3), 255.0), "between 0 and 1"),
        (np.full((2, 3, 3), np.nan), "between 0 and 1"),
    ],
)
def test_a_wrong_result_is_an_error_that_fails_one_map(
    result: Any, message: str, make_config: Callable[..., Any]
) -> None:
    def draw(shared: Any, region: Region) -> Any:
        return result if region.name == "nc" else pixels(shared, region)

    report = render_regions(REGIONS, make_config(**SMALL), draw=draw)
    assert [outcome.job.name for outcome in report.failed] == ["nc"]
    assert message in report.failed[0].message
    assert report.failed[0].failure.traceback == ""


def test_a_truncated_image_is_an_error(make_config: Callable[..., Any]) -> None:
    report = render_regions(REGIONS[:1], make_config(**SMALL), draw=lambda *_: png_start)
    assert "damaged" in report.failed[0].message


png_start = (Path(regionplot.__file__).parents[1] / "docs" / "images" / "colorado.png").read_bytes()[:9000]


@pytest.mark.parametrize("suffix", ["pdf", "svg", "webp"])
def test_figures_are_written_in_each_format(suffix: str, make_config: Callable[..., Any], tmp_path: Path) -> None:
    config = make_config(**SMALL, output={"directory": tmp_path, "filename": "{name}." + suffix})
    report = render_regions(REGIONS[:1], config, draw=figure)
    assert not report.failed, report.failed[0].message
    again = render_regions(REGIONS[:1], config, draw=pixels)
    assert bool(again.failed) == (suffix != "webp")  # an array is no vector drawing


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_a_figure_that_cannot_be_drawn_is_an_error_of_its_map(
    suffix: str, make_config: Callable[..., Any], tmp_path: Path
) -> None:
    def draw(shared: Any, region: Region) -> Any:
        made = Figure()
        made.text(0, 0, "$\\no$")
        return made

    config = make_config(**SMALL, output={"directory": tmp_path, "filename": "{name}." + suffix})
    outcome = render_regions(REGIONS[:1], config, draw=draw).failed[0]
    assert "cannot be drawn: ValueError" in outcome.message
    assert outcome.failure.cause == "FunctionError"


def broken(shared: Any, region: Region) -> Any:
    if region.name == "nc":
        raise KeyError(region.title)
    return pixels(shared, region)


def test_an_error_shows_the_line_of_the_user(make_config: Callable[..., Any]) -> None:
    outcome = render_regions(REGIONS, make_config(**FORK), draw=broken).failed[0]
    line = broken.__code__.co_firstlineno + 2
    assert outcome.message == f"{__file__}:{line}: draw: KeyError: 'nc', in the line 'raise KeyError(region.title)'"
    assert outcome.failure.traceback == ""


def test_a_function_that_exits_fails_only_its_map(make_config: Callable[..., Any]) -> None:
    report = render_regions(REGIONS[:2], make_config(**SMALL), draw=lambda _, region: sys.exit(region.name == "nc"))
    assert len(report.failed) == 2
    assert "ends the program" in report.failed[0].message


class Panic(BaseException):
    """An error like that of a library in Rust."""


def test_a_function_that_interrupts_fails_only_its_map_in_a_worker(make_config: Callable[..., Any], capfd) -> None:
    def draw(shared: Any, region: Region) -> Any:
        raise KeyboardInterrupt

    report = render_regions(REGIONS[:2], make_config(**FORK), draw=draw)
    assert [outcome.failure.cause for outcome in report.failed] == ["FunctionError"] * 2
    assert "Traceback" not in capfd.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        render_regions(REGIONS[:2], make_config(**SMALL), draw=draw)


def test_an_error_that_is_not_an_exception_fails_only_its_map(make_config: Callable[..., Any], capfd) -> None:
    def draw(shared: Any, region: Region) -> Any:
        raise Panic("no")

    for settings in (SMALL, FORK):
        report = render_regions(REGIONS[:2], make_config(**settings), draw=draw)
        assert len(report.failed) == 2
        assert "Panic: no, in the line" in report.failed[0].message
    assert "Traceback" not in capfd.readouterr().err


def test_parameters_of_matplotlib_do_not_leak_into_the_next_map(make_config: Callable[..., Any]) -> None:
    seen = []

    def draw(shared: Any, region: Region) -> Any:
        seen.append(matplotlib.rcParams["lines.linewidth"])
        matplotlib.rcParams["lines.linewidth"] = 9.0
        return pixels(shared, region)

    render_regions(REGIONS[:2], make_config(**SMALL), draw=draw)
    assert seen[0] == seen[1] != 9.0


def test_unchanged_maps_are_kept_until_the_function_changes(make_config: Callable[..., Any]) -> None:
    config = make_config(**SMALL)
    draw = functools.partial(tinted, tint=3)
    assert len(render_regions(REGIONS, config, draw=draw).drawn) == 3
    assert len(render_regions(REGIONS, config, draw=functools.partial(tinted, tint=3)).unchanged) == 3
    assert len(render_regions(REGIONS[:1], config, draw=draw).unchanged) == 1
    assert len(render_regions(REGIONS, config, draw=functools.partial(tinted, tint=4)).drawn) == 3
    assert len(render_regions(REGIONS, config, draw=lambda *arguments: pixels(*arguments)).drawn) == 3
    assert len(render_regions(REGIONS, config, draw=lambda *arguments: pixels(*arguments)).drawn) == 3


def test_parameters_of_matplotlib_count_in_digests(make_config: Callable[..., Any]) -> None:
    config = make_config(**SMALL)
    for width, drawn in ((3.0, 1), (3.0, 0), (4.0, 1)):
        with matplotlib.rc_context({"lines.linewidth": width}):
            assert len(render_regions(REGIONS[:1], config, draw=pixels).drawn) == drawn


def nothing(axes: Any, region: Region, shared: Any) -> None:
    pass


FUNCTIONS: dict[str, Callable[..., Any]] = {"draw": pixels, "decorate": nothing}


@pytest.mark.parametrize("key", ["draw", "decorate"])
def test_the_whole_row_of_a_region_counts_in_digests_of_maps_with_functions(
    make_config: Callable[..., Any], key: str
) -> None:
    def drawn(**changes: Any) -> int:
        region = dataclasses.replace(REGIONS[0], **changes)
        return len(render_regions([region], make_config(**SMALL), **{key: FUNCTIONS[key]}).drawn)

    rows = ({}, {"attributes": {"note": "a"}}, {"attributes": {"note": "b"}}, {"title": "Other"}, {"shape": b"x"})
    assert [drawn(**row) for row in rows] == [1] * len(rows)
    assert drawn(**rows[-1]) == 0
    assert drawn(**rows[-1], origin="other.csv:9") == 0, "the origin is only for messages"


def test_the_description_of_the_raster_counts_in_digests_of_maps_outside_of_it(
    make_config: Callable[..., Any], write_raster: Callable[..., Path]
) -> None:
    def digest(time: str) -> str:
        path = write_raster(np.zeros((30, 50), np.float32), tags={"VALID_TIME": time})
        shared = SharedData.load(make_config(**SMALL, raster={"path": path}))
        return MapDigests(with_functions(shared, draw=pixels)).of(Region("outside", Extent(10, 20, 0, 10)))

    assert digest("2026-01-01") == digest("2026-01-01") != digest("2026-01-02")


def tinted(shared: Any, region: Region, tint: int) -> Any:
    return np.full((20, 30, 3), tint, np.uint8)


def loaded(shared: Any) -> Any:
    return {"largest": float(np.nanmax(shared.raster))}


def from_extra(shared: Any, region: Region) -> Any:
    return np.full((20, 30), shared.extra["largest"] > 0, np.float64)


@pytest.mark.parametrize("method", ["fork", "threads", "serial", "forkserver"])
def test_all_start_methods_draw_with_functions_and_loaded_data(method: str, make_config: Callable[..., Any]) -> None:
    config = make_config(map={"size": [300, 200]}, run={"start_method": method, "workers": 2})
    report = render_regions(REGIONS, config, draw=from_extra, load=loaded)
    assert not report.failed, report.failed[0].message
    with Image.open(report.drawn[0].job.target) as image:
        assert image.getpixel((0, 0)) == (255, 255, 255)


def test_the_load_function_runs_once_before_the_fork(make_config: Callable[..., Any], tmp_path: Path) -> None:
    calls = tmp_path / "calls"

    def load(shared: Any) -> None:
        with calls.open("a") as file:
            file.write("x")

    assert len(render_regions(REGIONS, make_config(**FORK), draw=pixels, load=load).drawn) == 3
    assert calls.read_text() == "x"


def dangerous(shared: Any, region: Region) -> Any:
    if region.name == "nc":
        os.kill(os.getpid(), signal.SIGKILL)
    if region.name == "ohio":
        time.sleep(60)
    return pixels(shared, region)


@pytest.mark.slow
def test_a_function_that_crashes_or_hangs_fails_only_its_map(make_config: Callable[..., Any]) -> None:
    config = make_config(run={"start_method": "fork", "workers": 2, "timeout": 2})
    report = render_regions(REGIONS, config, draw=dangerous)
    assert [outcome.job.name for outcome in report.drawn] == ["colorado"]
    assert {outcome.job.name: outcome.failure.cause for outcome in report.failed} == {"nc": "killed", "ohio": "timeout"}


def test_a_lambda_for_workers_that_are_not_forked_is_an_error(make_config: Callable[..., Any]) -> None:
    config = make_config(run={"start_method": "spawn"})
    with pytest.raises(regionplot.ConfigError, match="cannot be sent to workers"):
        render_regions(REGIONS, config, draw=lambda *_: None)


def test_a_notebook_with_threads_draws_one_map_after_the_other(make_config: Callable[..., Any]) -> None:
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    try:
        report = render_regions(REGIONS[:1], make_config(), draw=lambda *arguments: pixels(*arguments))
    finally:
        waiting.set()
        thread.join()
    assert report.start_method == "serial"
    assert len(report.drawn) == 1


@pytest.mark.parametrize("argument", ["draw", "decorate", "load"])
def test_an_argument_that_is_not_a_function_is_an_error(argument: str, make_config: Callable[..., Any]) -> None:
    with pytest.raises(regionplot.ConfigError, match=f"{argument}: an object of type int is not a function"):
        render_regions(REGIONS, make_config(), **{argument: 0})
    with pytest.raises(regionplot.ConfigError, match=f"{argument}: the function .* but it is called as"):
        render_regions(REGIONS, make_config(), **{argument: lambda: None})


def test_loaded_data_are_drawn_by_functions(load: Callable[..., Any]) -> None:
    shared = load(**SMALL, colors={"levels": [0, 1000, 2000]})
    report = render_regions(REGIONS, shared, draw=figure)
    assert not report.failed, report.failed[0].message
    assert shared.config.map.draw is None


def mark(axes: Any, region: Region, shared: Any) -> None:
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    axes.plot([(left + right) / 2], [(low + high) / 2], "s", color="magenta", markersize=20)
    axes.set_xlim(0, 1)


@pytest.mark.parametrize("mode", ["auto", "rgb"])
def test_decorations_are_drawn_over_the_map(mode: str, make_config: Callable[..., Any], tmp_path: Path) -> None:
    sections = {**SMALL, "colors": {"levels": [0, 100, 200, 300]}, "features": [{"path": "sample:states"}]}
    sections["output"] = {"directory": tmp_path, "png": {"mode": mode}}
    plain = _image(render_regions(REGIONS, make_config(**sections)))
    found = _image(render_regions(REGIONS, make_config(**sections), decorate=mark))
    changed = (plain != found).any(axis=2)
    assert (found[changed] == (255, 0, 255)).all(axis=1).mean() > 0.7
    assert 0 < changed.sum() < 1100
    assert (plain[-30:] == found[-30:]).all()  # the color bar


def _image(report: RunReport) -> Any:
    assert not report.failed, report.failed[0].message
    with Image.open(report.drawn[0].job.target) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_decorations_are_drawn_in_vector_formats(make_config: Callable[..., Any], tmp_path: Path) -> None:
    config = make_config(
        **SMALL, output={"directory": tmp_path, "filename": "{name}.svg"}, features=[{"path": "sample:states"}]
    )
    plain = render_regions(REGIONS[:1], config).drawn[0].job.target.read_text()
    decorated = render_regions(REGIONS[:1], config, decorate=mark).drawn[0].job.target.read_text()
    assert "#ff00ff" in decorated
    assert "#ff00ff" not in plain


def test_an_error_of_a_decoration_fails_only_its_map(make_config: Callable[..., Any]) -> None:
    def decorate(axes: Any, region: Region, shared: Any) -> None:
        if region.name == "nc":
            raise ValueError("no stations")
        if region.name == "ohio":
            axes.text(0, 0, "$\\no$")

    failed = render_regions(REGIONS, make_config(**SMALL), decorate=decorate).failed
    assert [outcome.job.name for outcome in failed] == ["nc", "ohio"]
    assert f"{__file__}:" in failed[0].message
    assert "decorate: ValueError: no stations" in failed[0].message
    assert "cannot be drawn" in failed[1].message


def test_maps_in_memory_are_drawn_by_the_functions_of_the_settings(make_config: Callable[..., Any]) -> None:
    with regionplot.open_maps(make_config(map={"size": [300, 200], "draw": figure})) as maps:
        picture = maps.render(REGIONS[0])
        assert maps.encode(picture)[1:4] == b"PNG"
        assert type(maps.figure(REGIONS[0])) is Figure
        assert picture.pixels.shape == (200, 300, 3)
    with regionplot.open_maps(make_config(map={"size": [300, 200], "decorate": mark})) as maps:
        assert (maps.render(REGIONS[0]).pixels == (255, 0, 255)).all(axis=2).sum() > 500
        assert len(maps.figure(REGIONS[0]).axes[0].lines) == 1
    with regionplot.open_maps(make_config(map={"draw": pixels})) as maps, pytest.raises(regionplot.FunctionError):
        maps.figure(REGIONS[0])


@pytest.mark.parametrize("argument", ["draw", "decorate"])
def test_a_palette_cannot_be_required(argument: str, make_config: Callable[..., Any], tmp_path: Path) -> None:
    config = make_config(
        output={"directory": tmp_path, "png": {"mode": "palette"}},
        run={"start_method": "serial"},
        colors={"levels": [0, 9]},
    )
    with pytest.raises(regionplot.ConfigError, match="no palette"):
        render_regions(REGIONS, config, **{argument: figure if argument == "draw" else mark})


MODULE = """
import helper
import numpy as np

print("imported")


def load(shared):
    print("loading")
    return helper.TINT


def draw(shared, region):
    print("drawing", end=" ")
    print(region.name)
    return np.full((20, 30, 3), shared.extra, np.uint8)


def decorate(axes, region, shared):
    axes.axhline(sum(axes.get_ylim()) / 2, color="magenta")


NUMBER = 3
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Write settings, regions, and a module with functions beside them."""
    (tmp_path / "plots.py").write_text(MODULE)
    (tmp_path / "helper.py").write_text("TINT = 7\n")
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nnc,-84,-75,34,37\nohio,-85,-80,38,42\n")
    write_settings(tmp_path, 'draw = "plots:draw"', 'load = "plots:load"')
    return tmp_path


def write_settings(folder: Path, *lines: str) -> None:
    text = "\n".join(['[raster]\npath = "sample:relief"', "[map]", "size = [300, 200]", *lines])
    (folder / "regionplot.toml").write_text(text)


def write_later(module: Path, text: str) -> None:
    """Change a module, two seconds after its last change.

    Python uses its old bytecode if the size and the second of the change are the same.
    """
    seconds = module.stat().st_mtime + 2
    module.write_text(text)
    os.utime(module, (seconds, seconds))


def test_the_command_draws_with_a_module_beside_the_settings(project: Path, run_command: Callable[..., Any]) -> None:
    first = run_command(project, "regions.csv")
    assert first.returncode == 0, first.stderr
    assert "2 maps drawn" in first.stdout
    assert "INFO: nc: drawing nc\n" in first.stderr
    assert first.stderr.count("loading") == 1
    assert "drawing" not in first.stdout
    assert "2 unchanged" in run_command(project, "regions.csv").stdout
    assert "1 unchanged" in run_command(project, "--only", "nc", "regions.csv").stdout
    write_later(project / "helper.py", "TINT = 8\n")
    assert "2 maps drawn" in run_command(project, "regions.csv").stdout
    with Image.open(project / "output" / "nc.png") as image:
        assert image.getpixel((0, 0)) == (8, 8, 8)
    quiet = run_command(project, "-q", "--force", "regions.csv")
    assert (quiet.stdout, quiet.stderr) == ("", "")


def test_files_of_functions_count_as_inputs(project: Path, run_command: Callable[..., Any]) -> None:
    (project / "stations.csv").write_text("1")
    write_settings(project, 'decorate = "plots:decorate"', 'files = ["stations.csv"]')
    assert "2 maps drawn" in run_command(project, "regions.csv").stdout
    assert "2 unchanged" in run_command(project, "regions.csv").stdout
    (project / "stations.csv").write_text("2")
    assert "2 maps drawn" in run_command(project, "regions.csv").stdout


def test_two_projects_can_have_modules_of_the_same_name(
    project: Path, tmp_path_factory: pytest.TempPathFactory, run_command: Callable[..., Any]
) -> None:
    other = tmp_path_factory.mktemp("pytest-other")
    for file in project.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "helper.py").write_text("TINT = 9\n")
    for folder, tint in ((project, 7), (other, 9), (project, 7)):
        assert run_command(folder, "--force", "regions.csv").returncode == 0
        with Image.open(folder / "output" / "nc.png") as image:
            assert image.getpixel((0, 0)) == (tint, tint, tint)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("plots", "[map] draw: must name a function as 'module:function'"),
        ("absent:draw", "[map] draw: there is no module 'absent' in "),
        ("plots:absent", "plots.py has no function 'absent'; correct 'plots:absent'"),
        ("plots:NUMBER", "plots.py has no function 'NUMBER', but an object of this name"),
        ("plots:load", "takes (shared), but it is called as function(shared, region)"),
        (
            "bad:draw",
            "bad.py:2: [map] draw: the module cannot be imported: ModuleNotFoundError: No module named 'nono'",
        ),
        ("wrong:draw", "wrong.py:1: [map] draw: the module cannot be imported: SyntaxError"),
        ("leaves:draw", "leaves.py:2: [map] draw: the module cannot be imported: SystemExit: 3"),
        ("json:draw", "json.py has the name of another module; rename the file"),
    ],
)
def test_a_wrong_name_is_an_error_of_the_settings(
    setting: str, message: str, project: Path, run_command: Callable[..., Any]
) -> None:
    (project / "bad.py").write_text("import math\nimport nono\n")
    (project / "wrong.py").write_text("def draw(:\n")
    (project / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    (project / "json.py").write_text("def draw(shared, region): pass\n")
    write_settings(project, f'draw = "{setting}"')
    finished = run_command(project, "regions.csv")
    assert finished.returncode == 2
    assert message in finished.stderr
    assert "regionplot.toml:5" in finished.stderr or ".py:" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert json.dumps({}) == "{}"


def test_an_error_of_the_load_function_ends_the_run(project: Path, run_command: Callable[..., Any]) -> None:
    (project / "plots.py").write_text(MODULE.replace("return helper.TINT", "return open('absent.csv')"))
    finished = run_command(project, "regions.csv")
    assert finished.returncode == 3
    assert "plots.py:10: [map] load: FileNotFoundError: " in finished.stderr
    assert "Traceback" not in finished.stderr


def test_products_can_have_functions_of_their_own(project: Path, run_command: Callable[..., Any]) -> None:
    write_settings(project)
    settings = (project / "regionplot.toml").read_text()
    products = '[products.own]\nmap.draw = "plots:draw"\nmap.load = "plots:load"\n[products.plain]\n'
    (project / "regionplot.toml").write_text(f"{settings}\n{products}")
    finished = run_command(project, "regions.csv")
    assert "4 maps drawn" in finished.stdout, finished.stderr
    with Image.open(project / "output" / "own" / "nc.png") as own, Image.open(project / "output/plain/nc.png") as plain:
        assert (own.size, plain.size) == ((30, 20), (300, 200))
    write_later(project / "helper.py", "TINT = 8\n")
    assert "2 maps drawn, 2 unchanged" in run_command(project, "regions.csv").stdout
    (project / "regionplot.toml").write_text(f"{settings}\n{products}".replace("plots:draw", "plots:absent"))
    assert "[products.own.map] draw: " in run_command(project, "regions.csv").stderr


def test_functions_of_an_argument_draw_all_products(make_config: Callable[..., Any], tmp_path: Path) -> None:
    config = make_config(**SMALL, products={"a": {"colors": {"vmin": 0}}, "b": {}})
    report = render_regions(REGIONS[:1], config, draw=figure)
    assert sorted(outcome.job.target.parent.name for outcome in report.drawn) == ["a", "b"]
    assert not report.failed


def test_draw_and_decorate_exclude_each_other(project: Path, run_command: Callable[..., Any]) -> None:
    write_settings(project, 'draw = "plots:draw"', 'decorate = "plots:decorate"')
    assert "draw and decorate exclude each other" in run_command(project, "regions.csv").stderr


def test_figures_of_two_hundred_maps_are_freed(load: Callable[..., Any]) -> None:
    from regionplot.render.own import OwnRenderer

    shared = load(map={"size": [300, 200], "draw": pyplot_figure})
    renderer = OwnRenderer(shared)
    alive = []
    for _ in range(5):
        renderer.render(REGIONS[0])
        alive.append(_count_figures())
    assert alive[0] == alive[-1]


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize("method", ["serial", "threads", "fork", "forkserver"])
def test_the_collection_after_each_map_ignores_the_objects_of_the_program(
    method: str, make_config: Callable[..., Any]
) -> None:
    config = make_config(map={"size": [300, 200]}, run={"start_method": method, "workers": 2})
    before = gc.get_freeze_count()
    report = render_regions(REGIONS[:2], config, draw=needs_frozen_objects)
    assert not report.failed, report.failed[0].message
    assert gc.get_freeze_count() <= before


def needs_frozen_objects(shared: Any, region: Region) -> Any:
    assert gc.get_freeze_count() > 10_000
    return pixels(shared, region)


def _count_figures() -> int:
    return sum(isinstance(item, Figure | FigureCanvasAgg) for item in gc.get_objects())
