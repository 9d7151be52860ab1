"""Letters that the default font lacks are drawn with an installed font, or reported once."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

import regionplot
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.fonts import FALLBACKS, FontFallbacks, is_visible
from regionplot.runs.digests import MapDigests
from regionplot.runs.run import render_regions
from regionplot.runs.texts import find_fonts
from regionplot.settings.loading import read_config

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
CAROLINA = Extent(-84.5, -75.3, 33.8, 36.7)
SNOW, SEA = "北", "海"
NUMBERS = count()


def write_font(path: Path, letters: str) -> Path:
    """Write a font whose glyphs are rectangles of different widths."""
    names = {ord(letter): f"glyph{number}" for number, letter in enumerate(letters)}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for number, name in enumerate(names.values(), 2):
        pen = TTGlyphPen(None)
        for move, point in [(pen.moveTo, (0, 0)), *((pen.lineTo, p) for p in [(0, 800), (90 * number, 800), (90, 0)])]:
            move(point)
        pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem.partition("-")[0], "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that makes fonts the only installed fonts. The fonts of the process are forgotten."""
    monkeypatch.setattr(font_manager.fontManager, "ttflist", list(font_manager.fontManager.ttflist))
    paths: list[str] = []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: paths)

    def write(**fonts: str) -> None:
        for name, letters in fonts.items():  # matplotlib remembers the file of a family, so each family is new
            paths.append(str(write_font(tmp_path / f"{name}{next(NUMBERS)}.ttf", letters)))

    with mock.patch.dict(vars(FALLBACKS), vars(FontFallbacks()), clear=True):
        yield write


def test_the_default_font_is_used_as_long_as_it_has_all_glyphs(install):
    install(Snow=f"é{SNOW}")
    assert [FALLBACKS.families(text) for text in ("Ohio", "Méxïco", "Київ", "a\u00a0b\u200d")] == [None] * 4


def test_a_font_with_many_of_the_letters_is_preferred(install):
    install(ASans=SNOW, BSans=SNOW + SEA, CSans="道")
    families = FALLBACKS.families(SNOW + SEA + "é道")
    assert [family.rstrip("0123456789") for family in families] == ["DejaVu Sans", "BSans", "CSans"]
    assert FALLBACKS.missing(SNOW + SEA + "é道") == []


def test_a_damaged_font_is_skipped(install, tmp_path):
    install(Snow=SNOW)
    next(tmp_path.glob("*.ttf")).write_bytes(b"\0\1\0\0 not a font")
    assert (FALLBACKS.families(SNOW), FALLBACKS.missing(f"a{SNOW}é{SNOW}")) == (None, [SNOW])


def test_titles_of_other_letters_look_different_if_a_font_is_installed(install, load):
    shared = load(map={"size": [300, 200]})

    def titles():
        regions = [Region("a", CAROLINA, title=letter * 4) for letter in (SNOW, SEA)]
        renderer = regionplot.MapRenderer(shared)
        return [renderer.render(region).pixels[:24] for region in regions]

    first, second = titles()
    assert np.array_equal(first, second)  # boxes
    with mock.patch.dict(vars(FALLBACKS), vars(FontFallbacks()), clear=True):
        install(Snow=SNOW + SEA)
        first, second = titles()
        assert not np.array_equal(first, second)


@pytest.mark.parametrize("kind", ["colorbar", "legend"])
def test_labels_and_names_of_classes_use_installed_fonts(install, load, kind):
    install(Snow=SNOW + SEA)
    pictures = []
    for letter in (SNOW, SEA):
        classes = {"classes": [{"value": 1, "color": "red", "name": letter}], "label": "m"}
        colors = {"label": letter} if kind == "colorbar" else classes
        raster = {"path": "sample:relief", "resampling": "nearest"}
        renderer = regionplot.MapRenderer(load(map={"size": [300, 200]}, colors=colors, raster=raster))
        pictures.append(renderer.render(Region("a", CAROLINA)).pixels)
    assert not np.array_equal(*pictures)


def test_a_run_reports_missing_letters_once(install, make_config, caplog):
    install(Snow=SNOW)
    regions = [Region(f"r{number}", CAROLINA, title=f"{SNOW}{SEA}道 \u200b\u0915") for number in range(3)]
    config = make_config(map={"size": [300, 200]}, run={"workers": 2})
    assert render_regions(regions, config).exit_code == 0
    (message,) = [record.getMessage() for record in caplog.records if "font" in record.getMessage()]
    assert message == (
        "no installed font has the glyphs 海 (CJK UNIFIED IDEOGRAPH-6D77), 道 (CJK UNIFIED IDEOGRAPH-9053), "
        "क (DEVANAGARI LETTER KA); a box is drawn instead; searched: DejaVu Sans and 1 font files of this system; "
        "install a font such as Noto Sans CJK or Noto Sans Devanagari"
    )
    caplog.clear()
    render_regions(regions, config, force=True)
    assert not caplog.records


@pytest.mark.usefixtures("install")
def test_a_figure_reports_missing_letters(load, caplog):
    regionplot.plot_region(load(map={"size": [300, 200]}), Region("a", CAROLINA, title=f"Snow {SEA}"))
    assert "no installed font has the glyph 海 (" in caplog.text


def test_a_map_is_drawn_again_after_a_font_was_installed(install, load):
    shared = load(map={"size": [300, 200]})
    region, plain = Region("a", CAROLINA, title=SNOW), Region("b", CAROLINA)
    before = [MapDigests(shared).of(each) for each in (region, plain)]
    with mock.patch.dict(vars(FALLBACKS), vars(FontFallbacks()), clear=True):
        install(Snow=SNOW)
        after = [MapDigests(shared).of(each) for each in (region, plain)]
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)


@pytest.mark.parametrize("letter", [" ", "\u200d", "\ufe0f", "\u202e", "\u3000", "\x07"])
def test_letters_without_a_shape_need_no_glyph(letter):
    assert not is_visible(letter)


@pytest.mark.parametrize("letter", ["a", "\u0902", "\ue000", "\u0378", "❄"])
def test_private_and_unassigned_letters_need_a_glyph(letter):
    assert is_visible(letter)


def test_letters_of_all_texts_around_a_map_are_searched() -> None:
    texts = {"subtitle": "\u0f56 {long_name}", "upper_right": "\u2d30", "lower_right": "\u0b85"}
    own = {"credit": {"lines": ["\u10d0"]}, "colors": {"label": "\u0531"}}
    config = read_config({"raster": {"path": "sample:relief"}, "map": texts, **own})
    assert set(find_fonts([], config)) - {" "} >= {"\u0f56", "\u2d30", "\u0b85", "\u10d0", "\u0531"}
