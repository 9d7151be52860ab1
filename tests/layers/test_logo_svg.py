"""Logos in SVG are drawn, and an SVG that names other files or is a bomb is refused before it is drawn."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regionplot.errors import InputError
from regionplot.layers import logo_svg
from regionplot.layers.logo_svg import check_svg, png_of_svg

HEAD = b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="100" height="50">'
CIRCLE = b'<circle id="a" cx="50" cy="25" r="20" fill="red"/>'


def bomb(depth: int) -> bytes:
    """Return groups of which each draws the previous group ten times."""
    groups = (b'<g id="g%d">%s</g>' % (n, b'<use href="#g%d"/>' % (n - 1) * 10) for n in range(1, depth))
    return HEAD + b'<g id="g0"/>' + b"".join(groups) + b"</svg>"


def test_an_svg_is_drawn_at_its_width() -> None:
    pytest.importorskip("resvg_py")
    content = HEAD + CIRCLE + b'<use href="#a" x="3"/></svg>'
    with Image.open(io.BytesIO(png_of_svg(content, 200, "logo.svg"))) as picture:
        pixels = np.array(picture)
    assert pixels.shape == (100, 200, 4)
    assert tuple(pixels[50, 100]) == (255, 0, 0, 255)
    assert pixels[0, 0, 3] == 0


def test_a_tall_svg_is_not_larger_than_its_limit() -> None:
    pytest.importorskip("resvg_py")
    content = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1e6"><rect width="1" height="1e6"/></svg>'
    with Image.open(io.BytesIO(png_of_svg(content, 50, "logo.svg"))) as picture:
        assert picture.size == (1, 1000)


@pytest.mark.parametrize(
    "content",
    [
        CIRCLE, b'<use href="#a"/>' + CIRCLE, b'<rect fill="url(#g)"/><linearGradient id="g"/>',
        b"<style>.a { fill: url( '#g' ) }</style>", b'<use href="#missing"/>',
    ],
)  # fmt: skip
def test_usual_logos_pass(content: bytes) -> None:
    assert not check_svg(HEAD + content + b"</svg>")
    assert check_svg(b"\xef\xbb\xbf" + HEAD + content + b"<text>A</text></svg>")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + b'<image xlink:href="file:///etc/passwd"/></svg>', "names another file or holds a picture"),
        (HEAD + b'<image href="http://169.254.169.254/x.png"/></svg>', "names another file"),
        (HEAD + b'<image href="data:image/png;base64,AAAA"/></svg>', "holds a picture"),
        (HEAD + b'<use href="other.svg#a"/></svg>', "names another file"),
        (HEAD + b'<rect fill="URL( other.svg#a)"/></svg>', "names another file"),
        (HEAD + b"<style>@import 'a.css';</style></svg>", "names another file"),
        (HEAD + b"<style>.a { fill: url(http://a/b) }</style></svg>", "names another file"),
        (b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + HEAD + b"<text>&x;</text></svg>", "DOCTYPE"),
        (b'<?xml-stylesheet href="a.css"?>' + HEAD + b"</svg>", "names another file"),
        (bomb(6), "draws more than 20,000 elements"),
        (bomb(1500), "draws more than 20,000 elements"),
        (HEAD + b'<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g></svg>', "refers to itself"),
        (HEAD + b"<g>" * 300, "too many elements"),
        (HEAD + b"<g/>" * 20_001 + b"</svg>", "too many elements"),
        (HEAD + b"x" * 1_000_000 + b"</svg>", "more than 1,000,000 bytes"),
        (HEAD, "no element found"),
        (b"<html/>", "it is no SVG"),
        (b"", "no element found"),
    ],
)
def test_other_files_bombs_and_broken_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"logo.svg: the logo cannot be read as SVG: .*{message}"):
        png_of_svg(content, 100, "logo.svg")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logo_svg, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match="needs the package resvg_py: pip install resvg-py; or convert"):
        png_of_svg(HEAD + CIRCLE + b"</svg>", 100, "logo.svg")


def test_a_map_shows_a_logo_in_svg(load: Any, tmp_path: Any) -> None:
    pytest.importorskip("resvg_py")
    (tmp_path / "logo.svg").write_bytes(HEAD + b'<rect width="100" height="50" fill="#ff0000"/></svg>')
    shared = load(raster={"path": "sample:relief"}, logo={"path": tmp_path / "logo.svg"}, map={"size": [700, 450]})
    logo = next(layer for layer in shared.layers if type(layer).__name__ == "Logo")
    height, width = logo.pixels.shape[:2]
    assert width == 2 * height
    assert (logo.pixels == (255, 0, 0, 255)).all()
