"""Marks become matplotlib artists."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.path import Path as Outline
from matplotlib.transforms import IdentityTransform
from shapely.geometry import LineString, MultiPoint, Polygon, box

from regionplot.colors.numbers import ColorScale
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.region import Region
from regionplot.layers.base import LayerSettings, LoadContext
from regionplot.layers.colorbar import ColorBarLayer
from regionplot.layers.features import Features, FeatureSettings
from regionplot.layers.neatline import Neatline
from regionplot.layers.no_data import NoDataNote
from regionplot.layers.stack import lay_out
from regionplot.layers.title import Title
from regionplot.render.agg import AxesPlace
from regionplot.render.artists import panel_artists, sheet_artist
from regionplot.render.frame import add_frame, new_figure
from regionplot.render.text import UnhintedText
from regionplot.settings.loading import read_config
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.layout import Box
from regionplot.sheet.marks import INK, AxesCall, Label, Markers, Path, Rectangle
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View
from regionplot.text import colorbar_label

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
RELIEF = {"raster": {"path": "sample:relief"}}
CONFIG = read_config({**RELIEF, "map": {"size": [700, 450]}})
LONLAT = parse_crs("EPSG:4326")
LAYOUT = lay_out(CONFIG, ColorBarKey())
WORLD = Extent(-10, 30, -10, 30)
SMALL = Box(10, 20, 100, 50)


def sheet(title: str = "", no_data: bool = False, panel: Box = LAYOUT.panel) -> Sheet:
    return Sheet(
        region=Region("a", WORLD),
        view=View(panel, PanelGrid(WORLD, 400, 400), WORLD),
        layout=LAYOUT,
        crs=LONLAT,
        description={},
        title=title,
        codes=np.zeros((400, 400), np.uint8),
        no_data=no_data,
    )


@pytest.fixture
def canvas() -> FigureCanvasAgg:
    return FigureCanvasAgg(new_figure(LAYOUT))


@pytest.fixture
def drawn(write_vector, canvas):
    """Return the artists of a vector layer with a style."""

    def draw(geometries, **style):
        path = write_vector(geometries, name="layer.geojson", geometry_type="Unknown")
        layer = Features.load(FeatureSettings(path=path, **style), LoadContext(CONFIG, LONLAT))
        axes = canvas.figure.add_axes([0, 0, 1, 1])
        return [artist for mark in layer.draw(sheet()) for artist in panel_artists(mark, axes)]

    return draw


def test_all_lines_of_a_layer_are_one_path(drawn) -> None:
    (patch,) = drawn([LineString([(0, 0), (5, 5)]), LineString([(9, 0), (9, 9)])], edgecolor="red", linewidth=2)
    assert (patch.get_path().codes == Outline.MOVETO).sum() == 2
    assert patch.get_linewidth() == 2
    assert patch.get_edgecolor() == (1, 0, 0, 1)
    assert patch.get_facecolor()[3] == 0


def test_areas_lie_below_lines_and_keep_their_holes(drawn) -> None:
    ring = Polygon(box(0, 0, 10, 10).exterior, [box(4, 4, 6, 6).exterior])
    areas, lines = drawn([ring, box(15, 15, 20, 20)], facecolor="tan", edgecolor="blue")
    assert areas.get_edgecolor()[3] == 0
    assert areas.get_facecolor() != lines.get_facecolor()
    codes = areas.get_path().codes
    assert (codes == Outline.MOVETO).sum() == (codes == Outline.CLOSEPOLY).sum() == 3
    assert (lines.get_path().codes == Outline.MOVETO).sum() == 3


def test_points_are_markers(drawn) -> None:
    (markers,) = drawn([MultiPoint([(0, 0), (5, 5)])], edgecolor="black", facecolor="red", linewidth=1)
    np.testing.assert_array_equal(markers.get_xydata(), [[0, 0], [5, 5]])
    assert markers.get_markerfacecolor() == "red"


@pytest.mark.parametrize("style", [{"linewidth": 0}, {"edgecolor": "none"}])
def test_lines_without_width_or_color_are_not_drawn(drawn, style) -> None:
    assert drawn([box(0, 0, 1, 1)], **style) == []


def test_geometries_outside_of_the_panel_are_not_drawn(drawn) -> None:
    assert drawn([box(50, 50, 60, 60)], facecolor="red") == []


@pytest.mark.parametrize(
    "mark",
    [
        Path.of_lines(np.array([LineString([(0, 0), (1, 1)])]), "red", 1),
        Markers(np.zeros((1, 2)), 3, "red", "black", 1),
        Label(50, 50, "12°E", 9, "black", "white", 1),
        AxesCall(lambda axes: [Circle((0, 0), 1, transform=axes.transData), Line2D([0, 1], [0, 1])]),
    ],
    ids=lambda mark: type(mark).__name__,
)
def test_artists_in_the_panel_are_clipped_to_it(mark, canvas) -> None:
    axes = canvas.figure.add_axes([0.1, 0.1, 0.5, 0.5])
    artists = list(panel_artists(mark, axes))
    assert len(artists) == 1 + isinstance(mark, AxesCall)
    assert all(artist.get_clip_box() is axes.bbox for artist in artists)


@pytest.mark.parametrize(("halo", "effects"), [("white", 1), ("none", 0)])
def test_a_label_has_a_halo_if_it_has_a_color(canvas, halo: str, effects: int) -> None:
    axes = canvas.figure.add_axes([0, 0, 1, 1])
    (label,) = panel_artists(Label(50, 60, "12°E", 9, "black", halo, 1.5), axes)
    assert len(label.get_path_effects()) == effects
    assert label.get_position() == (50, 60)


@pytest.mark.parametrize("seed", range(20))
def test_a_place_on_the_sheet_is_that_of_axes_to_the_last_bit(canvas, seed: int) -> None:
    random = np.random.default_rng(seed)
    left, bottom, width, height = (int(number) for number in random.integers(1, 300, 4))
    x, y, w, h = random.uniform(-1, 1, 4) * 10.0 ** random.integers(0, 8)
    limits = Extent(x, x + abs(w), y, y + abs(h))
    view = View(Box(left, bottom, width, height), PanelGrid(limits, width, height), limits)
    axes = canvas.figure.add_axes(view.box.fractions(LAYOUT.size))
    axes.set_xlim(limits.xmin, limits.xmax)
    axes.set_ylim(limits.ymin, limits.ymax)
    place = AxesPlace.of(view, LAYOUT)
    np.testing.assert_array_equal(place.bbox.extents, axes.bbox.extents)
    np.testing.assert_array_equal(place.transData.get_matrix(), axes.transData.get_affine().get_matrix())


def title(text: str, canvas: FigureCanvasAgg):
    """Return the artist of a title."""
    (mark,) = Title.load(LayerSettings(), LoadContext(CONFIG, LONLAT)).draw(sheet(text))
    return sheet_artist(mark, canvas.figure)


def test_a_title_that_fits_is_not_changed(canvas) -> None:
    artist = title("North  Carolina\n$x_2$", canvas)
    assert artist.get_text() == "North Carolina $x_2$"
    assert artist.get_fontsize() == LAYOUT.page.title_points
    assert not artist.get_parse_math()


@pytest.mark.parametrize("length", [60, 80, 120, 300])
@pytest.mark.parametrize("words", ["Snow on the ground ", "Schneewassergleichwer"])
def test_a_long_title_shrinks_and_is_then_divided_into_two_lines(canvas, words: str, length: int) -> None:
    text = (words * 20)[:length].strip()
    artist = title(text, canvas)
    assert artist.get_window_extent(canvas.get_renderer()).x1 <= LAYOUT.size[0] - LAYOUT.panel.left + 1
    lines = artist.get_text().split("\n")
    assert len(lines) <= 2
    assert (" " if " " in words else "").join(lines) == text
    assert artist.get_fontsize() >= (0.6 * LAYOUT.page.title_points - 1e-9 if len(lines) == 1 else 5)


def test_a_title_that_would_be_too_small_to_read_is_truncated(canvas) -> None:
    artist = title("Snow on the ground " * 100, canvas)
    assert artist.get_window_extent(canvas.get_renderer()).x1 <= LAYOUT.size[0] - LAYOUT.panel.left + 1
    assert artist.get_text().startswith("Snow on the ground Snow")
    assert artist.get_text().count("\n") == 1
    assert artist.get_fontsize() == 5
    assert artist.get_text().endswith("…")


def test_two_lines_lie_around_the_baseline_of_one_line() -> None:
    """The rows of one line and of two lines that are drawn with the same font."""
    rows = []
    for words in ("HHHH", "HHHH\nHHHH"):
        image = FigureCanvasAgg(Figure(figsize=(2, 1)))
        text = UnhintedText(10, 40, words, fontsize=10)
        text.set_transform(IdentityTransform())
        text.set_figure(image.figure)
        image.figure.add_artist(text)
        image.draw()
        pixels = np.asarray(image.buffer_rgba())[..., :3].min(axis=(1, 2))
        rows.append(image.figure.bbox.height - np.flatnonzero(pixels < 128))
    (one, two), height = rows, 1.15 * 10 * 100 / 72
    assert two.max() - one.max() == pytest.approx(0.75 * height, abs=1)
    assert one.min() - two.min() == pytest.approx(0.25 * height, abs=1)


@pytest.mark.parametrize("text", ["", " ", "$\\frac{$", "\\", "الثلج", "雪" * 300, "\u202e\u0301"])
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_any_title_can_be_drawn(canvas, text: str) -> None:
    artist = title(text, canvas)
    artist.draw(canvas.get_renderer())
    assert artist.get_text() == text.strip() or artist.get_text().endswith("…")


@pytest.mark.parametrize(
    ("units", "label"),
    [
        ("m", "Depth (m)"), ("", "Depth"), ("1", "Depth"), ("degC", "Depth (°C)"), ("kg m^-2", "Depth (kg m⁻²)"),
        ("m s-1", "Depth (m s⁻¹)"), ("ug m-3", "Depth (µg m⁻³)"), ("W/m2", "Depth (W/m²)"), ("%", "Depth (%)"),
        ("m s**-1", "Depth (m s⁻¹)"), ("m**2 s**-2", "Depth (m² s⁻²)"),
        ("10^15 molec/cm2", "Depth (10¹⁵ molec/cm²)"), ("log10(mg m-3)", "Depth (log10(mg m⁻³))"),
        ("1e-3", "Depth (1e-3)"), ("1.e-3", "Depth (1.e-3)"), ("kg.m-2.s-1", "Depth (kg.m⁻².s⁻¹)"),
        ("g CO2 m-2", "Depth (g CO2 m⁻²)"), ("ug PM2.5 m-3", "Depth (µg PM2.5 m⁻³)"), ("K2", "Depth (K²)"),
        ("degree_Celsius", "Depth (°C)"), ("Kelvin", "Depth (K)"), ("~", "Depth"), ("(0 - 1)", "Depth"),
    ],
)  # fmt: skip
def test_units_are_written_in_their_common_form(units: str, label: str) -> None:
    assert colorbar_label("Depth", units) == label


def bar_axes(canvas: FigureCanvasAgg, **colors: object):
    config = read_config({**RELIEF, "colors": colors, "map": {"size": [700, 450]}})
    scale = ColorScale.of(config, np.linspace(0, 100, 100).reshape(10, 10))
    context = LoadContext(config, LONLAT, {"long_name": "Depth $x$", "units": "m"})
    add_frame(canvas.figure, lay_out(config, scale.key()), [ColorBarLayer.load(LayerSettings(), context)])
    return canvas.figure.axes


def test_labels_of_many_classes_do_not_touch(canvas) -> None:
    levels = [number * 12.5 for number in range(60)]
    (axes,) = bar_axes(canvas, levels=levels)
    canvas.draw()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_visible() and label.get_text()]
    assert 5 < len(boxes) < 60
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_all_labels_of_few_classes_are_shown(canvas) -> None:
    (axes,) = bar_axes(canvas, levels=[0, 0.1, 1, 2.5, 1e6])
    assert [label.get_text() for label in axes.get_xticklabels() if label.get_visible()] == [
        "0", "0.1", "1", "2.5", "1e+06",
    ]  # fmt: skip
    assert axes.get_xlabel() == "Depth $x$ (m)"


def test_there_is_no_color_bar_if_it_is_turned_off(canvas) -> None:
    assert bar_axes(canvas, colorbar=False) == []


def test_the_neatline_goes_around_the_panel(canvas) -> None:
    (mark,) = Neatline().draw(sheet(panel=SMALL))
    assert mark == Rectangle(SMALL, "none", INK, LAYOUT.page.neatline_pixels)
    artist = sheet_artist(mark, canvas.figure)
    assert artist.get_bbox().bounds == (10, 20, 100, 50)
    assert artist.get_linewidth() * LAYOUT.dpi / 72 == LAYOUT.page.neatline_pixels


def test_the_note_is_in_the_middle_of_a_panel_without_data(canvas) -> None:
    assert list(NoDataNote().draw(sheet(panel=SMALL))) == []
    (mark,) = NoDataNote().draw(sheet(no_data=True, panel=SMALL))
    assert sheet_artist(mark, canvas.figure).get_position() == (60, 45)


def darkness(polygons: list[Polygon]) -> np.ndarray:
    """Return how far each pixel of a panel of 20 x 20 pixels is filled, from 0 to 1. Row 0 is in the south."""
    figure = Figure(figsize=(0.2, 0.2), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 20)
    axes.set_ylim(0, 20)
    for artist in panel_artists(Path.of_polygons(np.array(polygons, dtype=object), "black"), axes):
        axes.add_artist(artist)
    canvas.draw()
    return 1 - np.asarray(canvas.buffer_rgba())[::-1, :, 0] / 255


def ring(geometry: Polygon, winding: int) -> list[tuple[float, ...]]:
    """Return the shell of a polygon, counterclockwise (1) or clockwise (-1)."""
    return list(
        geometry.exterior.coords if geometry.exterior.is_ccw == (winding > 0) else geometry.exterior.coords[::-1]
    )


@pytest.mark.parametrize("shell", [-1, 1])
@pytest.mark.parametrize("hole", [-1, 1])
def test_holes_are_not_filled_whatever_the_winding_of_the_rings(shell: int, hole: int) -> None:
    filled = darkness([Polygon(ring(box(2, 2, 18, 18), shell), [ring(box(6, 6, 14, 14), hole)])])
    expected = np.zeros((20, 20))
    expected[2:18, 2:18] = 1
    expected[6:14, 6:14] = 0
    np.testing.assert_array_equal(filled, expected)


@pytest.mark.parametrize("windings", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_areas_that_overlap_are_filled_together(windings: tuple[int, int]) -> None:
    """The second area also fills the hole of the first."""
    first = Polygon(ring(box(2, 2, 14, 14), windings[0]), [ring(box(9, 9, 12, 12), windings[1])])
    filled = darkness([first, Polygon(ring(box(8, 8, 18, 18), windings[1]))])
    expected = np.zeros((20, 20))
    expected[2:14, 2:14] = expected[8:18, 8:18] = 1
    np.testing.assert_array_equal(filled, expected)


@pytest.mark.parametrize("windings", [(1, 1), (1, -1), (-1, 1)])
def test_neighbors_show_no_seam(windings: tuple[int, int]) -> None:
    """The common border runs through the middle of pixels."""
    slanted = [(9.3, 2), (11.6, 18)]
    left, right = Polygon([(2, 2), *slanted, (2, 18)]), Polygon([*slanted, (18, 18), (18, 2)])
    filled = darkness([Polygon(ring(left, windings[0])), Polygon(ring(right, windings[1]))])
    assert (filled[2:18, 2:18] > 0.99).all()
