"""A vector layer is read completely or refused. It has each border once, and is clipped to the panel."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from shapely.geometry import GeometryCollection, LineString, MultiPoint, Point, Polygon, box

from regionplot.errors import FeaturesError, InputError
from regionplot.geo.cartopy import parse_projection
from regionplot.geo.clip import SIMPLIFY
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.project import project_extent
from regionplot.inputs.vector_files import check_layer
from regionplot.inputs.vector_layers import VectorLayer, load_layer
from regionplot.layers.features import FeatureSettings
from regionplot.sample import locate

pytestmark = pytest.mark.usefixtures("read_in_process")
LONLAT = parse_crs("EPSG:4326")
ALBERS = parse_crs("EPSG:5070")
LAMBERT = parse_crs("+proj=lcc +lat_0=25 +lat_1=25 +lat_2=25 +lon_0=-95 +R=6371200")
WORLD = PanelGrid(Extent(-180, 180, -90, 90), 720, 360)
LEFT, RIGHT = box(0, 0, 10, 10), box(10, 0, 20, 10)


def layer(path: Path, to: pyproj.CRS = LONLAT, **settings: Any) -> VectorLayer:
    return load_layer(FeatureSettings(path=path, **settings), to)


def panel_of(extent: Extent, crs: pyproj.CRS, width: int = 600) -> PanelGrid:
    limits = project_extent(extent, LONLAT, crs)
    return PanelGrid(limits, width, max(1, round(width * limits.height / limits.width)))


def test_the_repr_of_a_layer_is_short(write_vector) -> None:
    text = repr(layer(write_vector([box(number, 0, number + 1, 1) for number in range(50)])))
    assert "<IndexedGeometries: " in text
    assert len(text) < 400


def test_a_shared_border_is_kept_once(write_vector) -> None:
    lines = layer(write_vector([LEFT, RIGHT])).lines
    assert shapely.length(lines).sum() == pytest.approx(70)
    assert shapely.union_all(lines).equals(LEFT.boundary.union(RIGHT.boundary))


def test_lines_that_cover_each_other_are_drawn_once(write_vector) -> None:
    lines = layer(write_vector([LineString([(0, 0), (5, 5)]), LineString([(5, 5), (0, 0), (0, 0)])])).lines
    assert shapely.length(lines).sum() == pytest.approx(50**0.5)


def test_the_edges_of_the_world_are_not_drawn_as_borders(write_vector) -> None:
    path = write_vector([box(170, 0, 180, 10), box(-180, 0, -170, 10), box(-50, -90, 50, -80)])
    lines = shapely.union_all(layer(path).lines)
    assert not lines.intersects(LineString([(180, 1), (180, 9)]))
    assert not lines.intersects(LineString([(-180, 1), (-180, 9)]))
    assert not lines.intersects(LineString([(-49, -90), (49, -90)]))
    assert lines.length == pytest.approx(2 * 30 + 120)


def test_borders_across_the_whole_world_are_drawn(write_vector) -> None:
    """Only the ends of a band around the world lie on the edges of the world."""
    lines = layer(write_vector([box(-180, -60, 180, -50)])).lines
    assert shapely.length(lines).sum() == pytest.approx(2 * 360)


@pytest.mark.parametrize("name", ["lines.shp", "lines.geojson", "lines.gpkg"])
@pytest.mark.parametrize("crs", [LONLAT, parse_crs("EPSG:3857"), parse_crs("ESRI:54030"), parse_crs("EPSG:3413")])
def test_lines_along_the_edges_of_the_world_are_drawn(write_vector, name: str, crs: pyproj.CRS) -> None:
    lines = [LineString([(x, -40), (x, 40)]) for x in (-180, 170, 180)] + [LineString([(-30, 90), (40, 90)])]
    found = layer(write_vector(lines[:3] if crs != LONLAT else lines, name=name), crs).lines
    expected = transformer(LONLAT, crs).transform([-180, 170, 180], [40, 40, 40])
    tops = shapely.points(np.column_stack(expected))
    assert (shapely.distance(tops, shapely.multilinestrings([*found])) < 1.0).all()
    assert shapely.length(found).sum() >= 3 * shapely.length(found).min() > 0
    if crs == LONLAT:
        assert shapely.length(found).sum() == pytest.approx(3 * 80 + 70)


def test_a_line_on_the_border_of_a_cut_polygon_is_drawn(write_vector) -> None:
    line = LineString([(180, 0), (180, 10)])
    mixed = GeometryCollection([box(170, 0, 180, 10), line])
    lines = layer(write_vector([mixed], name="layer.geojson")).lines
    assert shapely.union_all(lines).intersection(line).length == pytest.approx(10)


def projected(geometry: Any, crs: str) -> Any:
    to = transformer(LONLAT, parse_crs(crs))
    return shapely.transform(shapely.segmentize(geometry, 0.5), lambda p: np.column_stack(to.transform(*p.T)))


@pytest.mark.parametrize("source", ["EPSG:3857", "ESRI:54030", "+proj=moll", "+proj=eqc +lon_0=0"])
@pytest.mark.parametrize("target", ["EPSG:4326", "EPSG:3857", "EPSG:3413"])
def test_the_cuts_of_projected_polygons_are_not_drawn_as_borders(write_vector, source: str, target: str) -> None:
    halves = [projected(box(170, 0, 179.999999999, 10), source), projected(box(-180, 0, -170, 10), source)]
    lines = layer(write_vector(halves, crs=source, name="layer.gpkg"), parse_crs(target)).lines
    to_degrees = transformer(parse_crs(target), LONLAT)
    longitudes, latitudes = to_degrees.transform(*shapely.get_coordinates(lines).T)
    on_cut = abs(abs(longitudes) - 180) < 1e-4
    assert (abs(latitudes[on_cut] - 5) > 4.9).all()
    assert {-170, 170} <= {round(x) for x in longitudes}


def test_the_edge_of_web_mercator_is_not_drawn_as_a_border(write_vector) -> None:
    edge = 20037508.342789244
    path = write_vector([box(-edge, -edge, edge, -15e6)], crs="EPSG:3857", name="layer.gpkg")
    (line,) = layer(path, parse_crs("EPSG:3857")).lines
    assert line.bounds == pytest.approx((-edge, -15e6, edge, -15e6))


@pytest.mark.parametrize("crs", ["EPSG:3031", "+proj=laea +lat_0=-90"])
def test_the_slit_from_the_coast_to_the_pole_is_not_drawn(write_vector, crs: str) -> None:
    coast = [(x, -70 + 3 * np.sin(np.radians(4 * x))) for x in range(-180, 181, 2)]
    antarctica = projected(Polygon([(-180, -90), *coast, (180, -90)]), crs)
    lines = layer(write_vector([antarctica], crs=crs, name="layer.gpkg"), parse_crs(crs)).lines
    _, latitudes = transformer(parse_crs(crs), LONLAT).transform(*shapely.get_coordinates(lines).T)
    assert latitudes.min() > -73.1
    assert shapely.length(lines).sum() > 1e7


def test_the_cut_of_polygons_from_0_to_360_is_not_drawn(write_vector) -> None:
    lines = shapely.union_all(layer(write_vector([box(0, 0, 10, 10), box(350, 0, 360, 10)])).lines)
    assert lines.length == pytest.approx(2 * 30)
    lines = shapely.union_all(layer(write_vector([box(0, 0, 10, 10), box(340, 0, 350, 10)])).lines)
    assert lines.length == pytest.approx(2 * 40)


@pytest.mark.parametrize("crs", ["EPSG:3857", "+proj=sinu", "ESRI:54030"])
def test_lines_reach_the_seam_on_both_sides(write_vector, crs: str) -> None:
    found = layer(write_vector([LineString([(170.13, 5), (189.77, 12)])]), parse_crs(crs)).lines
    assert len(found) == 2
    (left, right) = sorted(found, key=lambda line: line.bounds[0])
    longitudes = [
        transformer(parse_crs(crs), LONLAT).transform(*line.coords[at])[0] for line, at in ((left, 0), (right, -1))
    ]
    assert longitudes == pytest.approx([-180, 180], abs=1e-4)


def test_lines_do_not_cross_the_gaps_of_an_interrupted_projection(write_vector) -> None:
    crs = parse_projection("InterruptedGoodeHomolosine")
    assert crs is not None
    found = layer(write_vector([LineString([(-120, y), (60, y)]) for y in (25, 40, 60, 80)]), crs).lines
    assert len(found) == 8  # the gap in the north is at 40° west


@pytest.mark.parametrize("west", [170, -190, 530])
def test_a_panel_across_the_antimeridian_shows_both_sides(write_vector, west: float) -> None:
    found = layer(write_vector([box(175, 0, 180, 10), box(-180, 0, -175, 10)]), facecolor="red")
    panel = PanelGrid(Extent(west, west + 20, -5, 15), 200, 200)
    for part in (found.lines_in(panel), found.polygons_in(panel)):
        assert shapely.total_bounds(part) == pytest.approx([west + 5, 0, west + 15, 10])
    assert shapely.area(found.polygons_in(panel)).sum() == pytest.approx(100)


@pytest.mark.parametrize("crs", [LAMBERT, parse_crs("ESRI:54030"), parse_crs("EPSG:3857"), parse_crs("EPSG:3995")])
@pytest.mark.parametrize("name", ["countries", "states"])
def test_no_line_crosses_a_seam(name: str, crs: pyproj.CRS) -> None:
    """Each segment is as long as on the earth, apart from the scale of the projection."""
    lines = layer(locate(name), crs).lines
    points, owner = shapely.get_coordinates(lines, return_index=True)
    longitude, latitude = transformer(crs, LONLAT).transform(*points.T)
    step = np.hypot(*np.diff(points, axis=0).T)[owner[1:] == owner[:-1]]
    _, _, metres = pyproj.Geod(ellps="WGS84").inv(longitude[:-1], latitude[:-1], longitude[1:], latitude[1:])
    metres = metres[owner[1:] == owner[:-1]]
    assert len(step) > 10_000
    assert (step <= 20 * np.maximum(metres, 1.0)).all()


def test_straight_edges_curve_with_the_projection(write_vector) -> None:
    """A parallel is not straight in a conic projection."""
    lines = layer(write_vector([LineString([(-120, 49), (-75, 49)])]), ALBERS).lines
    _, latitudes = transformer(ALBERS, LONLAT).transform(*shapely.get_coordinates(shapely.segmentize(lines, 1e4)).T)
    assert latitudes == pytest.approx(49, abs=2e-3)


@pytest.mark.parametrize(
    ("name", "extent"), [("counties", Extent(-84, -75, 33, 37)), ("countries", Extent(-125, -66, 24, 50))]
)
def test_clipping_and_simplifying_move_lines_by_at_most_a_third_of_a_pixel(name: str, extent: Extent) -> None:
    found, panel = layer(locate(name), ALBERS), panel_of(extent, ALBERS)
    shown = panel.extent
    window = box(shown.xmin, shown.ymin, shown.xmax, shown.ymax)
    whole = shapely.intersection(shapely.multilinestrings([*found.lines]), window)
    cut = shapely.intersection(shapely.multilinestrings([*found.lines_in(panel)]), window)
    # where a slanted line crosses the edge of the window, its shift along the edge can be larger
    assert shapely.hausdorff_distance(whole, cut) <= 3 * SIMPLIFY * panel.pixel_width
    inner = window.buffer(-panel.pixel_width)
    distances = shapely.distance(shapely.points(shapely.get_coordinates(whole)), cut)
    near = shapely.intersects(shapely.points(shapely.get_coordinates(whole)), inner)
    assert distances[near].max() <= SIMPLIFY * panel.pixel_width * 1.001
    assert shapely.get_num_coordinates(cut) < shapely.get_num_coordinates(whole)


def test_a_panel_without_geometries_is_empty(write_vector) -> None:
    found = layer(write_vector([LEFT]), facecolor="red")
    panel = PanelGrid(Extent(50, 60, 50, 60), 100, 100)
    assert not found.lines_in(panel).size
    assert not found.polygons_in(panel).size
    assert not found.points_in(panel).size


@pytest.mark.parametrize("crs", [LONLAT, ALBERS])
def test_filled_polygons_keep_their_holes(write_vector, crs: pyproj.CRS) -> None:
    ring = Polygon(box(-100, 30, -90, 40).exterior, [box(-97, 33, -93, 37).exterior])
    found = layer(write_vector([ring]), crs, facecolor="red")
    areas = shapely.union_all(found.polygons_in(panel_of(Extent(-110, -80, 25, 45), crs)))
    inside, hole = (Point(*transformer(LONLAT, crs).transform(x, y)) for x, y in ((-99, 31), (-95, 35)))
    assert areas.contains(inside)
    assert not areas.intersects(hole)


def test_polygons_are_kept_only_if_they_are_filled() -> None:
    assert not layer(locate("states")).polygons.size
    assert layer(locate("states"), facecolor="red").polygons.size >= 56


def test_a_filled_polygon_that_crosses_a_seam_is_closed_on_both_sides(write_vector) -> None:
    robinson = parse_crs("ESRI:54030")
    path = write_vector([shapely.transform(box(170, 0, 190, 10), lambda p: p), box(0, 0, 10, 10)])
    polygons = layer(path, robinson, facecolor="red").polygons
    xs = shapely.bounds(polygons)
    assert (xs[:, 2] - xs[:, 0] < 2e6).all()
    assert xs[:, 0].min() < -1.6e7
    assert xs[:, 2].max() > 1.6e7


def test_an_invalid_polygon_is_repaired_completely(write_vector) -> None:
    """A bow tie with a spike becomes a collection of polygons and a line. Both wings are filled."""
    bow_tie = Polygon([(-100, 30), (-90, 40), (-90, 30), (-100, 40), (-100, 45), (-100, 30)])
    found = layer(write_vector([bow_tie]), ALBERS, facecolor="red")
    areas = shapely.union_all(found.polygons_in(panel_of(Extent(-110, -80, 25, 50), ALBERS)))
    for x in (-99, -91):
        assert areas.contains(Point(*transformer(LONLAT, ALBERS).transform(x, 35)))


def test_null_geometries_are_skipped_and_counted(write_vector, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "regionplot"):
        found = layer(write_vector([LEFT, None, RIGHT, None]))
    assert shapely.length(found.lines).sum() == pytest.approx(70)
    assert "skipped 2 features without a geometry" in caplog.text


def test_collections_are_split_into_their_geometries(write_vector) -> None:
    mixed = GeometryCollection([LineString([(0, 0), (1, 1)]), Point(2, 2), box(3, 3, 4, 4)])
    found = layer(write_vector([mixed], name="layer.geojson"), facecolor="red")
    assert (found.points.size, found.polygons.size, found.lines.size) == (1, 1, 2)


def test_points_are_found_in_map_units(write_vector) -> None:
    path = write_vector([MultiPoint([(-100, 40), (-90, 35)]), Point(20, 20)], name="p.geojson", geometry_type="Unknown")
    found = layer(path, ALBERS).points_in(panel_of(Extent(-110, -80, 30, 45), ALBERS))
    expected = np.column_stack(transformer(LONLAT, ALBERS).transform([-100, -90], [40, 35]))
    np.testing.assert_allclose(shapely.get_coordinates(found), expected, atol=1e-6)


def test_a_layer_is_chosen_by_name(write_vector) -> None:
    path = write_vector([LEFT], name="two.gpkg", layer="left")
    write_vector([LEFT, RIGHT], name="two.gpkg", layer="both", append=True)
    assert shapely.length(layer(path, layer="both").lines).sum() == pytest.approx(70)
    with pytest.raises(FeaturesError, match=r"two\.gpkg.*neither"):
        layer(path, layer="neither")


def remove(suffix: str) -> Callable[[Path], object]:
    return lambda path: path.with_suffix(suffix).unlink()


def cut(part: float) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


DAMAGES = {
    "no shx": (remove(".shx"), r"its \.shx part is missing"),
    "no dbf": (remove(".dbf"), r"its \.dbf part is missing"),
    "neither": (lambda path: (remove(".shx")(path), remove(".dbf")(path)), r"its \.shx and \.dbf part is missing"),
    "no prj": (remove(".prj"), r'has no CRS; set crs = "EPSG:..."'),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "garbage": (lambda path: path.write_bytes(b"no shapes here " * 50), "cannot be read"),
    "cut": (cut(0.98), "the file is truncated: it has"),
    "header cut": (cut(0.001), "the file is truncated: it has"),
    "index cut": (lambda path: cut(0.5)(path.with_suffix(".shx")), "the file is truncated: it has"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("read", [layer, lambda path: check_layer(FeatureSettings(path=path))], ids=["load", "check"])
def test_a_damaged_shapefile_is_refused(write_vector, damage: Any, message: str, read: Any) -> None:
    path = write_vector([LEFT, RIGHT] * 50)
    damage(path)
    with pytest.raises(FeaturesError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path.with_suffix("")))
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize("name", ["layer.gpkg", "layer.geojson", "layer.fgb"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.98])
def test_a_truncated_file_is_refused_when_loaded(write_vector, name: str, part: float) -> None:
    path = write_vector([box(i, 0, i + 1, 5) for i in range(100)], name=name)
    cut(part)(path)
    with pytest.raises(FeaturesError, match=str(path)):
        layer(path)


def test_a_truncated_or_damaged_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "states.shp.zip"
    shutil.copy(locate("states"), path)
    cut(0.5)(path)
    with pytest.raises(FeaturesError, match=str(path)):
        layer(path)


@pytest.mark.parametrize("name", ["none.shp", "none.geojson", "none.gpkg", "none.fgb"])
@pytest.mark.parametrize("geometries", [[], [None, None], [Polygon()]], ids=["none", "null", "empty"])
def test_a_sound_layer_without_geometries_is_empty(write_vector, name: str, geometries: list[Any]) -> None:
    options = {"SPATIAL_INDEX": "NO"} if name.endswith(".fgb") else {}  # the index allows no missing geometries
    found = layer(write_vector(geometries, geometry_type="Polygon", name=name, **options), facecolor="red")
    assert (found.lines.size, found.polygons.size, found.points.size) == (0, 0, 0)
    assert not found.lines_in(WORLD).size


@pytest.mark.parametrize("geometry", [LineString([(90, -30), (95, -35)]), box(90, -35, 95, -30), Point(90, -30)])
def test_a_layer_that_the_projection_cannot_show_is_reported(write_vector, caplog, geometry: Any) -> None:
    behind = parse_crs("+proj=ortho +lat_0=40 +lon_0=-100")
    found = layer(write_vector([geometry]), behind, facecolor="red")
    assert (found.lines.size, found.polygons.size, found.points.size) == (0, 0, 0)
    assert "no part of the layer can be shown in the projection" in caplog.text


def test_settings_can_give_the_crs_that_the_file_lacks(write_vector) -> None:
    x, y = transformer(LONLAT, ALBERS).transform(-95, 37)
    path = write_vector([LineString([(x, y), (x + 1e5, y)])])
    path.with_suffix(".prj").unlink()
    lines = layer(path, LONLAT, crs="EPSG:5070").lines
    assert shapely.get_coordinates(lines)[:, 1] == pytest.approx(37, abs=0.1)


@pytest.mark.parametrize("crs", [LONLAT, LAMBERT, parse_crs("ESRI:54030")])
@pytest.mark.parametrize(
    "name", ["us_states_10m.geojson", "us_states.gpkg", "countries.shp", "rivers.shp", "lakes.shp", "cities.shp"]
)
def test_real_layers_load_in_any_projection(shared_data_folder: Path, name: str, crs: pyproj.CRS) -> None:
    found = layer(shared_data_folder / name, crs, facecolor="red")
    panel = panel_of(Extent(-100, -80, 35, 45), crs)
    parts = found.points_in(panel) if name == "cities.shp" else found.lines_in(panel)
    assert parts.size
    assert shapely.is_valid(parts).all()
    if name in ("us_states_10m.geojson", "countries.shp"):
        middle = Point(*transformer(LONLAT, crs).transform(-90, 42))
        assert shapely.contains(found.polygons_in(panel), middle).sum() == 1


def test_longitudes_up_to_360_are_shown_at_each_multiple_of_360(write_vector) -> None:
    path = write_vector([LineString([(250, 30), (260, 40)])])
    found = layer(path, LONLAT)
    for west in (-120, 240):
        panel = PanelGrid(Extent(west, west + 30, 25, 45), 300, 200)
        (line,) = found.lines_in(panel)
        assert line.bounds == pytest.approx((west + 10, 30, west + 20, 40))


@pytest.mark.parametrize("projection", ["EPSG:4326", "EPSG:5070"])
@pytest.mark.parametrize("width", [200, 700, 1382])
def test_simplified_areas_cover_the_same_cells(projection: str, width: int) -> None:
    """Simplification can split a polygon in two. Both parts are filled."""
    crs = parse_crs(projection)
    found = layer(locate("countries"), crs, facecolor="red")
    panel = panel_of(Extent(-130, -60, 15, 60), crs, width)
    faces, window = found.polygons_in(panel), box_of(panel)
    assert set(shapely.get_type_id(faces)) == {3}
    covered = shapely.union_all(shapely.make_valid(faces)).intersection(window).area
    assert covered == pytest.approx(shapely.union_all(found.polygons).intersection(window).area, rel=0.02)


def test_areas_that_cross_the_seam_of_an_oval_projection_stay_inside_it() -> None:
    robinson = parse_projection({"name": "Robinson", "central_longitude": 160})
    found = layer(locate("countries"), robinson, facecolor="red")
    outline = shapely.Polygon(robinson.boundary).buffer(1e4)
    assert shapely.covered_by(found.polygons, outline).all()


def box_of(panel: PanelGrid) -> Polygon:
    extent = panel.extent
    return box(extent.xmin, extent.ymin, extent.xmax, extent.ymax)


@pytest.mark.parametrize("library", ["shapely", "pyproj", "pyogrio", "numpy"])
def test_the_key_depends_on_the_versions_of_libraries(
    write_vector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str
) -> None:
    settings = FeatureSettings(path=write_vector([Point(-100, 40)]))
    keys = {load_layer(settings, parse_crs("EPSG:4326")).key for _ in range(2)}
    (tmp_path / "site" / f"{library}-0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert load_layer(settings, parse_crs("EPSG:4326")).key not in keys
    assert len(keys) == 1


def mosaic(columns: int, rows: int) -> list[Polygon]:
    """Return slightly skewed cells that cover the box (0, 0, 10, 10) without gaps."""
    x, y = np.meshgrid(np.linspace(0, 10, columns + 1), np.linspace(0, 10, rows + 1))
    inner = (x > 0) & (x < 10) & (y > 0) & (y < 10)
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, (2, *x.shape))
    x, y = x + inner * noise[0] * 10 / columns, y + inner * noise[1] * 10 / rows
    return [
        Polygon([(x[r, c], y[r, c]) for r, c in ((j, i), (j, i + 1), (j + 1, i + 1), (j + 1, i))])
        for j in range(rows)
        for i in range(columns)
    ]


@pytest.mark.parametrize("width", [30, 100, 400, 2000])
def test_polygons_smaller_than_a_pixel_keep_their_area(write_vector, width: int) -> None:
    """Neighbors get the same corners, so they cover the whole area at all scales, without gaps."""
    found = layer(write_vector(mosaic(60, 60), name="cells.gpkg"), facecolor="red")
    panel = PanelGrid(Extent(-20, 30, -10, 20), width, width * 3 // 5)
    areas = found.polygons_in(panel)
    pixel = panel.pixel_width
    assert shapely.area(areas).sum() == pytest.approx(100, abs=20 * pixel)
    assert shapely.union_all(shapely.make_valid(areas)).area == pytest.approx(100, abs=5 * pixel)


def test_corners_of_areas_move_by_at_most_a_sixteenth_of_a_pixel() -> None:
    found, panel = layer(locate("states"), ALBERS, facecolor="red"), panel_of(Extent(-125, -66, 24, 50), ALBERS)
    moved = shapely.get_coordinates(found.polygons_in(panel))
    old = shapely.points(shapely.get_coordinates(found.polygons))
    distance = shapely.distance(shapely.points(moved), old[shapely.STRtree(old).nearest(shapely.points(moved))])
    extent = panel.extent
    inside = shapely.intersects_xy(box(extent.xmin, extent.ymin, extent.xmax, extent.ymax), moved)
    assert distance[inside].max() <= 2**0.5 / 16 * panel.pixel_width * 1.001


def test_lines_and_symbols_beside_the_panel_are_kept_if_they_reach_into_it(write_vector) -> None:
    panel = PanelGrid(Extent(0, 100, 0, 50), 100, 50)
    lines = layer(write_vector([LineString([(-5, 62), (105, 62)])]))
    points = layer(write_vector([Point(50, -14)], name="points.geojson"))
    assert not lines.lines_in(panel).size
    assert lines.lines_in(panel, 12.5).size
    assert not points.points_in(panel).size
    assert points.points_in(panel, 14.5).size
