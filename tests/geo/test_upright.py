"""Test CRSs of all kinds and axes: maps show east on the right and north at the top, wherever the axes point."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import numpy as np
import pyproj
import pytest
from affine import Affine
from pyproj.database import query_crs_info

from regionplot.errors import ConfigError, RegionError
from regionplot.geo.cartopy import parse_projection
from regionplot.geo.crs import is_drawable, transformer
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.region import Region
from regionplot.geo.sampling import sample
from regionplot.geo.upright import own_axes, upright, upright_grid
from regionplot.sheet.layout import Box
from regionplot.sheet.view import View

LONLAT = pyproj.CRS.from_epsg(4326)
_DRAWN = ("Projected CRS", "Geographic 2D CRS", "Geographic 3D CRS", "Derived Geographic 2D CRS")
_UNDRAWN = ("Vertical CRS", "Geocentric CRS", "Geodetic CRS")
_PER_KIND = 2


def flat(crs: pyproj.CRS) -> pyproj.CRS:
    return crs.sub_crs_list[0] if crs.is_compound else crs


def is_implemented(crs: pyproj.CRS) -> bool:
    """Return True if PROJ implements the projection of a CRS."""
    try:
        pyproj.Transformer.from_crs(flat(crs), flat(crs).geodetic_crs)
    except pyproj.exceptions.ProjError:
        return False
    return True


def kind(crs: pyproj.CRS) -> tuple[object, ...]:
    """Return the properties in which CRSs differ: type, axes, units, prime meridian and method."""
    axes = tuple((axis.direction, axis.unit_name) for axis in flat(crs).axis_info[:2])
    operation = flat(crs).coordinate_operation
    meridian = crs.prime_meridian.longitude != 0 if crs.prime_meridian else None
    return (
        crs.type_name,
        axes,
        meridian,
        operation.method_name if operation and crs.type_name == "Projected CRS" else "",
    )


def base_and_point(crs: pyproj.CRS) -> tuple[pyproj.CRS, tuple[float, float]]:
    """Return the geographic CRS of a projected CRS, and the middle of its area in this geographic CRS."""
    base = flat(crs).geodetic_crs
    lon, lat = middle_of(crs)
    degrees = np.degrees(base.axis_info[0].unit_conversion_factor)
    meridian = base.prime_meridian.longitude * np.degrees(base.prime_meridian.unit_conversion_factor)
    return base, ((lon - meridian) / degrees, lat / degrees)


def is_small(crs: pyproj.CRS) -> bool:
    """Return True if a CRS is used in a small area, so that north is roughly upward in its middle."""
    area = crs.area_of_use
    return area is not None and 0 < area.east - area.west < 40


def sampled_crss() -> Iterator[tuple[str, pyproj.CRS]]:
    """Yield some CRSs of the earth of each kind in PROJ's database."""
    found: collections.Counter[object] = collections.Counter()
    for authority in ("EPSG", "ESRI", "IGNF", "OGC"):
        infos = query_crs_info(auth_name=authority)
        step = {"EPSG": 7, "ESRI": 5, "IGNF": 3}.get(authority, 1)
        axes = {
            "EPSG:5513",
            "EPSG:2065",
            "EPSG:2053",
            "EPSG:22289",
            "EPSG:29379",
            "EPSG:8044",
            "EPSG:5224",
            "EPSG:3052",
        }
        for number, info in enumerate(infos):
            code = f"{authority}:{info.code}"
            if number % step and code not in axes:
                continue
            crs = pyproj.CRS.from_authority(authority, info.code)
            if crs.ellipsoid is not None and not 6.3e6 < crs.ellipsoid.semi_major_metre < 6.5e6:
                continue  # another planet, or the moon
            found[kind(crs)] += 1
            if found[kind(crs)] <= _PER_KIND:
                yield code, crs


def middle_of(crs: pyproj.CRS) -> tuple[float, float]:
    """Return the longitude and latitude of the middle of the area in which a CRS is used."""
    area = crs.area_of_use
    if area is None:
        return 10.0, 20.0
    east = area.east + 360 * (area.east < area.west)
    return (area.west + east) / 2 + 0.1, (area.south + area.north) / 2 * 0.98 + 0.1


@pytest.mark.slow
def test_maps_of_every_kind_of_crs_show_east_on_the_right_and_north_at_the_top() -> None:
    """On a map, one pixel to the right is further east, and one pixel up is further north, except beside the poles."""
    checked, kinds = 0, set()
    for code, crs in sampled_crss():
        if crs.type_name in _UNDRAWN or not is_drawable(crs):
            assert crs.type_name in _UNDRAWN or not is_implemented(crs), code
            with pytest.raises(ConfigError, match="cannot be drawn as a map"):
                parse_projection(code)
            continue
        parsed = parse_projection(code)
        assert parsed is not None
        base, point = base_and_point(crs)
        x, y = transformer(base, parsed).transform(*point)
        if not np.isfinite(x + y):
            continue
        if parsed.is_geographic:
            assert {axis.unit_name for axis in parsed.axis_info[:2]} == {"degree"}, code
        own = np.array(transformer(base, crs).transform(*point))
        np.testing.assert_allclose(own_axes(parsed).points(own[None])[0], (x, y), rtol=1e-9, atol=1e-6, err_msg=code)
        step = 1e-3 if parsed.is_geographic else 100.0
        longitudes, latitudes = transformer(parsed, base).transform([x, x + step, x], [y, y, y + step])
        east, north = (np.diff(longitudes) + 180) % 360 - 180, np.diff(latitudes)
        assert east[0] * (latitudes[2] - latitudes[0]) > (longitudes[2] - longitudes[0]) * north[0], (
            f"{code} is mirrored"
        )
        directions = {axis.direction for axis in flat(crs).axis_info[:2]}
        method = flat(crs).coordinate_operation.method_name if flat(crs).coordinate_operation else ""
        if len(directions) == 2 and abs(latitudes[0]) < 70 and "blique" not in method and is_small(crs):
            assert east[0] > 0, code
            assert latitudes[2] > latitudes[0], code
        checked, kinds = checked + 1, kinds | {kind(crs)}
    assert len(kinds) > 80
    assert checked > 120


SOUTHING = ("EPSG:5513", "EPSG:2065", "EPSG:2053", "EPSG:22289", "EPSG:29379", "EPSG:8044", "EPSG:5516", "EPSG:4807")


@pytest.mark.parametrize("code", [*SOUTHING, "EPSG:7400", "EPSG:5498", "EPSG:6597", "EPSG:24370"])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "average"])
def test_a_grid_in_any_crs_lies_where_its_coordinates_say(code: str, resampling: str) -> None:
    """Grid and map have the same CRS, or the map is in Web Mercator. The value of a cell is its longitude."""
    crs = pyproj.CRS.from_user_input(code)
    lon, lat = middle_of(crs)
    x, y = transformer(LONLAT, crs).transform(lon, lat)
    cell = 0.002 if flat(crs).is_geographic else 200 / flat(crs).axis_info[0].unit_conversion_factor
    transform = Affine(cell, 0, x - 50 * cell, 0, -cell, y + 50 * cell)
    own_x, own_y = GridGeometry(transform, 100, 100, crs).coordinates(*np.meshgrid(*[np.arange(100) + 0.5] * 2))
    values, north = transformer(crs, LONLAT).transform(own_x, own_y)
    steps = [np.hypot(*np.gradient(cells)).max() for cells in (values, north)]
    geometry = upright_grid(GridGeometry(transform, 100, 100, crs))
    for target in (geometry.crs, pyproj.CRS.from_epsg(3857)):
        center = transformer(LONLAT, target).transform(lon, lat)
        size = 60 * cell * (0.9 if code == "EPSG:4807" else 1.0)
        if target.is_projected:
            size = 12_000 / target.axis_info[0].unit_conversion_factor
        panel = PanelGrid(
            Extent(center[0] - size / 2, center[0] + size / 2, center[1] - size / 2, center[1] + size / 2), 40, 40
        )
        px = panel.extent.xmin + (np.arange(40) + 0.5) * panel.pixel_width
        py = panel.extent.ymax - (np.arange(40) + 0.5) * panel.pixel_height
        expected = transformer(target, LONLAT).transform(*np.meshgrid(px, py))
        for cells, step, right in zip((values, north), steps, expected, strict=True):
            found = sample(cells, geometry, panel, target, resampling).values
            assert np.isfinite(found).all()
            assert abs(found - right).max() < 1.2 * step
            assert abs(found - right).mean() < 0.7 * step


@pytest.mark.parametrize("code", SOUTHING)
def test_limits_in_the_units_of_the_map_are_in_its_own_axes(code: str) -> None:
    crs, turned = pyproj.CRS.from_user_input(code), parse_projection(code)
    assert turned is not None
    x, y = transformer(LONLAT, crs).transform(*middle_of(crs))
    half = 0.1 if crs.is_geographic else 1e4
    own = Extent(x - half, x + half, y - half, y + half)
    for region in (Region("a", own, None), Region("a", own, code, origin="regions.csv:2")):
        view = View.of(region, turned, Box(0, 0, 100, 100), "exact")
        center = transformer(turned, LONLAT).transform(*view.requested.center)
        np.testing.assert_allclose(center, middle_of(crs), atol=0.02)


def test_crss_with_the_standard_axes_are_unchanged() -> None:
    for text in (
        "EPSG:4326",
        "EPSG:5070",
        "EPSG:3031",
        "EPSG:3413",
        "EPSG:32661",
        "EPSG:2193",
        "EPSG:5498",
        "ESRI:54030",
    ):
        crs = pyproj.CRS.from_user_input(text)
        assert upright(crs).change.is_identity
        assert upright(crs).crs == crs


@pytest.mark.parametrize("code", ["EPSG:5703", "EPSG:4978", "EPSG:3052", "EPSG:2963"])
def test_a_region_in_a_crs_without_a_map_is_refused(code: str) -> None:
    with pytest.raises(RegionError, match=r"column 'crs': the CRS .* cannot be drawn as a map"):
        View.of(Region("a", Extent(0, 1, 0, 1), code, origin="regions.csv:2"), LONLAT, Box(0, 0, 100, 100), "datalim")


def test_another_planet_is_refused_in_one_line() -> None:
    mars = parse_projection("IAU_2015:49910")
    assert mars is not None
    with pytest.raises(RegionError, match="there is no transformation from the CRS 'WGS 84' to 'Mars"):
        View.of(Region("a", Extent(0, 1, 0, 1)), mars, Box(0, 0, 100, 100), "datalim")
