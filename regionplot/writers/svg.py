"""Write SVG files: lines and text as vectors, the raster as an image."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import ClassVar, Literal

from typing_extensions import override

from regionplot.settings.base import Section
from regionplot.writers.base import DESCRIPTION, DIGEST, SOFTWARE, TITLE, FigurePicture, Writer


class SvgSettings(Section):
    """`[output.svg]`: settings of SVG files. It has no keys."""


class SvgWriter(Writer[FigurePicture]):
    """Write SVG files. Metadata become Dublin Core elements. They have no date, so equal maps have equal bytes."""

    suffixes: ClassVar[tuple[str, ...]] = (".svg",)
    media_type: ClassVar[str] = "image/svg+xml"
    needs: ClassVar[Literal["figure"]] = "figure"
    mark: ClassVar[bytes] = b"<svg"
    Settings: ClassVar[type[SvgSettings]] = SvgSettings

    def __init__(self, settings: SvgSettings) -> None:
        pass

    @override
    def encode(self, picture: FigurePicture, metadata: Mapping[str, str]) -> bytes:
        file = io.BytesIO()
        elements = {
            "Title": metadata.get(TITLE, picture.title),
            "Creator": metadata.get(SOFTWARE),
            "Identifier": metadata.get(DIGEST),
            "Description": metadata.get(DESCRIPTION),
            "Date": None,
        }
        picture.save(file, "svg", elements)
        return file.getvalue()
