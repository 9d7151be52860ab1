"""Attack with CRS definitions that name files, and with very long or deeply nested definitions."""

from __future__ import annotations

import ctypes
import json
import os
import sqlite3
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine

from regionplot.errors import ConfigError, InputError, RasterError, RegionplotError
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.crs_paths import path_in_crs
from regionplot.geo.extent import Extent
from regionplot.geo.foreign_crs import parse_code, parse_file_crs
from regionplot.geo.region import Region
from regionplot.inputs.describe import inspect_raster
from regionplot.inputs.vector_layers import load_layer
from regionplot.layers.features import FeatureSettings
from regionplot.settings.raster import RasterSettings
from regionplot.sheet.layout import Box
from regionplot.sheet.view import View

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
LONLAT = pyproj.CRS.from_epsg(4326)
_IN_OPEN = 0x20
_IN_NONBLOCK = 0x800


class Victim:
    """A file, and the number of times that it was opened, according to inotify."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("<key> +proj=longlat +datum=WGS84 <>\n")
        libc = ctypes.CDLL(None)
        self.descriptor = libc.inotify_init1(_IN_NONBLOCK)
        assert libc.inotify_add_watch(self.descriptor, os.fsencode(path), _IN_OPEN) >= 0

    def times_opened(self) -> int:
        try:
            return len(os.read(self.descriptor, 2**16)) // struct.calcsize("iIII")
        except BlockingIOError:
            return 0

    def __str__(self) -> str:
        return str(self.path)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    found = Victim(tmp_path / "secret.gsb")
    yield found
    os.close(found.descriptor)


GEOGCS = (
    'GEOGCS["x",DATUM["d",SPHEROID["s",6378137,298.257223563]{}],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]]'
)
BASE = 'BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",ELLIPSOID["WGS 84",6378137,298.257223563]]]'
GEOGCRS = (
    'GEOGCRS["WGS 84",DATUM["World Geodetic System 1984",ELLIPSOID["WGS 84",6378137,298.257223563]],CS[ellipsoidal,2],'
    'AXIS["lat",north],AXIS["lon",east],UNIT["degree",0.0174532925199433]{}]'
)
PLANE = 'CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]'
CUSTOM = f'PROJCS["x",{GEOGCS.format("")},PROJECTION["custom_proj4"],UNIT["m",1],EXTENSION["PROJ4","{{}}"]]'
SHIFTED = GEOGCS.format(',EXTENSION["PROJ4_GRIDS","{0}"]')

DEFINITIONS = {
    "grid": SHIFTED,
    "grid in lower case and other brackets": SHIFTED.lower().replace("[", " ( ").replace("]", " ) "),
    "grid in a list": SHIFTED.replace("{0}", "@null,{0}"),
    "grid in a PROJ string": CUSTOM.replace("{}", "+proj=merc +nadgrids={0} +type=crs"),
    "init file in a PROJ string": CUSTOM.replace("{}", "+init={0}:key"),
    "height": f'COMPD_CS["c",{GEOGCS.format("")},VERT_CS["v",VERT_DATUM["vd",2005,EXTENSION["PROJ4_GRIDS","{{0}}"]],'
    'UNIT["m",1],AXIS["Up",UP]]]',
    "geoid": f'COMPOUNDCRS["c",{GEOGCRS.format("")},VERTCRS["v",VDATUM["v"],CS[vertical,1],AXIS["up",up],'
    'LENGTHUNIT["metre",1],GEOIDMODEL["PROJ {0}"]]]',
    "pipeline": f'PROJCRS["x",{BASE},CONVERSION["c",METHOD["PROJ-based operation method: +proj=pipeline +step '
    f'+proj=hgridshift +grids={{0}}"]],{PLANE}]',
    "method": f'PROJCRS["x",{BASE},CONVERSION["c",METHOD["PROJ hgridshift grids={{0}}"]],{PLANE}]',
    "file of a method": f'GEOGCRS["x",{BASE},DERIVINGCONVERSION["c",METHOD["NTv2",ID["EPSG",9615]],PARAMETERFILE['
    '"Latitude and longitude difference file","{0}",ID["EPSG",8656]]],CS[ellipsoidal,2],AXIS["lat",north],'
    'AXIS["lon",east],ANGLEUNIT["degree",0.0174532925199433]]',
    "grid in a remark": GEOGCRS.format(',REMARK["PROJ CRS string: +proj=longlat +nadgrids={0}"]'),
    "init file in a remark": GEOGCRS.format(',REMARK["PROJ CRS string: +init={0}:key"]'),
    "PROJ string": "+proj=longlat +ellps=intl +nadgrids={0}",
    "PROJ string with blanks": "+proj=longlat +ellps=intl  + nadgrids = {0}",
    "PROJ string without plus": "proj=longlat ellps=intl nadgrids={0}",
    "init": "+init={0}:key",
    "init without plus": "init={0}:key",
    "grid of heights": "+proj=longlat +datum=WGS84 +geoidgrids={0} +vunits=m +type=crs",
}


def message_of(function: Callable[[], object]) -> str:
    """Call a function. Return the message of its error, or an empty text."""
    try:
        function()
    except RegionplotError as error:
        return str(error)
    return ""


def use(crs: pyproj.CRS) -> None:
    """Use a CRS in all ways in which maps use it."""
    for one, other in ((crs, LONLAT), (LONLAT, crs), (crs, pyproj.CRS.from_epsg(3857))):
        transformer(one, other).transform(1.0, 2.0)
    crs.to_wkt()
    crs.equals(LONLAT)


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_crs_in_a_file_opens_no_file(definition: str, victim: Victim) -> None:
    text = definition.replace("{0}", str(victim))
    assert len(message_of(lambda: use(parse_file_crs(text)))) < 400
    assert victim.times_opened() == 0


@pytest.mark.parametrize("name", ["grid", "grid of heights", "PROJ string without plus", "method", "geoid"])
def test_the_definitions_above_would_open_the_file(name: str, victim: Victim) -> None:
    try:
        crs = pyproj.CRS.from_user_input(DEFINITIONS[name].replace("{0}", str(victim)))
        pyproj.Transformer.from_crs(crs, LONLAT, always_xy=True).transform(1, 2)
        pyproj.Transformer.from_crs(crs, pyproj.CRS.from_epsg(4979)).transform(1, 2, 3)
    except pyproj.exceptions.ProjError:
        pass
    assert victim.times_opened() > 0


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
@pytest.mark.parametrize("origin", ["regions.csv:2", ""], ids=["table", "Python"])
def test_the_crs_of_a_region_opens_no_file(definition: str, origin: str, victim: Victim) -> None:
    region = Region("a", Extent(1, 2, 1, 2), definition.replace("{0}", str(victim)), origin=origin)
    assert len(message_of(lambda: View.of(region, LONLAT, Box(0, 0, 100, 100), "datalim"))) < 400
    assert victim.times_opened() == 0


@pytest.mark.parametrize("text", ["+proj=longlat", "WGS 84", LONLAT.to_wkt(), "EPSG:4326 ", "EPSG", "../x:1", "a:b/c"])
def test_a_table_names_a_crs_by_its_code_only(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not the code of a CRS; write AUTHORITY:CODE, such as EPSG:5070"):
        parse_code(text)


@pytest.mark.parametrize("text", ["EPSG:5070", "epsg:4326", "OGC:CRS84", "ESRI:54030", "IAU_2015:49900"])
def test_codes_of_all_authorities_are_parsed(text: str) -> None:
    assert parse_code(text) == pyproj.CRS.from_user_input(text)


@pytest.mark.parametrize("parse", [parse_code, parse_crs, parse_file_crs])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, '{"a":' * 20_000, '["a",' * 20_000, "GEOGCS[" * 15_000, "+proj=x " * 13_000, "(" * 33, "", "\0",
        '{"type":"GeographicCRS"}', "[1]", "{}", "null", "EPSG:\ud800", "GEOGCS[" + '"' * 99_999,
    ],
    ids=range(14),
)  # fmt: skip
def test_a_long_or_deeply_nested_crs_gives_one_short_line(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert len(str(caught.value)) < 450
    assert str(caught.value).isprintable()


def test_one_bad_crs_fails_one_region(run_command, grid_file: Path, tmp_path: Path) -> None:
    bad = ("[" * 90_000, '{"a":' * 10_000, "+init=/etc/passwd:a", "EPSG:999999", "+proj=longlat +nadgrids=/dev/zero")
    rows = [
        f'"{name}","{text.replace(chr(34), 2 * chr(34))}",-100,-99,40,41'
        for name, text in zip("bcdef", bad, strict=True)
    ]
    (tmp_path / "regions.csv").write_text(
        "\n".join(["name,crs,xmin,xmax,ymin,ymax", "a,EPSG:4326,-100,-99,40,41", *rows])
    )
    done = run_command(tmp_path, "regions.csv", "--raster", grid_file)
    assert done.returncode == 1
    assert [path.stem for path in (tmp_path / "output").glob("*.png")] == ["a"]
    assert "Traceback" not in done.stderr
    assert max(map(len, done.stderr.splitlines())) < 500


def grid_with_crs(wkt: str) -> dict[str, Any]:
    """Return the variables of a NetCDF file whose grid mapping has a CRS as WKT."""
    axes = {
        f"d{length}": (np.arange(length) * 1000.0, {"standard_name": f"projection_{name}_coordinate", "units": "m"})
        for name, length in (("x", 5), ("y", 4))
    }
    snow = (np.ones((4, 5), np.float32), {"grid_mapping": "crs"})
    mapping = (np.zeros(1, np.int32), {"spatial_ref": wkt, "GeoTransform": "0 1000 0 0 0 -1000"})
    return {**axes, "snow": snow, "crs": mapping}


@pytest.mark.parametrize("attribute", ["spatial_ref", "crs_wkt", "esri_pe_string"])
def test_a_netcdf_opens_no_file_of_its_crs(attribute: str, victim: Victim, write_netcdf) -> None:
    variables = grid_with_crs(DEFINITIONS["grid"].replace("{0}", str(victim)))
    variables["crs"][1][attribute] = variables["crs"][1].pop("spatial_ref")
    path = write_netcdf(**variables)
    with pytest.raises(RasterError, match=f"its CRS names another file, which is not opened: {victim}"):
        inspect_raster(RasterSettings(path=path, variable="snow"))
    assert victim.times_opened() == 0


@pytest.mark.parametrize("suffix", [".tif", ".img", ".jp2"])
def test_an_image_opens_no_file_of_its_crs(suffix: str, victim: Victim, tmp_path: Path) -> None:
    driver = {".tif": "GTiff", ".img": "HFA", ".jp2": "JP2OpenJPEG"}[suffix]
    wkt = DEFINITIONS["grid"].replace("{0}", str(victim))
    profile = {
        "count": 1,
        "width": 40,
        "height": 40,
        "dtype": "uint8",
        "crs": wkt,
        "transform": Affine(1, 0, 0, 0, -1, 40),
    }
    with rasterio.open(tmp_path / f"grid{suffix}", "w", driver=driver, **profile) as file:
        file.write(np.ones((1, 40, 40), np.uint8))
    victim.times_opened()
    settings = RasterSettings(path=tmp_path / f"grid{suffix}")
    message = message_of(lambda: use(inspect_raster(settings).geometry.crs))
    assert not message or "its CRS" in message
    assert victim.times_opened() == 0


def shapefile(write_vector: Any, text: str) -> Path:
    path: Path = write_vector([shapely.Point(1, 2)])
    path.with_suffix(".prj").write_text(text)
    return path


def zipped(write_vector: Any, text: str) -> Path:
    path = shapefile(write_vector, text)
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for part in path.parent.glob("layer.*"):
            if part.suffix != ".zip":
                archive.write(part, part.name)
    return path.with_suffix(".zip")


def geopackage(write_vector: Any, text: str) -> Path:
    path: Path = write_vector([shapely.Point(1, 2)], name="layer.gpkg", crs="EPSG:3857")
    with sqlite3.connect(path) as database:
        database.execute(
            "UPDATE gpkg_spatial_ref_sys SET definition=?, organization='X', organization_coordsys_id=12345 "
            "WHERE srs_id=3857",
            (text,),
        )
    database.close()
    return path


def geojson(write_vector: Any, text: str) -> Path:
    path: Path = write_vector([shapely.Point(1, 2)], name="layer.geojson")
    content = {**json.loads(path.read_text()), "crs": {"type": "name", "properties": {"name": text}}}
    path.write_text(json.dumps(content).replace("PROJ4", "\\u0050ROJ4"))
    return path


def flatgeobuf(write_vector: Any, text: str) -> Path:
    path: Path = write_vector([shapely.Point(1, 2)], name="layer.fgb", crs=text)
    return path


@pytest.mark.parametrize("build", [shapefile, zipped, geopackage, geojson, flatgeobuf])
@pytest.mark.parametrize(
    "name", ["grid", "height", "grid in a PROJ string", "init file in a PROJ string", "PROJ string", "init"]
)
def test_vectors_open_no_file_of_their_crs(build: Any, name: str, victim: Victim, write_vector) -> None:
    try:
        path = build(write_vector, DEFINITIONS[name].replace("{0}", str(victim)))
    except pyogrio.errors.DataSourceError:
        pytest.skip("this format does not hold such a CRS")
    victim.times_opened()
    message = message_of(lambda: load_layer(FeatureSettings(path=path), LONLAT))
    assert not message or (str(path) in message and "CRS" in message)
    assert victim.times_opened() == 0


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        (pyproj.CRS.from_epsg(3857).to_wkt("WKT1_GDAL"), "EPSG:3857"),
        (pyproj.CRS.from_epsg(5070).to_wkt(), "EPSG:5070"),
        ("+proj=utm +zone=33 +ellps=bessel +towgs84=598,73,418,0.2,0,-2.4,6.7", None),
        ("+proj=merc +a=6378137 +b=6378137 +nadgrids=@null +wktext +no_defs", None),
        ("+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +o_lon_p=0 +lon_0=18 +R=6371229", None),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:You will likely lose important projection information:UserWarning")
def test_harmless_definitions_are_unchanged(text: str, same_as: str | None) -> None:
    crs = pyproj.CRS.from_user_input(same_as or text)
    wkt = text if text.startswith(("PROJ", "GEOG")) else crs.to_wkt()
    assert parse_file_crs(wkt) == pyproj.CRS.from_wkt(wkt)
    assert path_in_crs(crs.to_wkt()) is None


def test_a_removed_grid_leaves_the_rest_of_the_crs() -> None:
    crs = pyproj.CRS.from_user_input("+proj=utm +zone=33 +ellps=intl +nadgrids=some.gsb")
    cleaned = parse_file_crs(crs.to_wkt())
    assert cleaned.type_name == "Projected CRS"
    assert cleaned.equals(crs.source_crs)


NO_MAP = {
    "vertical": pyproj.CRS.from_epsg(5703).to_wkt("WKT1_GDAL"),
    "geocentric": pyproj.CRS.from_epsg(4978).to_wkt("WKT1_GDAL"),
    "local": 'LOCAL_CS["mine",UNIT["metre",1]]',
    "local with axes": 'LOCAL_CS["mine",LOCAL_DATUM["d",0],UNIT["m",1],AXIS["a",EAST],AXIS["b",NORTH]]',
    "unknown projection": CUSTOM.replace("{}", "+proj=merc +nadgrids=some.gsb"),
    "engineering": 'ENGCRS["Undefined Cartesian SRS",EDATUM["Unknown engineering datum"],CS[Cartesian,2],'
    'AXIS["e",east],AXIS["n",north],LENGTHUNIT["metre",1]]',
}


@pytest.mark.parametrize("text", NO_MAP.values(), ids=NO_MAP)
def test_a_layer_without_a_map_crs_is_refused_in_one_line_or_takes_the_setting(text: str, write_vector) -> None:
    layer = shapefile(write_vector, text)
    with pytest.raises(InputError, match=r"layer.shp: .*set crs = .* in its \[\[features\]\]") as caught:
        load_layer(FeatureSettings(path=layer), LONLAT)
    assert len(str(caught.value).splitlines()) == 1
    assert load_layer(FeatureSettings(path=layer, crs="EPSG:4326"), LONLAT).points.size == 1


@pytest.mark.parametrize("name", ["vertical", "local", "unknown projection", "engineering"])
def test_a_raster_without_a_map_crs_is_refused_in_one_line_or_takes_the_setting(name: str, write_raster) -> None:
    path = write_raster(np.ones((4, 5), np.float32), Affine(1, 0, -100, 0, -1, 40), NO_MAP[name])
    with pytest.raises(RasterError, match=r"grid.tif: .*set crs = .* in \[raster\]") as caught:
        inspect_raster(RasterSettings(path=path))
    assert len(str(caught.value).splitlines()) == 1
    assert inspect_raster(RasterSettings(path=path, crs="EPSG:4326")).geometry.crs.is_geographic
