"""Write PDF files: lines and text as vectors, the raster as an image."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import ClassVar, Literal

from typing_extensions import override

from regionplot.settings.base import Section
from regionplot.writers.base import DESCRIPTION, DIGEST, SOFTWARE, TITLE, FigurePicture, Writer


class PdfSettings(Section):
    """`[output.pdf]`: settings of PDF files. It has no keys."""


class PdfWriter(Writer[FigurePicture]):
    """Write PDF files. The information dictionary holds the metadata but no dates, so equal maps have equal bytes."""

    suffixes: ClassVar[tuple[str, ...]] = (".pdf",)
    media_type: ClassVar[str] = "application/pdf"
    needs: ClassVar[Literal["figure"]] = "figure"
    mark: ClassVar[bytes] = b"%PDF-"
    Settings: ClassVar[type[PdfSettings]] = PdfSettings

    def __init__(self, settings: PdfSettings) -> None:
        pass

    @override
    def encode(self, picture: FigurePicture, metadata: Mapping[str, str]) -> bytes:
        file = io.BytesIO()
        information = {
            "Title": metadata.get(TITLE, picture.title),
            "Creator": metadata.get(SOFTWARE),
            "Subject": metadata.get(DESCRIPTION),
            "Keywords": f"{DIGEST}={metadata[DIGEST]}" if DIGEST in metadata else None,
            "CreationDate": None,
        }
        picture.save(file, "pdf", information)
        return file.getvalue()
