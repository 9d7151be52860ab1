"""Exceptions of WMS as images: the message on the map, or an empty map."""

from __future__ import annotations

import io
import textwrap

from regionplot.serve.parameters import Parameters, RequestError
from regionplot.settings.serve import ServeSettings

_USUAL = 256
_MAX_SIDE = 1024
_MARGIN = 6
_LETTER, _LINE = 7, 14
"""Width of a letter and height of a line in pixels. Only used to break the message."""


def error_image(message: str, parameters: Parameters, settings: ServeSettings) -> bytes:
    """Return a PNG of the requested size, at most 1024 pixels wide and high.

    Parameters
    ----------
    message : str
        The message. Empty for an empty map.
    parameters : Parameters
        `width`, `height`, `transparent` and `bgcolor` of the request. Faulty ones are left out.
    settings : ServeSettings
        Bounds of sizes.
    """
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 (few requests)

    width, height = (min(_side(parameters, name, settings), _MAX_SIDE) for name in ("width", "height"))
    is_clear = parameters.text("transparent").lower() == "true"
    image = Image.new("RGBA", (width, height), (255, 255, 255, 0 if is_clear else 255))
    if message:
        text = "\n".join(textwrap.wrap(message, max(8, (width - 2 * _MARGIN) // _LETTER))[: max(1, height // _LINE)])
        ImageDraw.Draw(image).multiline_text((_MARGIN, _MARGIN), text, "#b5412c", ImageFont.load_default())
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def _side(parameters: Parameters, name: str, settings: ServeSettings) -> int:
    try:
        return parameters.whole(name, 1, settings.max_side, _USUAL)
    except RequestError:
        return _USUAL
