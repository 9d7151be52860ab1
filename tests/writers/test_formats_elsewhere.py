"""Each format is one module. No code outside `writers` names a format, and another package can add a format."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import regionplot
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.registry import WRITERS
from regionplot.runs.run import render_regions
from regionplot.settings.loading import read_config

PACKAGE = Path(regionplot.__file__).parent
DEFAULT = "{name}.png"
WRITER = """
from regionplot.settings.base import Section
from regionplot.writers.base import Writer

class Settings(Section):
    comment: str = "none"

class PpmWriter(Writer):
    suffixes = (".ppm", ".pnm")
    media_type = "image/x-portable-pixmap"
    needs = "pixels"
    Settings = Settings

    def __init__(self, settings):
        self._comment = settings.comment

    def encode(self, picture, metadata):
        height, width, _ = picture.pixels.shape
        return f"P6\\n# {self._comment}\\n{width} {height}\\n255\\n".encode() + picture.pixels.tobytes()
"""


def code_strings(path: Path) -> Iterator[str]:
    """Yield the strings of a module, except docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def test_only_writers_know_formats() -> None:
    suffixes = "|".join(re.escape(suffix[1:]) for name in WRITERS.builtin for suffix in WRITERS[name].suffixes)
    named = re.compile(rf"\.({suffixes})\b|^({suffixes})$", re.IGNORECASE)
    found = [
        (path.relative_to(PACKAGE).as_posix(), text)
        for path in PACKAGE.rglob("*.py")
        if path.parent.name not in ("writers", "serve") and path.name != "registry.py"  # answers have media types
        for text in code_strings(path)
        if named.search(text)
    ]
    jupyter = ("render/figure.py", "png")  # Jupyter asks a figure for a PNG
    panels = [("shared/panels.py", text) for text in ("png", "png", DEFAULT)]  # panels are images in memory
    others = ("layers/logo.py", "layers/logo_svg.py", "blocks/tiff_tiles.py")  # they read images, and write rasters
    maps = [each for each in found if ".tif" not in each[1] and each[0] not in others]  # rasters are GeoTIFFs, too
    assert sorted(maps) == [jupyter, ("settings/output.py", DEFAULT), *panels]
    assert {path.partition("/")[0] for path, text in found if ".tif" in text} <= {
        "cli",
        "prepare",
        "blocks",
        "inputs",
        "settings",
    }


@pytest.fixture
def _extra_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install another package that adds a format by an entry point."""
    folder = tmp_path / "site"
    (folder / "extra_formats-1.0.dist-info").mkdir(parents=True)
    (folder / "extra_formats.py").write_text(WRITER)
    information = folder / "extra_formats-1.0.dist-info"
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: extra-formats\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[regionplot.writers]\nppm = extra_formats:PpmWriter\n")
    monkeypatch.syspath_prepend(folder)


@pytest.mark.usefixtures("_extra_format")
@pytest.mark.parametrize("suffix", ["ppm", "pnm"])
def test_another_package_adds_a_format(tmp_path: Path, suffix: str) -> None:
    def states(**output: object) -> list[str]:
        section = {"directory": tmp_path / "maps", "filename": f"{{name}}.{suffix}", "publish": "runs", **output}
        config = {"raster": {"path": "sample:relief"}, "map": {"size": [300, 200]}, "output": section}
        report = render_regions(regions, read_config({**config, "run": {"start_method": "serial"}}))
        return [state for state in report.counts() for _ in report.in_state(state)]

    regions = [Region("east", Extent(-84, -75, 33, 36))]
    assert states() == ["rendered"]
    assert states() == ["unchanged"]
    assert states(ppm={"comment": "some"}) == ["rendered"], "its settings count in the digest"
    content = (tmp_path / "maps" / "latest" / f"east.{suffix}").read_bytes()
    assert content.startswith(b"P6\n# some\n300 200\n255\n")
    assert len(content) == len(b"P6\n# some\n300 200\n255\n") + 300 * 200 * 3
