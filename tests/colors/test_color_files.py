"""Color files of other programs give the colors that these programs draw.

The reference colors were sampled from the programs: GMT 6.4.0 (`gmt grdimage -A`), GDAL 3.6.2 (`gdaldem color-relief`),
QGIS 3.22.16 (`QgsRasterRenderer.block`) and VTK 9.7.2 (`vtkColorTransferFunction.GetColor`, as ParaView uses it). The
raster held `VALUES`. `none` means transparent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regionplot.errors import ConfigError
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData

VALUES = (-60, -50, -31.25, -10, -5, 0, 3.4375, 20, 25, 38.125, 40, 55)
ITEMS = [(-50, "#2b83ba"), (-10, "#abdda4"), (0, "#ffffbf"), (20, "#fdae61"), (40, "#d7191c")]
POINTS = [-50, 0.23, 0.3, 0.75, -10, 0.1, 0.6, 0.2, 5, 0.8, 0.8, 0.1, 40, 0.7, 0.02, 0.15]
ENDS = [*POINTS[:4], *POINTS[-4:]]
EXACT = "none #2b83ba none #abdda4 none #ffffbf none #fdae61 none none #d7191c none"
BLENDED = "#2b83ba #2b83ba #67adb0 #abdda4 #d5eeb1 #ffffbf #fff2af #fdae61 #f48950 #db2723 #d7191c #d7191c"
STEPPED = "#2b83ba #2b83ba #abdda4 #abdda4 #ffffbf #ffffbf #fdae61 #fdae61 #d7191c #d7191c #d7191c #500000"
CPT = """# COLOR_MODEL = RGB
-50\t0/0/120\t-10\t120/180/255
-10\t255/255/255\t20\t250/200/100
20 250/200/100 40 #a01010
B 40/0/40
F black
N 200
"""
CLASSES_CPT = """-50 blue -10 blue ;cold
-10 lightblue 5 lightblue
5 gray60 25 gray60
25 red 40 red U
B 10/10/10
F 250/250/0
N 127/127/127
"""
HSV_CPT = """# COLOR_MODEL = {}HSV
-50 240-1-0.5 0 180-0.6-1
0 120-0.5-0.9 40 0-1-1
B 300-1-0.2
F 0-0-1
N 0-0-0.5
"""
RELIEF = "# test\nnv 1 2 3 0\n-50 10 20 200\n-10:white\n0,100,150,60\n20 230 60 10 255\n40 aqua\n"
QML = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.16"><pipe><rasterrenderer type="singlebandpseudocolor" band="1"><rastershader>
<colorrampshader colorRampType="{}" clip="{}">{}</colorrampshader></rastershader></rasterrenderer></pipe></qgis>"""
PALETTE = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis><pipe><rasterrenderer type="paletted" band="1"><colorPalette>{}</colorPalette></rasterrenderer></pipe></qgis>"""


def qml(kind: str, clip: int = 0, more: str = "") -> str:
    items = "".join(f'<item alpha="255" value="{value}" label="x" color="{color}"/>' for value, color in ITEMS)
    return QML.format(kind, clip, items + more)


def exported(kind: str, more: str = "") -> str:
    rows = "".join(f"{value},{','.join(map(str, bytes.fromhex(color[1:])))},255,x\n" for value, color in ITEMS)
    return f"# QGIS Generated Color Map Export File\nINTERPOLATION:{kind}\n{rows}{more}"


def preset(space: str, points: list[float] = POINTS) -> str:
    return json.dumps([{"Name": "x", "ColorSpace": space, "RGBPoints": points, "NanColor": [1, 1, 0]}])


ENTRIES = "".join(f'<paletteEntry value="{value}" color="{color}" label="a" alpha="255"/>' for value, color in ITEMS)
CLR = "".join(f"{value} {' '.join(map(str, bytes.fromhex(color[1:])))}\n" for value, color in ITEMS)
CASES = {
    "gmt": (
        "a.cpt",
        CPT,
        "#280028 #000078 #3854b7 #ffffff #fef6e5 #fdedcb #fde6ba #fac864 #e39a4f #a82118 #a01010 #000000",
    ),
    "gmt-classes": (
        "b.cpt",
        CLASSES_CPT,
        "#0a0a0a #0000ff #0000ff #add8e6 #add8e6 #add8e6 #add8e6 #999999 #ff0000 #ff0000 #ff0000 #fafa00",
    ),
    "gmt-hsv": (
        "h.cpt",
        HSV_CPT.format(""),
        "#330033 #000080 #2660af #52cce6 #5ce6f2 #73e673 #7fd269 #b97339 #ca562b #f80b05 #ff0000 #ffffff",
    ),
    "gmt-mixed-in-hsv": (
        "k.cpt",
        HSV_CPT.format("+"),
        "#330033 #000080 #1a52af #49c6e6 #57e3f2 #73e673 #80e86a #f2f23d #f5c42e #fe1d06 #ff0000 #ffffff",
    ),
    "gdal": (
        "g.txt",
        RELIEF,
        "#0a14c8 #0a14c8 #7d82e2 #ffffff #b1ca9d #64963c #7a8633 #e63c0a #ac5d37 #16b3ae #00bfbf #00bfbf",
    ),
    "qgis": ("i.qml", qml("INTERPOLATED"), BLENDED),
    "qgis-clipped": (
        "c.qml",
        qml("INTERPOLATED", 1),
        "none #2b83ba #67adb0 #abdda4 #d5eeb1 #ffffbf #fff2af #fdae61 #f48950 #db2723 #d7191c none",
    ),
    "qgis-discrete": ("d.qml", qml("DISCRETE", more='<item value="inf" color="#500000" alpha="255"/>'), STEPPED),
    "qgis-exact": ("e.qml", qml("EXACT"), EXACT),
    "qgis-palette": ("p.qml", PALETTE.format(ENTRIES), EXACT),
    "qgis-text": ("q.txt", exported("INTERPOLATED"), BLENDED),
    "qgis-text-discrete": ("q.txt", exported("DISCRETE", "inf,80,0,0,255,> 40\n"), STEPPED),
    "qgis-text-exact": ("q.txt", exported("EXACT"), EXACT),
    "esri": ("v.clr", CLR, EXACT),
    "paraview": (
        "p.json",
        preset("RGB"),
        "#3b4dbf #3b4dbf #2b707e #1a9933 #55aa2b #91bb22 #b9c71c #c1771f #bd5a21 #b41026 #b30526 #b30526",
    ),
    "paraview-lab": (
        "p.json",
        preset("Lab"),
        "#3b4dbf #3b4dbf #4d7282 #1a9933 #68ab2e #9cbc26 #bdc71e #c78826 #c37027 #b52127 #b20526 #b30526",
    ),
    "paraview-hsv": (
        "p.json",
        preset("HSV"),
        "#3b4dbf #3b4dbf #2aa2ad #199933 #37aa1a #7bbb1a #b1c71a #c16710 #bd460d #b4061c #b30526 #b30526",
    ),
    "paraview-diverging": (
        "p.json",
        preset("Diverging", ENDS),
        "#3b4dbf #3b4dbf #7ca2f9 #cdd9ec #dddddd #ead4c8 #f0ccb9 #f08e6f #e6755a #bb202c #b20526 #b30526",
    ),
    "paraview-step": (
        "p.json",
        preset("Step"),
        "#3b4dbf #3b4dbf #1a9933 #1a9933 #cccc1a #cccc1a #cccc1a #b30526 #b30526 #b30526 #b30526 #b30526",
    ),
}
ROUNDED_HALVES = ("gmt", "paraview")
"""Programs that may round a color in the middle of two steps to the other step."""


def rgb(text: str) -> list[list[int]]:
    return [[255] * 3 if color == "none" else list(bytes.fromhex(color[1:])) for color in text.split()]


@pytest.fixture
def colors_by(write_raster: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that draws `VALUES` with a color file. It returns the colors, shape (n, 3)."""
    raster = write_raster(np.array([VALUES], np.float32))

    def draw(name: str, text: str, **colors: Any) -> Any:
        path = tmp_path / name
        path.write_text(text)
        config = {"raster": {"path": raster}, "colors": {"file": path, **colors}, "map": {"background": "white"}}
        shared = SharedData.load(read_config(config))
        return shared.scale.rgba(shared.scale.codes(shared.cells))[0, :, :3].astype(int)

    return draw


@pytest.mark.parametrize("case", CASES)
def test_a_color_file_gives_the_colors_of_its_program(case: str, colors_by) -> None:
    name, text, expected = CASES[case]
    difference = np.abs(colors_by(name, text) - np.array(rgb(expected))).max()
    assert difference <= case.startswith(ROUNDED_HALVES)


def test_levels_of_the_user_take_the_colors_at_the_middles_of_the_classes(colors_by) -> None:
    found = colors_by("g.txt", RELIEF, levels=[-20, 0, 40])
    assert found[[3, 7]].tolist() == rgb("#ffffff #e63c0a")


def test_limits_of_the_user_stretch_the_colors(colors_by) -> None:
    found = colors_by("g.txt", "0 0 0 0\n1 255 255 255\n", vmin=-60, vmax=55)
    assert found[0].tolist() == [0] * 3
    assert found[-1].tolist() == [255] * 3
    assert (np.diff(found[:, 0]) >= 0).all()


@pytest.mark.parametrize("text", ["0 0 0 0\n1 255 255 255", "0% 0 0 0\n100% 255 255 255"])
def test_a_colormap_without_values_covers_the_range_of_the_data(text: str, colors_by) -> None:
    assert len({tuple(color) for color in colors_by("g.txt", text).tolist()}) > 8


def test_indexed_colors_of_paraview_are_classes(colors_by) -> None:
    indexed = {"IndexedColors": [1, 0, 0, 0, 0, 1], "Annotations": ["-10", "cold", "20", "warm", "40", "hot"]}
    found = colors_by("p.json", json.dumps([indexed]))
    assert found[[3, 7, 10, 0]].tolist() == rgb("#ff0000 #0000ff #ff0000 none")


def test_numbered_x11_gray_and_gmt_names_differ_from_css(colors_by) -> None:
    found = colors_by("a.cpt", "-100 green 0 green\n0 maroon 100 maroon\n")
    assert found[[0, -1]].tolist() == rgb("#00ff00 #b03060")


def test_classes_keep_their_names(write_raster, tmp_path: Path) -> None:
    path = tmp_path / "cover.cpt"
    path.write_text("1 blue ;Open water\n2 #00ff00 ;Forest\nN 10\n")
    raster = write_raster(np.array([[1, 2]], np.uint8))
    shared = SharedData.load(read_config({"raster": {"path": raster}, "colors": {"file": path}}))
    assert shared.scale.key().names == ("Open water", "Forest")


ENTITY = '<!DOCTYPE qgis [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><qgis>&b;</qgis>'
FOREIGN = '<!DOCTYPE qgis [<!ENTITY a SYSTEM "file:///etc/passwd">]><qgis>&a;</qgis>'


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.cpt",
            "0 0/0/0 10 255/255/255\n20 0/0/0 30 9/9/9\n",
            "a.cpt:2: begins at 20, but the line before ends at 10",
        ),
        ("a.cpt", "# x\n0 0/0/300 10 255/255/255\n", "a.cpt:2: 300 is not between 0 and 255"),
        ("a.cpt", "0 nocolor 10 white\n", "a.cpt:1: the color 'nocolor' is unknown"),
        ("a.cpt", "# only a comment\n", "a.cpt: has no colors"),
        ("a.cpt", "0 1\n2 3 4\n", "a.cpt:2: write: lower value, color"),
        ("a.cpt", "5 red 5 blue\n", "a.cpt:1: the lower value 5 must be less"),
        ("a.cpt", "# RANGE = a/b\n0 red 1 blue\n", "'a' is not a number"),
        ("g.txt", "0 0 0 0\nten 1 2 3\n", "g.txt:2: 'ten' is not a number"),
        ("g.txt", "0 0 0 0\n10 1 2\n", "g.txt:2: write a value and a color"),
        ("g.txt", "0 0 0 0\n", "g.txt: has fewer than two values"),
        ("g.txt", "0 0 0 0\n50% 0 0 0\n", "mixes values and percentages"),
        ("g.txt", "0 0 0 0\nnan 1 2 3\n", "g.txt:2: nan is not a finite number"),
        ("p.json", '[{"RGBPoints": [0, 1, 0, 0, 1e400, 0, 0, 1]}]', "p.json: inf is not a finite number"),
        ("g.txt", "\0", "is a binary file"),
        ("v.clr", "1 2 3\n", "v.clr:1: write four numbers"),
        ("v.clr", "1.5 2 3 4\n", "1.5 is not a whole number"),
        ("v.clr", "0 1 2 3\n9000000 1 2 3\n", "more than 1,000,000 apart"),
        ("q.txt", exported("CUBIC"), "the interpolation 'CUBIC' is unknown"),
        ("q.txt", exported("EXACT", "1,2,3\n"), "write value,red,green,blue"),
        ("i.qml", "<qgis>", "i.qml:1: is not valid XML"),
        ("i.qml", "<qgis/>", "has no raster renderer"),
        ("i.sld", '<sld:StyledLayerDescriptor xmlns:sld="x"/>', "is an SLD style, which is not read"),
        ("i.qml", ENTITY, "declares an XML entity"),
        ("i.qml", FOREIGN, "declares an XML entity"),
        ("i.qml", "<a>" * 300, "nested too deeply"),
        ("i.qml", QML.format("EXACT", 0, '<item value="1" color="red"/>'), "i.qml:3: 'red' is not a color as #rrggbb"),
        ("p.json", "[{]", "p.json:1: is not valid JSON"),
        ("p.json", f'[{{"RGBPoints": [{"9" * 5000}, 1, 0, 0]}}]', "a number has too many digits"),
        ("p.json", "[" * 100_000, "not valid JSON|nested too deeply"),
        ("p.json", "[]", "has no RGBPoints"),
        ("p.json", '{"RGBPoints": [1, 2]}', "RGBPoints must be a list of numbers, 4 for each color"),
        ("p.json", '{"RGBPoints": [0, 0, 0, 2, 1, 0, 0, 0]}', "is not between 0 and 1"),
        ("p.json", preset("CIECAM"), "the color space 'CIECAM' is not supported"),
        ("p.json", '{"IndexedColors": [0, 0, 0], "Annotations": [1]}', "Annotations must be a list"),
    ],
)
def test_a_faulty_file_is_refused_with_its_name_and_line(name: str, text: str, message: str, colors_by) -> None:
    with pytest.raises(ConfigError, match=message):
        colors_by(name, text)


def test_a_file_that_is_too_large_is_refused(colors_by) -> None:
    with pytest.raises(ConfigError, match="larger than 4 MB"):
        colors_by("a.cpt", "#" * (4 * 2**20 + 1))
    with pytest.raises(ConfigError, match="more than 4096 colors"):
        colors_by("g.txt", "".join(f"{number} 0 0 {number % 256}\n" for number in range(5000)))


def test_single_values_cannot_have_levels(colors_by) -> None:
    with pytest.raises(ConfigError, match="cannot have levels or limits"):
        colors_by("v.clr", CLR, vmin=0, vmax=1)
