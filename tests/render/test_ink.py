"""Maps with kept ink are the same as maps that are drawn, and ink is never outdated."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import shapely

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.features import Features
from regionplot.layers.stack import can_yield, ignore_raster
from regionplot.render import code, ink_drawing, rgb
from regionplot.render.code import digest_of_modules
from regionplot.render.ink import Covered
from regionplot.render.ink_cache import InkCache
from regionplot.render.palette import ShadedPalette
from regionplot.render.renderer import MapRenderer
from regionplot.runs.run import render_regions
from regionplot.shared.data import SharedData
from regionplot.sheet.layout import Box
from regionplot.sheet.marks import INK, Rectangle, Text
from regionplot.system.array_file import read_arrays, write_arrays
from regionplot.system.code_records import known_sources
from regionplot.writers.base import Picture

pytestmark = pytest.mark.usefixtures("read_in_process")
WEST = Region("west", Extent(-99, -91, 33, 36.5), title="West")
EAST = Region("east", Extent(-76, -68, 30, 39.5), title="East, with a very long title " * 4)
LETTERS = Region("letters", Extent(-90, -80, 30, 35), title="Ümlauts and 漢字")
OUTSIDE_LAYERS = Region("plain", Extent(-60, -55, 10, 12))
NO_DATA = Region("no data", Extent(-99.9, -98.1, 48.1, 49.9))
REGIONS = (WEST, EAST, LETTERS, OUTSIDE_LAYERS, NO_DATA)
LEVELS = {"levels": [0, 100, 1000, 2000]}
SIZE = {"size": (300, 200)}
STYLES: dict[str, dict[str, Any]] = {
    "lines": {},
    "exact": {"map": {**SIZE, "fit": "exact"}},
    "Albers": {"map": {**SIZE, "projection": "EPSG:5070"}},
    "graticule": {"graticule": {"halo": "none", "color": "black"}},
    "no layers": {"features": []},
    "webp": {"output": {"filename": "{name}.webp"}},
    "rgb": {"output": {"png": {"mode": "rgb"}}},
    "halo": {"graticule": {}},
    "continuous": {"colors": {}},
    "no color bar": {"colors": {**LEVELS, "colorbar": False}},
}
Data = Callable[..., SharedData]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a new cache folder without records of source files. Return the folder of the ink."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(code, "code_records", lambda: None)  # tests change files as they are read, not on disk
    yield tmp_path / "cache" / "regionplot" / "ink"
    digest_of_modules.cache_clear()  # a test may have changed the versions
    known_sources.cache_clear()


@pytest.fixture
def data(write_raster, write_vector, make_config, tmp_path) -> Data:
    """Return a function that loads a grid of 1-degree cells, a layer of areas and a layer of lines and points."""
    values = np.arange(50 * 50, dtype=np.float32).reshape(50, 50)
    values[:3, :3] = np.nan
    written: dict[str, list[Any]] = {}

    def write(geometries: list[Any], name: str) -> Path:
        """Write a layer, unless the file already has these geometries."""
        if written.get(name) != geometries:
            written[name] = geometries
            write_vector(geometries, name=name)
        return tmp_path / name

    def make(add=0.0, line=((-98, 31), (-70, 44)), linewidth=1.0, facecolor="#000000", tags=None, **sections):
        areas = write([shapely.box(-97, 34, -94, 35), shapely.Point(-75, 33).buffer(2)], "areas.shp")
        lines = write([shapely.LineString(line)], "lines.shp")
        points = write([shapely.Point(-95, 35), shapely.Point(-72, 33)], "points.shp")
        features = [
            {"path": areas, "edgecolor": "black", "facecolor": facecolor},
            {"path": lines, "linewidth": linewidth},
            {"path": points},
        ]
        raster = {"path": write_raster(values + np.float32(add), tags=tags or {}), **sections.pop("raster", {})}
        return SharedData.load(
            make_config(raster=raster, **{"colors": LEVELS, "map": SIZE, "features": features, **sections})
        )

    return make


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the name of each region is added whose map is drawn with matplotlib."""
    names: list[str] = []
    for drawing, method in ((ink_drawing.InkDrawing, "ink_in_panel"), (rgb.RgbDrawing, "picture")):
        original = getattr(drawing, method)

        def recorded(self, sheet, *arguments, original=original):
            names.append(sheet.region.name)
            return original(self, sheet, *arguments)

        monkeypatch.setattr(drawing, method, recorded)
    return names


def pictures(shared: SharedData, regions=REGIONS) -> list[Picture]:
    renderer = MapRenderer(shared)
    return [renderer.render(region) for region in regions]


def check_equal(found: list[Picture], expected: list[Picture]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert (one.title, one.no_data) == (other.title, other.no_data)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_kept_maps_are_the_same_as_drawn_maps(data: Data, drawn: list[str], style: dict[str, Any]) -> None:
    expected = pictures(data(run={"cache": False}, **style))
    check_equal(pictures(data(**style)), expected)
    drawn.clear()
    check_equal(pictures(data(**style)), expected)
    in_palette = [region.name for region, picture in zip(REGIONS, expected, strict=True) if picture.palette is not None]
    assert not set(drawn) & set(in_palette)
    assert drawn == [region.name for region in REGIONS if region.name not in in_palette]


def test_kept_ink_is_laid_over_a_new_raster(data: Data, drawn: list[str]) -> None:
    pictures(data())
    drawn.clear()
    found = pictures(data(add=700, tags={"VALID_TIME": "2026-11-28"}), [WEST, EAST])
    assert drawn == []
    check_equal(found, pictures(data(add=700, run={"cache": False}), [WEST, EAST]))


def test_a_new_time_in_the_title_keeps_the_ink_of_the_panel(data: Data, drawn: list[str]) -> None:
    title = {"map": {**SIZE, "title": "{title}, {time}"}}
    pictures(data(tags={"VALID_TIME": "2026-11-27"}, **title), [WEST])
    drawn.clear()
    found = pictures(data(tags={"VALID_TIME": "2026-11-28"}, **title), [WEST])
    assert drawn == []
    assert found[0].title == "West, 2026-11-28 00:00 UTC"
    check_equal(found, pictures(data(tags={"VALID_TIME": "2026-11-28"}, run={"cache": False}, **title), [WEST]))


def test_a_title_moves_if_the_other_texts_come_or_go(data: Data) -> None:
    """A raster without a time has no text at the right, so its title is lower."""
    settings = {"map": {**SIZE, "upper_right": "{time}"}}
    for tags in ({"VALID_TIME": "2026-11-27"}, {}, {"VALID_TIME": "2026-11-27"}):
        found = pictures(data(tags=tags, **settings), [WEST])
        check_equal(found, pictures(data(tags=tags, run={"cache": False}, **settings), [WEST]))


@pytest.mark.parametrize(
    "difference",
    [
        {"map": {**SIZE, "title": "{title}!"}},
        {"colors": {**LEVELS, "label": ""}},
        {"colors": {**LEVELS, "colormap": "cividis"}},
        {"map": {**SIZE, "empty": "skip"}},
    ],
    ids=str,
)
def test_what_shows_only_outside_the_panel_keeps_the_ink_of_the_panel(data: Data, drawn: list[str], difference) -> None:
    pictures(data(), [WEST])
    drawn.clear()
    found = pictures(data(**difference), [WEST])
    assert drawn == []
    check_equal(found, pictures(data(**difference, run={"cache": False}), [WEST]))


@pytest.mark.parametrize(
    "difference",
    [
        {"linewidth": 1.1},
        {"line": ((-98, 31), (-70, 43))},
        {"facecolor": "#000001"},
        {"map": {**SIZE, "dpi": 90}},
        {"map": {"size": (302, 200)}},
        {"map": {**SIZE, "fit": "exact"}},
        {"map": {**SIZE, "projection": "EPSG:5070"}},
        {"features": []},
        {"graticule": {"halo": "none", "color": "black"}},
    ],
    ids=str,
)
def test_ink_is_not_kept_if_anything_changes_that_shows(data: Data, drawn: list[str], difference) -> None:
    pictures(data(), [WEST])
    drawn.clear()
    found = pictures(data(**difference), [WEST])
    assert drawn == ["west"]
    check_equal(found, pictures(data(**difference, run={"cache": False}), [WEST]))


@pytest.mark.parametrize(
    "colors",
    [
        {"levels": list(range(0, 2500, 100))}, {**LEVELS, "under": "none"}, {**LEVELS, "nodata": "#808080"}, {},
        {**LEVELS, "label": "A long label of the scale " * 4}, {**LEVELS, "colorbar": False}, {"vmin": 0, "vmax": 9},
        {"classes": [{"value": 7, "color": "#123456", "name": "Seven"}]},
    ],
    ids=str,
)  # fmt: skip
def test_ink_beside_the_color_bar_is_not_kept_if_its_place_changes(data: Data, colors) -> None:
    atlas = {"map": {"size": (700, 500), "style": "atlas"}, "features": []}
    beyond = [Region("beyond", Extent(-110, -91, 33, 46.5), title="West")]
    pictures(data(**atlas), beyond)
    found = pictures(data(**atlas, colors=colors), beyond)
    check_equal(found, pictures(data(**atlas, colors=colors, run={"cache": False}), beyond))


@pytest.mark.parametrize(
    "region",
    [Region("west", Extent(-99, -91, 33, 36.6), title="West"), Region("west", WEST.extent, title="Far west")],
    ids=["limits", "title"],
)
def test_ink_belongs_to_the_limits_and_the_title(data: Data, drawn: list[str], region: Region) -> None:
    shared = data()
    pictures(shared, [WEST])
    drawn.clear()
    pictures(shared, [region])
    assert drawn == ["west"]


def known(shared: SharedData) -> bool:
    """Return True if the ink of the western map is known."""
    digest_of_modules.cache_clear()  # as in a new process
    known_sources.cache_clear()
    renderer = MapRenderer(shared)
    palette = ShadedPalette.of(renderer.style.scale, renderer.style.layers)
    assert palette is not None
    cache = InkCache.of(renderer.style, palette)
    assert cache is not None
    return cache.knows_all([WEST])


@pytest.mark.parametrize("source", ["render/agg.py", "render/ink.py", "layers/features.py", "sheet/view.py", "text.py"])
def test_ink_of_other_code_is_not_used(data: Data, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    shared, read = data(), Path.read_bytes
    pictures(shared, [WEST])
    assert known(shared)
    end = f"regionplot/{source}"
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"\n#" * path.as_posix().endswith(end))
    assert not known(shared)


@pytest.mark.parametrize("library", ["numpy", "matplotlib", "shapely", "pyproj"])
def test_ink_of_other_libraries_is_not_used(
    data: Data, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str
) -> None:
    shared = data()
    pictures(shared, [WEST])
    (tmp_path / "site" / f"{library}-0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert not known(shared)


def test_ink_of_another_freetype_is_not_used(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, read = data(), Path.read_bytes
    pictures(shared, [WEST])
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"2" * path.name.startswith("ft2font"))
    assert not known(shared)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _stored(path: Path, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:
        write_arrays(file, arrays)


def _archive(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def _replaced(**arrays: Any) -> Callable[[Path], None]:
    """Return a function that replaces arrays of an entry, if the entry has them."""

    def replace(path: Path) -> None:
        with path.open("rb") as file:
            kept = read_arrays(file)
        _stored(path, {name: arrays.get(name, array) for name, array in kept.items()})

    return replace


def _ink(part: str, gaps: Any, values: Any = (0,), values_type: type = np.uint8) -> Callable[[Path], None]:
    """Return a function that replaces the ink of a part of the map."""
    return _replaced(**{f"{part} gaps": gaps, f"{part} values": np.array(values, values_type)})


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": _truncated,
    "a flipped byte": _flipped,
    "empty": lambda path: path.write_bytes(b""),
    "a pickle": lambda path: path.write_bytes(pickle.dumps({"rows": np.zeros((200, 300), np.uint8)})),
    "an archive": lambda path: path.write_bytes(_archive(rows=np.zeros((200, 300), np.uint8))),
    "no arrays": lambda path: _stored(path, {}),
    "other arrays": lambda path: _stored(path, {"a": np.zeros(3)}),
    "beyond the sheet": _ink("sheet", np.array([70_000], np.uint32)),
    "beyond the panel": _ink("panel", np.array([59_999], np.uint32)),
    "negative": _ink("panel", np.array([-1], np.int32)),
    "wrapped": _ink("sheet", np.array([2**64 - 1], np.uint64)),
    "twice": _ink("panel", np.array([5, 0], np.uint16), (0, 9)),
    "different lengths": _ink("panel", np.ones(5, np.uint16)),
    "two dimensions": _ink("panel", np.ones((2, 2), np.uint16), np.zeros((2, 2))),
    "another type": _ink("sheet", np.ones(1, np.uint16), (3,), np.float64),
    "a frame of another size": _replaced(rows=np.zeros((20, 30), np.uint8)),
    "a frame of another type": _replaced(rows=np.zeros((200, 300), np.float64)),
    "a frame without dimensions": _replaced(rows=np.uint8(3)),
    "an RGB frame of another size": _replaced(pixels=np.array([60_000], np.uint32), colors=np.ones(1, np.uint32)),
    "an RGB frame of negative pixels": _replaced(pixels=np.array([-1], np.int32), colors=np.ones(1, np.uint32)),
    "an RGB frame without colors": _replaced(colors=np.ones(0, np.uint32)),
    "an RGB frame of another type": _replaced(colors=np.ones(3, np.float32)),
    "an RGB frame without dimensions": _replaced(pixels=np.uint32(1), colors=np.uint32(1)),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_entries_are_drawn_again(data: Data, cache: Path, damage: Callable[[Path], object]) -> None:
    shared, regions = data(), [WEST, EAST, NO_DATA]
    expected = pictures(shared, regions)
    entries = sorted(cache.glob("*.arrays"))
    assert len(entries) == 6
    for entry in entries:
        damage(entry)
    check_equal(pictures(shared, regions), expected)
    check_equal(pictures(shared, regions), expected)


def test_a_color_of_the_frame_that_the_palette_lacks_is_not_used(data: Data, cache: Path) -> None:
    shared = data(colors={"levels": [0, 1000], "under": "black", "over": "white"})
    (expected,) = pictures(shared, [WEST])
    assert expected.palette is not None
    assert len(expected.palette) < 256
    for entry in cache.glob("*.arrays"):
        _replaced(rows=np.full((200, 300), 255, np.uint8))(entry)
    check_equal(pictures(shared, [WEST]), [expected])


@pytest.mark.parametrize("place", ["file", "missing"])
def test_without_a_cache_folder_maps_are_only_drawn_more_slowly(data: Data, monkeypatch, tmp_path, place: str) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place) if place == "file" else "/proc/missing")
    expected = pictures(data(run={"cache": False}))
    check_equal(pictures(data()), expected)


def test_without_the_cache_nothing_is_kept(data: Data, cache: Path) -> None:
    pictures(data(run={"cache": False}))
    assert not cache.exists()


@dataclass(frozen=True)
class Quiet(Features):
    """A layer of another package that does not set `ignores_raster`."""

    def draw(self, sheet):
        yield from super().draw(sheet)


@dataclass(frozen=True)
class Told(Quiet):
    """A layer of another package that sets `ignores_raster`."""

    ignores_raster: ClassVar[bool] = True

    def draw(self, sheet):
        assert (sheet.codes.size, sheet.values, sheet.description) == (0, None, {})
        yield from super().draw(sheet)


@dataclass(frozen=True)
class Stamped(Features):
    """A layer of another package that draws on the sheet, too."""

    def draw(self, sheet):
        yield from super().draw(sheet)
        yield Rectangle(Box(3, 3, 9, 9), "black", INK, 1)


def test_a_layer_that_overrides_draw_can_draw_on_the_sheet(data: Data) -> None:
    shared = data()
    before = pictures(shared, [WEST])
    (first, *others) = [layer for layer in shared.layers if isinstance(layer, Features)]
    assert not can_yield(first, (Rectangle, Text))
    stamped = Stamped(first.settings, first.vectors, first.key)
    object.__setattr__(shared, "layers", tuple(stamped if layer is first else layer for layer in shared.layers))
    (picture,) = pictures(shared, [WEST])
    changed = (picture.pixels != before[0].pixels).any(axis=2)
    assert (changed[-12:-3, 3:12]).all()
    assert others


def test_a_vector_layer_is_clipped_once_per_map(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    draw = Features.draw
    monkeypatch.setattr(Features, "draw", lambda self, sheet: drawn.append(sheet.region.name) or draw(self, sheet))
    pictures(data(), [WEST])
    assert drawn == ["west"] * 3


@pytest.mark.parametrize(("kind", "is_kept"), [(Quiet, False), (Told, True)])
def test_a_layer_must_say_that_it_ignores_the_raster(data: Data, drawn: list[str], kind, is_kept: bool) -> None:
    shared = data()
    layers = [kind(o.settings, o.vectors, o.key) if isinstance(o, Features) else o for o in shared.layers]
    object.__setattr__(shared, "layers", tuple(layers))
    assert ignore_raster(shared.layers) == is_kept
    expected = pictures(shared, [WEST, EAST])
    drawn.clear()
    check_equal(pictures(shared, [WEST, EAST]), expected)
    assert drawn == ([] if is_kept else ["west", "east"])


@pytest.mark.parametrize("method", ["serial", "threads", "fork"])
def test_runs_with_all_executors_keep_and_use_ink(data: Data, cache: Path, method: str, tmp_path: Path) -> None:
    def contents(run: dict[str, Any]) -> dict[str, bytes]:
        shared = data(run={"start_method": method, "workers": 2, **run}, output={"directory": tmp_path / "maps"})
        report = render_regions(REGIONS, shared, force=True)
        assert not report.failed
        return {path.name: path.read_bytes() for path in (tmp_path / "maps").glob("*.png")}

    expected = contents({"cache": False})
    assert len(expected) == len(REGIONS)
    assert contents({}) == expected
    assert len(list(cache.glob("*.arrays"))) == 2 + 2 * (len(REGIONS) - 1), (
        "two frames, and two entries per map with data"
    )
    assert not list(cache.glob(".*.tmp"))
    assert contents({}) == expected


@pytest.mark.parametrize("pixels", [[], [0], [199_999], [0, 1, 2], [5, 70_000, 199_999], [0, 65_535], [0, 65_536]])
def test_pixels_are_stored_without_loss(pixels: list[int]) -> None:
    before = Covered(np.array(pixels, np.intp), np.arange(len(pixels), dtype=np.uint8))
    found = Covered.of(before.arrays("a"), "a", 200_000)
    assert found.pixels.tolist() == pixels
    assert found.values.tolist() == list(range(len(pixels)))
