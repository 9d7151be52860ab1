"""Every writer stores the picture and its metadata. Equal pictures give equal bytes."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.registry import WRITERS
from regionplot.render.renderer import MapRenderer
from regionplot.settings.base import Section
from regionplot.shared.data import SharedData
from regionplot.writers import png_format
from regionplot.writers.base import DIGEST, SOFTWARE, TITLE, FigurePicture, Picture, encode
from regionplot.writers.pdf import PdfWriter
from regionplot.writers.png import PngSettings, PngWriter
from regionplot.writers.svg import SvgWriter
from regionplot.writers.webp import WebpSettings, WebpWriter

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
REGION = Region("nc", Extent(-84.5, -75.3, 33.8, 36.7), title="Höhe <&>")
METADATA = {TITLE: "Höhe <&>", SOFTWARE: "regionplot", DIGEST: "0123abcd" * 4}
FORMATS = list(WRITERS)
PIXELS = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)
RGB = Picture(PIXELS, None, "t", False)
PALETTE = Picture(np.arange(24, dtype=np.uint8).reshape(6, 4), PIXELS.reshape(-1, 3)[:24], "t", False)


@pytest.fixture
def shared(load: Callable[..., SharedData]) -> SharedData:
    """Renderer of the sample with lines, for a sheet of 320 by 220 pixels at 100 dpi."""
    features = [{"path": "sample:states", "linewidth": 1.0}]
    sections = {"map": {"size": [320, 220]}, "colors": {"levels": [-100, 0, 500, 1500]}, "features": features}
    return load(**sections, run={"cache": False})


@pytest.fixture
def renderer(shared: SharedData) -> MapRenderer:
    return MapRenderer(shared)


def render(renderer: MapRenderer, name: str) -> Picture | FigurePicture:
    return renderer.render(REGION) if WRITERS[name].needs == "pixels" else renderer.render_vectors(REGION)


@pytest.mark.parametrize("metadata", [{TITLE: 5}, {5: "a"}, {TITLE: None}, ["a"], "a"])
def test_metadata_that_are_not_texts_are_refused(metadata) -> None:
    with pytest.raises(ConfigError, match="metadata"):
        encode(RGB, PngWriter(PngSettings()), metadata)


def streams(content: bytes) -> Iterator[bytes]:
    """Yield the decompressed streams of a PDF file."""
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        try:
            yield zlib.decompress(stream)
        except zlib.error:
            continue


@pytest.mark.parametrize("name", FORMATS)
def test_writers_have_all_attributes_of_the_protocol(name: str) -> None:
    writer = WRITERS[name]
    assert writer.needs in ("pixels", "figure")
    assert re.fullmatch(r"(image|application)/[\w.+-]+", writer.media_type)
    assert all(re.fullmatch(r"\.[a-z0-9]+", suffix) for suffix in writer.suffixes)
    others = {suffix for other in FORMATS if other != name for suffix in WRITERS[other].suffixes}
    assert writer.suffixes
    assert others.isdisjoint(writer.suffixes), "the suffix sets the format"
    assert issubclass(writer.Settings, Section)


@pytest.mark.parametrize("mode", ["lossless", "lossy"])
@pytest.mark.parametrize("picture", [RGB, PALETTE], ids=["rgb", "palette"])
def test_webp_has_the_pixels_and_the_metadata(picture: Picture, mode: str) -> None:
    content = WebpWriter(WebpSettings(mode=mode)).encode(picture, METADATA)
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "WEBP"
        assert image.size == (4, 6)
        assert (np.asarray(image) == picture.pixels).all() == (mode == "lossless")
        packet = image.info["xmp"].decode()
    ElementTree.fromstring(packet)
    assert "Höhe &lt;&amp;&gt;" in packet
    assert METADATA[DIGEST] in packet


@pytest.mark.parametrize("picture", [RGB, PALETTE], ids=["rgb", "palette"])
@pytest.mark.parametrize("compression", range(10))
@pytest.mark.parametrize("has_isal", [True, False])
def test_png_has_the_pixels_and_the_metadata(picture: Picture, compression: int, has_isal: bool, monkeypatch) -> None:
    if not has_isal:
        monkeypatch.setattr(png_format, "fast_compressor", zlib.compressobj)
    content = PngWriter(PngSettings(compression=compression)).encode(picture, METADATA)
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == ("RGB" if picture is RGB else "P")
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), picture.pixels)
        assert image.text == METADATA  # type: ignore[attr-defined]


@pytest.mark.parametrize("row_filter", ["none", "up"])
@pytest.mark.parametrize("shape", [(700, 300, 3), (1100, 500)], ids=["rgb", "palette"])
def test_the_rows_of_a_large_png_are_filtered_across_strips(shape: tuple[int, ...], row_filter: Any) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
    palette = None if len(shape) == 3 else np.arange(768, dtype=np.uint8).reshape(256, 3)
    picture = Picture(pixels, palette, "t", False, row_filter=row_filter)
    with Image.open(io.BytesIO(png_format.encode_png(picture, {}, 1))) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_pdf_has_vectors_text_an_image_and_the_metadata(renderer: MapRenderer) -> None:
    content = renderer.encode(renderer.render_vectors(REGION), "pdf", METADATA)
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/MediaBox [ 0 0 230.4 158.4 ]" in content, "a sheet of 320 by 220 pixels at 100 dpi"
    assert "Höhe <&>".encode("utf-16-be") in content
    assert f"{DIGEST}={METADATA[DIGEST]}".encode() in content
    assert b"/CreationDate" not in content
    assert len(re.findall(rb"/Subtype /Image\b", content)) >= 1
    drawing = max(streams(content), key=lambda stream: stream.count(b" l\n"))
    assert drawing.count(b" l\n") > 200, "the borders are lines"
    assert b"BT" in drawing


def test_svg_has_vectors_an_image_and_the_metadata(renderer: MapRenderer) -> None:
    content = renderer.encode(renderer.render_vectors(REGION), "svg", METADATA)
    root = ElementTree.fromstring(content)
    names = [element.tag.rpartition("}")[2] for element in root.iter()]
    texts = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert root.get("viewBox") == "0 0 230.4 158.4"
    assert texts.count("Höhe <&>") == 2, "title of the document and of the metadata"
    assert METADATA[DIGEST] in texts
    assert "date" not in names
    assert names.count("image") == 1
    assert names.count("path") > 5


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_map_gives_the_same_bytes(renderer: MapRenderer, name: str) -> None:
    first, second = (renderer.encode(render(renderer, name), name, METADATA) for _ in range(2))
    assert first == second


_HASHES = """
import hashlib
from regionplot import Extent, Region, open_maps
settings = {"raster": {"path": "sample:relief"}, "map": {"style": "plain", "size": [300, 200]}}
settings["features"] = [{"path": "sample:states"}]
with open_maps({**settings, "run": {"cache": False}}) as maps:
    picture = maps.render_vectors(Region("nc", Extent(-84.5, -75.3, 33.8, 36.7)))
    for name in ("pdf", "svg"):
        print(hashlib.sha256(maps.encode(picture, name, {"Title": "t"})).hexdigest())
"""


@pytest.mark.slow
def test_vector_files_do_not_depend_on_the_hash_seed_or_the_settings_of_matplotlib(tmp_path, capsys) -> None:
    (tmp_path / "matplotlibrc").write_text("svg.fonttype: none\npdf.fonttype: 42\nsavefig.dpi: 50\n")
    environment = {**os.environ, "PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": "1000000000"}
    command = [sys.executable, "-c", _HASHES]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True, text=True).stdout
    assert len(found.splitlines()) == 2
    capsys.readouterr()
    exec(_HASHES, {})  # in this process, which has another seed, no epoch and other settings
    assert capsys.readouterr().out == found


@pytest.mark.parametrize("name", ["pdf", "svg"])
def test_artists_in_pixels_scale_with_the_output(renderer: MapRenderer, name: str) -> None:
    """matplotlib saves vector formats at 72 pixels per inch, but the sheet has 100."""
    layout = renderer.style.layout
    content = renderer.encode(renderer.render_vectors(REGION), name, {})
    x, bottom = (round(value * 0.72, 6) for value in (layout.panel.left, layout.panel.bottom))
    width, height = (round(value * 0.72, 6) for value in (layout.panel.width, layout.panel.height))
    if name == "svg":
        top = round(layout.size[1] * 0.72 - bottom - height, 6)
        corners = rf"M {x:g} {top + height:g} \nL {x + width:g} {top + height:g} \nL {x + width:g} {top:g}"
        assert len(re.findall(corners, content.decode())) >= 1, "the neatline is around the panel"
    else:
        page = max(streams(content), key=lambda stream: stream.count(b" l\n")).decode("latin-1")
        assert f"{x:g} {bottom:g} m\n{x + width:g} {bottom:g} l\n{x + width:g} {bottom + height:g} l" in page


def test_a_figure_still_saves_the_pixels_of_the_picture(load) -> None:
    renderer = MapRenderer(load(map={"size": [320, 220]}, output={"png": {"mode": "rgb"}}, run={"cache": False}))
    file = io.BytesIO()
    renderer.render_vectors(REGION).save(file, "png", {})
    with Image.open(file) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), renderer.render(REGION).pixels)


@pytest.mark.parametrize(("writer", "picture"), [(PdfWriter, "render"), (SvgWriter, "render"), (PngWriter, "vectors")])
def test_a_picture_of_the_wrong_kind_is_refused(renderer: MapRenderer, writer, picture: str) -> None:
    wrong = renderer.render(REGION) if picture == "render" else renderer.render_vectors(REGION)
    with pytest.raises(ConfigError, match=r"needs a picture from MapRenderer\.render"):
        renderer.encode(wrong, writer.suffixes[0][1:])


def test_different_pictures_have_different_checksums(renderer: MapRenderer) -> None:
    contents = {name: renderer.encode(render(renderer, name), name) for name in FORMATS}
    assert len({hashlib.sha256(content).hexdigest() for content in contents.values()}) == len(FORMATS)
