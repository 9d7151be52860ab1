"""Mistakes of newcomers on the command line and in settings give clear lines, all at once."""

from __future__ import annotations

import io
import re
import sys
import time

import numpy as np
import pytest

from regionplot.cli.interrupts import machine_problem
from regionplot.errors import ConfigError
from regionplot.runs.checks import check_config
from regionplot.settings.loading import read_config

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
CONFIG = '[raster]\npath = "sample:relief"\n[map]\nsize = [300, 200]\n'
TABLE = "name,west,east,south,north\neast,-84.5,-75.3,33.8,36.7\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "regionplot.toml").write_text(CONFIG)
    (tmp_path / "regions.csv").write_text(TABLE)
    return tmp_path


def test_all_faults_of_settings_and_table_are_reported_at_once_with_their_lines(run_command, folder):
    (folder / "regionplot.toml").write_text(
        '[raster]\npath = "none.tif"\ncrs = "EPSG:9999999"\nbnad = 2\n\n'
        '[map]\nprojection = "Merkator"\nsize = [800, "x"]\ntitle = "{titel}"\nbackground = "whitte"\n\n'
        '[colors]\ncolormap = "virdis"\nlevels = [0, 2, 1]\nnodata = "grren"\n\n'
        '[[features]]\npath = "none.shp"\nedgecolor = "blak"\n\n'
        '[[features]]\npath = "sample:states"\nlinewith = 2\nfacecolor = "gren"\ncrs = "EPSG:0"\n\n'
        '[output]\nfilename = "{nme}.png"\n[run]\nworkers = "many"\n'
    )
    lines = run_command(folder, "regions.csv").stderr.splitlines()
    found = [re.match(r"regionplot: regionplot.toml:(\d+): (\[+\w+\]+(?: #\d)? \w+): ", line) for line in lines]
    assert sorted((int(match[1]), match[2]) for match in found) == [
        (2, "[raster] path"), (3, "[raster] crs"), (4, "[raster] bnad"), (7, "[map] projection"), (8, "[map] size"),
        (9, "[map] title"), (10, "[map] background"), (13, "[colors] colormap"), (14, "[colors] levels"),
        (15, "[colors] nodata"), (18, "[[features]] #1 path"), (19, "[[features]] #1 edgecolor"),
        (23, "[[features]] #2 linewith"), (24, "[[features]] #2 facecolor"), (25, "[[features]] #2 crs"),
        (28, "[output] filename"), (30, "[run] workers"),
    ]  # fmt: skip
    (folder / "regions.csv").write_text(TABLE.replace("-84.5", "84W"))
    more = run_command(folder, "regions.csv").stderr
    assert "regions.csv:2: column 'west': '84W' is not a finite number; write decimal degrees: -84" in more
    assert "[colors] colormap" in more


def test_faults_of_the_table_and_of_colors_are_reported_together(run_command, folder):
    (folder / "regionplot.toml").write_text(CONFIG + 'background = "whitte"\n')
    (folder / "regions.csv").write_text(TABLE.replace("-84.5", "x"))
    result = run_command(folder, "regions.csv")
    assert result.returncode == 2
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["regions.csv:2", "regionplot.toml:5"]


MISTAKES = {
    "a misspelled command": (["prepar"], "there is no table and no command 'prepar'; did you mean 'prepare'?"),
    "an unknown command": (["summon"], "there is no table and no command 'summon'; the commands are check, init"),
    "an address": (["https://example.org/regions.csv"], "https://example.org/regions.csv: addresses are not read"),
    "a folder": (["."], r"\.: Is a directory; give the table of regions"),
    "an address as raster": (
        ["regions.csv", "--raster", "https://example.org/snow.tif"],
        r"--raster https://example.org/snow.tif: there is no file https://example.org/snow.tif; addresses are not read",
    ),
    "an address of settings": (
        ["regions.csv", "--config", "https://example.org/a.toml"], "https://example.org/a.toml: addresses are not read"
    ),
    "a file address as table": (["file:///data/a.csv"], "file:///data/a.csv: addresses are not read; leave out"),
    "a virtual file": (["regions.csv", "--raster", "/vsicurl/http://x/a.tif"], "virtual files of GDAL are not read"),
    "a Windows path": (["regions.csv", "--raster", r"C:\data\a.tif"], "write /mnt/c/data/a.tif"),
    "a file address": (["regions.csv", "--features", "file:///a.shp"], "leave out 'file://'"),
    "no path": (["regions.csv", "--raster", ""], "--raster : is empty; give the path of a file"),
    "a long name": (["x" * 5000 + "/" + "x" * 5000], "File name too long"),
    "a long raster": (["regions.csv", "--raster", "x" * 5000], "there is no file"),
    "an image of prepare": (["prepare", "sample:relief", "-o", "a.png"], "use a name that ends in .tif"),
    "two rasters": (["regions.csv", "--raster", "a", "--raster", "b"], "--raster is given 2 times; give it once"),
    "two configs": (["regions.csv", "-c", "a", "--config", "b", "-c", "c"], "--config is given 3 times; give it once"),
    "two outputs of prepare": (["prepare", "a.tif", "-o", "b", "--output", "c"], "--output is given 2 times"),
    "raster and table swapped": (["regionplot.toml", "--raster", "sample:relief"], "not a table: .* a settings file"),
    "no settings wanted and no raster": (["regions.csv", "--no-config"], "with --no-config, give --raster PATH"),
    "settings and no settings": (["regions.csv", "--no-config", "-c", "a"], "--config and --no-config exclude each"),
    "watching the standard input": (["-", "--watch"], "--watch reads the table again for each raster; give a file"),
    "a folder as settings": (["regions.csv", "-c", "."], "this is a folder; give the settings file in it"),
    "a table as settings": (["regions.csv", "-c", "regions.csv"], "regions.csv:1: not valid TOML: .*write key = value"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_on_the_command_line_gives_one_line(run_command, folder, arguments, message):
    result = run_command(folder, *arguments)
    assert result.returncode in (2, 3)
    assert re.search(message, result.stderr), result.stderr
    assert len(re.findall(r"^(regionplot|Error): ", result.stderr, re.MULTILINE)) == 1, result.stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [("region.csv", "region.csv: No such file"), ("grid.tif", "grid.tif: not a table: this is a raster")],
)
def test_without_settings_the_faults_of_the_table_are_reported_too(run_command, tmp_path, write_raster, table, message):
    write_raster([[0.0, 1.0]])
    result = run_command(tmp_path, table)
    assert result.returncode == 2
    first, second = result.stderr.splitlines()
    assert first.startswith("regionplot: no settings: there is no ")
    assert second.startswith(f"regionplot: {message}")


def test_a_flag_can_be_given_twice(run_command, folder):
    assert run_command(folder, "regions.csv", "-q", "-q", "--only", "e*", "--only", "w*").returncode == 0


def test_a_table_comes_from_the_standard_input(run_command, folder, monkeypatch):
    def read_from(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return run_command(folder, "-", "--wait-for", "5")

    assert read_from(TABLE).returncode == 0
    assert (folder / "output" / "east.png").exists()
    result = read_from(TABLE.replace("-84.5", "x"))
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert re.search(r"^regionplot: .*:2: column 'west': 'x' is not a finite number", result.stderr)
    monkeypatch.setattr(sys, "stdin", None)
    assert "no regions: the file is empty" in run_command(folder, "-").stderr


@pytest.mark.parametrize(("options", "used"), [((), "regionplot.toml"), (("--no-config",), None)])
def test_the_settings_file_is_named(run_command, folder, options, used):
    result = run_command(folder, "regions.csv", "--raster", "sample:relief", "-v", *options)
    first, *_, last = result.stdout.splitlines()
    assert first.startswith(f"settings: {used or 'none'}; raster: ")
    assert last.endswith(f", in output; settings: {used}" if used else ", in output")


@pytest.mark.parametrize(
    ("levels", "options", "is_reported"),
    [
        ("levels = [-200, -150, -100]", ("--raster", "sample:relief"), True),
        ("vmin = 1e5", ("--raster", "sample:relief"), True),
        ("levels = [-200, 500]", ("--raster", "sample:relief"), False),
        ("levels = [-200, -150]", (), False),
    ],
)
def test_levels_for_other_data_are_reported(run_command, folder, levels, options, is_reported):
    (folder / "regionplot.toml").write_text(f"{CONFIG}[colors]\n{levels}\n")
    (folder / "regions.csv").write_text("name,west,east,south,north\nplain,-100,-98,38,40\n")
    result = run_command(folder, "regions.csv", *options)
    assert result.returncode == 0
    assert result.stderr.count("is within the color scale") == is_reported, result.stderr
    if is_reported:
        assert "regionplot.toml:6: [colors]" in result.stderr
        assert "--no-config" in result.stderr


@pytest.mark.parametrize(("values", "is_reported"), [((0.5, 1.5), True), ((0.5, 1.0), False), ((5.0, 6.0), False)])
def test_fractions_that_are_drawn_as_classes_are_reported(run_command, folder, write_raster, values, is_reported):
    path = write_raster(np.array([values, values], np.float32))
    classes = '[{value = 1, color = "red"}, {value = 2, color = "blue"}]'
    (folder / "regionplot.toml").write_text(f'[raster]\npath = "{path}"\n[colors]\nclasses = {classes}\n')
    (folder / "regions.csv").write_text("name,west,east,south,north\nall,-100,-98,48,50\n")
    result = run_command(folder, "regions.csv")
    assert result.returncode == 0
    problem = "regionplot.toml:4: [colors] classes: no cell of the raster (0.5 to 1.5) has the value of a class"
    assert (problem in result.stderr) == is_reported, result.stderr


TOML = {
    "a Windows path": ('[raster]\npath = "C:\\Users\\x.tif"', 2, "write / instead of \\, or put the path in single"),
    "a Python constant": ("[colors]\ncolorbar = True", 2, "write true or false"),
    "no quotes": ("[raster]\npath = snow.tif", 2, "put text in quotes"),
    "no value": ("[raster]\npath =", 2, "the value is missing"),
    "a comma as decimal mark": ("[map]\ndpi = 1,5", 2, "write a decimal point, not a comma"),
    "a unit": ("[map]\ndpi = 100 dpi", 2, "write the number without a unit"),
    "no leading zero": ("[map]\ndpi = .5", 2, "write a digit before the decimal point"),
    "a colon": ("[map]\ndpi: 100", 2, "write key = value"),
    "an open quote": ('[map]\ntitle = "a\n[run]', 2, "close the quote on the same line"),
    "curly quotes": ("[map]\ntitle = “a”", 2, "write straight quotes"),
    "a key twice": ("[map]\ndpi = 1\ndpi = 2", 3, "the key is given twice; remove one of the two"),
    "a table twice": ("[map]\ndpi = 100\n[map]\n", 3, "the table is given twice; merge the two tables"),
    "an open list": ("[colors]\nlevels = [1, 2\n[map]", None, "close the list with ]"),
    "a missing comma": ("[colors]\nlevels = [1 2]", 2, "separate the values with commas"),
    "JSON": ('{"raster": {}}', None, "this is JSON"),
}


@pytest.mark.parametrize(("text", "line", "hint"), TOML.values(), ids=TOML)
def test_a_file_that_is_not_toml_gets_a_hint(tmp_path, text, line, hint):
    path = tmp_path / "regionplot.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: not valid TOML: " if line else str(path))
    assert hint in message
    assert "\n" not in message


WRONG = {
    'levels = 12\n': "[colors] levels: must be a list, such as [0, 10, 20] (it is 12)",
    'levels = "1,2"\n': "[colors] levels: must be a list, such as [0, 10, 20] (it is '1,2')",
    "levels = [1, 'a']\n": "[colors] levels: must be a number (it is 'a')",
    "levels = [1, true]\n": "[colors] levels: must be a number (it is True)",
    "vmin = '3'\n": "[colors] vmin: must be a number (it is '3')",
    "colormap = 3\n": "[colors] colormap: must be text in quotes (it is 3)",
    "colormap = ['viridis']\n": "[colors] colormap: must be text in quotes (it is ['viridis'])",
    "colorbar = 'yes'\n": "[colors] colorbar: must be true or false (it is 'yes')",
    "norm = 'logarithmic'\n": "[colors] norm: must be 'linear', 'log', 'symlog', 'sqrt' or 'quantile' (it is",
    "label = 2026-01-01\n": "[colors] label: must be text in quotes (it is datetime.date(2026, 1, 1))",
    "size = [1, 2]\n": "[colors] size: unknown key; this key belongs to [map] or [",
    "gloss = 1\n": "[colors] gloss: unknown key; use one of colormap",
    "classes = 3\n": "[colors] classes: must be an array of tables: write [[colors.classes]] (it is 3)",
    "vmin = 5\nvmax = 1\n": "[colors] vmax: vmin 5 must be less than vmax 1",
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=[text.split(" ")[0] for text in WRONG])
def test_values_of_wrong_types_are_described_in_the_words_of_toml(tmp_path, text, message):
    path = tmp_path / "regionplot.toml"
    path.write_text(f'[raster]\npath = "sample:relief"\n[colors]\n{text}')
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}:{3 + text.count(chr(10))}: {message}")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"raster": {"path": ["a.tif", "b.tif"]}}, r"\[raster\] path: must be one path, in quotes \(it is \['a.tif'"),
        ({"raster": {"path": 3}}, r"\[raster\] path: must be one path, in quotes \(it is 3\)"),
        ({"map": {"size": 800}}, r"\[map\] size: must be a list, such as \[1400, 900\] \(it is 800\)"),
        ({"features": {"path": "a"}}, r"\[features\]: must be an array of tables: write \[\[features\]\]"),
        ({"features": [{"path": 3}]}, r"\[\[features\]\] #1 path: must be one path, in quotes"),
        ({"map": [{"dpi": 100}]}, r"\[map\]: must be a single table: write \[map\]"),
        ({"map": {"projection": 5070}}, r"must be text in quotes or a table with keys and values \(it is 5070"),
        ({"map": {"title": "{name"}}, r"write \{\{ or \}\} for a literal brace$"),
        ({"colors": {"classes": [1, 2]}}, r"^settings: \[colors\] classes #1: must be .*\n.*#2: must be[^\n]*$"),
        (
            {"map": {"projection": {"name": "Mercator", "central_lon": 5}}},
            "Mercator: there is no keyword 'central_lon'; the keywords are central_longitude, ",
        ),
        ({"dpi": 5}, r"^settings: \[dpi\]: unknown key; this key belongs to \[map\]; use one of raster"),
        ({"raster": {"path": "sample:relief", "inputs": {"a": "sample:relief"}}}, "or remove the inputs$"),
        ({"map": "big"}, r"\[map\]: must be a table with keys and values"),
        ({"output": {"directory": 3}}, r"\[output\] directory: must be one path"),
        ({"run": {"workers": 1.5}}, r"\[run\] workers: must be a whole number or 'auto' \(it is 1.5\)"),
        ({"x" * 5000: {}}, r"^settings: \[x{60}…\]: unknown key"),
        ({"map": {"fit": "x" * 5000}}, r"\(it is 'x{50,60}…\)$"),
    ],
)  # fmt: skip
def test_values_of_other_sections_are_described_in_the_words_of_toml(sections, message):
    with pytest.raises(ConfigError, match=message):
        check_config(read_config({"raster": {"path": "sample:relief"}, **sections}), [])


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 100_000) + " = 1",
        "[map]\n" + ".".join(['"a"'] * 50_000) + " = 1",
        "[" + ".".join(["a"] * 100_000) + "]",
        "x = {" + " . ".join(["a"] * 50_000) + " = 1}",
        "".join(f"{'.'.join(['a'] * 30)}.k{number} = 1\n" for number in range(2000)),
        "a" * 1_000_000,
        "".join(f"key{number} = 1\n" for number in range(20_000)),
        "[map]\n" + "".join(f"key{number} = 1\n" for number in range(20_000)),
    ],
    ids=["dotted", "quoted", "header", "inline", "many", "one long word", "many tables", "many unknown keys"],
)
def test_hostile_toml_is_rejected_soon(tmp_path, text):
    path = tmp_path / "regionplot.toml"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert time.process_time() - start < 20
    assert len(str(caught.value)) < 100_000


@pytest.mark.parametrize("option", ["--raster", "--features", "--config", "--log-file", "--metrics"])
def test_a_path_that_breaks_lines_or_is_not_text_gives_one_line(option, run_command, folder):
    for name in ("no\nsuch/file", "\udcff\udcfe/x"):
        result = run_command(folder, "regions.csv", option, name)
        assert result.returncode in (2, 3)
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith("regionplot: ")


def test_a_loop_of_links_is_an_error_of_the_machine(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises((RuntimeError, OSError)) as caught:
        (tmp_path / "loop" / "config").resolve(strict=True)
    assert str(tmp_path / "loop") in machine_problem(caught.value)


def test_a_library_that_does_not_fit_into_memory_is_an_error_of_the_machine():
    error = ImportError("libgdal.so.36: failed to map segment from shared object")
    assert machine_problem(error).startswith("out of memory; free some memory, or raise its limit: libgdal")
    assert machine_problem(ImportError("no module named 'x'")) is None
