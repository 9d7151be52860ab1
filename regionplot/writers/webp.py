"""Write WebP files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal
from xml.sax.saxutils import escape

from pydantic import Field
from typing_extensions import override

from regionplot.settings.base import Section
from regionplot.writers.base import DESCRIPTION, DIGEST, SOFTWARE, TITLE, Picture, Writer

_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">\
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>\
{description}<xmp:CreatorTool>{software}</xmp:CreatorTool><dc:identifier>{digest}</dc:identifier>\
</rdf:Description></rdf:RDF></x:xmpmeta>"""

_ALTERNATIVE = """<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>"""


class WebpSettings(Section):
    """`[output.webp]`: settings of WebP files."""

    mode: Literal["lossless", "lossy"] = "lossless"
    """`lossless` keeps every pixel. `lossy` makes smaller files of photographs and continuous colors."""
    quality: Annotated[int, Field(ge=0, le=100)] = 80
    """Quality of `lossy` files: 0 makes the smallest files, 100 the best images."""
    effort: Annotated[int, Field(ge=0, le=6)] = 1
    """Effort of the compression: 0 is the fastest, 6 makes the smallest files."""


class WebpWriter(Writer[Picture]):
    """Write WebP files. Metadata become an XMP packet."""

    suffixes: ClassVar[tuple[str, ...]] = (".webp",)
    media_type: ClassVar[str] = "image/webp"
    needs: ClassVar[Literal["pixels"]] = "pixels"
    Settings: ClassVar[type[WebpSettings]] = WebpSettings
    max_side: ClassVar[int | None] = 16_383

    def __init__(self, settings: WebpSettings) -> None:
        self._settings = settings

    @override
    def encode(self, picture: Picture, metadata: Mapping[str, str]) -> bytes:
        from PIL import Image  # noqa: PLC0415 (only processes that draw need Pillow)

        pixels = picture.pixels
        image = Image.frombuffer("RGB", (pixels.shape[1], pixels.shape[0]), pixels.tobytes(), "raw", "RGB", 0, 1)
        is_lossless = self._settings.mode == "lossless"
        quality = 100 * self._settings.effort // 6 if is_lossless else self._settings.quality
        file = io.BytesIO()
        image.save(
            file, "WEBP", lossless=is_lossless, quality=quality, method=self._settings.effort, xmp=_xmp(metadata)
        )
        return file.getvalue()


def _xmp(metadata: Mapping[str, str]) -> bytes:
    title, software, digest = (escape(metadata.get(key, "")) for key in (TITLE, SOFTWARE, DIGEST))
    text = escape(metadata.get(DESCRIPTION, ""))
    description = _ALTERNATIVE.format(text=text) if text else ""
    return _XMP.format(title=title, description=description, software=software, digest=digest).encode()
