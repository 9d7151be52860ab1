"""Read the parameters of an address: texts, numbers in bounds, colors, codes of CRSs and keys of dictionaries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from regionplot.serve.catalog import Box
from regionplot.settings.serve import ServeSettings

_TIME_WITH_OFFSET = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)([+ -])(\d\d:?\d\d)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,6}", re.ASCII)
OWN_CRS = "LOCAL:MAP"
"""Code of the CRS of the maps of a product, which the page uses if this CRS has no code of an authority."""
_CODE = re.compile(r"[A-Z][A-Z0-9]{1,15}:[A-Z0-9]{1,15}", re.ASCII)
_COLOR = re.compile(r"(?:0x|#)?([0-9a-f]{6})", re.IGNORECASE | re.ASCII)
_MAX_COORDINATE = 1e9
_MIN_STEP = 1e-11
"""Minimum size of a pixel, as a fraction of the coordinates. With smaller pixels, coordinates are not exact."""
_MAX_PARAMETERS = 64
_MAX_ECHO = 60
_MIN_DPI, _MAX_DPI = 20.0, 600.0
DEFAULT_DPI = 96.0
T = TypeVar("T")


class RequestError(Exception):
    """A request that cannot be answered. The message is for the client and tells nothing of the machine."""

    def __init__(self, message: str, status: int = 400, code: str = "InvalidParameterValue", locator: str = "") -> None:
        super().__init__(message)
        self.message, self.status, self.code, self.locator = message, status, code, locator

    def __reduce__(self) -> tuple[type[RequestError], tuple[str, int, str, str]]:
        """Pickle all fields."""
        return type(self), (self.message, self.status, self.code, self.locator)


@dataclass(frozen=True)
class Parameters:
    """The parameters of an address. Names are looked up without regard to case. No name may occur twice."""

    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Parameters:
        """Return parameters from pairs of name and value.

        Raises
        ------
        RequestError
            If there are too many parameters, or a name occurs with two values.
        """
        values: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            if values.get(key, "").lower() == value.lower() and key in values:
                continue  # QGIS repeats parameters of an address that a user has pasted
            if key in values:
                raise RequestError(f"the parameter {echo(key)} occurs twice; give it once", locator=key)
            if len(values) >= _MAX_PARAMETERS:
                raise RequestError(f"there are more than {_MAX_PARAMETERS} parameters")
            values[key] = value
        return cls(values)

    def without(self, name: str) -> Parameters:
        """Return the other parameters."""
        return Parameters({key: value for key, value in self.values.items() if key != name})

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter, or the default if it is missing or empty."""
        return self.values.get(name, "") or default

    def needed(self, name: str) -> str:
        """Return a parameter. Raise RequestError if it is missing or empty."""
        value = self.values.get(name, "")
        if not value:
            raise RequestError(f"the parameter {name} is missing", code="MissingParameterValue", locator=name)
        return value

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """Return a number between two limits."""
        text = self.needed(name) if default is None else self.text(name)
        return float(default or 0.0) if not text else parse_number(text, name, low, high)

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number between two limits."""
        text = self.needed(name) if default is None else self.text(name)
        return int(default or 0) if not text else parse_whole(text, name, low, high)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a parameter that is `true` or `false`."""
        text = self.text(name).lower()
        if text not in ("", "true", "false"):
            raise RequestError(f"{name} is {echo(text)}; use true or false", locator=name)
        return default if not text else text == "true"

    def key(self, name: str, known: Mapping[str, T], default: str | None = None, code: str = "") -> T:
        """Return the entry of a dictionary that a parameter names."""
        text = self.needed(name) if default is None else self.text(name, default)
        return named(text, known, name, code)


def echo(text: str) -> str:
    """Return a value of a request for a message: quoted, printable and short. The writer of the answer escapes it."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:_MAX_ECHO])
    return f"'{shown}{'...' if len(text) > _MAX_ECHO else ''}'"


def named(text: str, known: Mapping[str, T], name: str, code: str = "") -> T:
    """Return the entry of a dictionary.

    Raises
    ------
    RequestError
        If there is no such entry.
    """
    if text not in known:
        raise RequestError(f"there is no {name} {echo(text)}", 404 if not code else 400, code or "NotFound", name)
    return known[text]


def is_number(text: str) -> bool:
    """Return True if a text is a decimal number."""
    return _NUMBER.fullmatch(text) is not None


def parse_number(text: str, name: str, low: float, high: float) -> float:
    """Return a decimal number between two limits.

    Raises
    ------
    RequestError
        If the text is not such a number.
    """
    if not _NUMBER.fullmatch(text.strip(" ")):
        raise RequestError(f"{name} is {echo(text)}; write a decimal number", locator=name)
    number = float(text)
    if not low <= number <= high:
        raise RequestError(f"{name} is {number:g}; use a number from {low:g} to {high:g}", locator=name)
    return number + 0.0  # without a negative zero


def parse_whole(text: str, name: str, low: int, high: int) -> int:
    """Return a whole number between two limits.

    Raises
    ------
    RequestError
        If the text is not such a number.
    """
    if not _WHOLE.fullmatch(text):
        raise RequestError(f"{name} is {echo(text)}; write a whole number", locator=name)
    if not low <= int(text) <= high:
        raise RequestError(f"{name} is {int(text)}; use a number from {low} to {high}", locator=name)
    return int(text)


def parse_box(text: str, width: int, height: int, name: str = "bbox") -> Box:
    """Return a box from four numbers.

    Parameters
    ----------
    text : str
        xmin, ymin, xmax and ymax, separated by commas.
    width, height : int
        Size of the image in pixels.
    name : str
        Name of the parameter.

    Raises
    ------
    RequestError
        If the text is not a box, or a pixel of the image is too small for the coordinates.
    """
    parts = text.split(",")
    if len(parts) != 4:
        raise RequestError(f"{name} has {len(parts)} numbers; write xmin,ymin,xmax,ymax", locator=name)
    xmin, ymin, xmax, ymax = (parse_number(part, name, -_MAX_COORDINATE, _MAX_COORDINATE) for part in parts)
    if not (xmin < xmax and ymin < ymax):
        raise RequestError(f"{name} has no area; write xmin,ymin,xmax,ymax with increasing limits", locator=name)
    for low, high, count in ((xmin, xmax, width), (ymin, ymax, height)):
        if (high - low) / count < _MIN_STEP * max(abs(low), abs(high), 1e-6):
            raise RequestError(f"{name} is too small for its coordinates", locator=name)
    return xmin, ymin, xmax, ymax


def utc_time(text: str) -> str:
    """Return a time with an offset, such as `2026-03-10T07:00:00+01:00`, in UTC. Return other texts unchanged.

    In an address, an unescaped plus sign is a space.
    """
    if not (match := _TIME_WITH_OFFSET.fullmatch(text)):
        return text
    time, sign, offset = match.groups()
    try:
        found = datetime.fromisoformat(f"{time}{'-' if sign == '-' else '+'}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return found.isoformat().replace("+00:00", "Z")


def parse_crs(text: str, name: str = "crs") -> str:
    """Return the code of a CRS.

    Raises
    ------
    RequestError
        If the text is not a code. Names of files, PROJ strings and WKT are refused.
    """
    if not _CODE.fullmatch(text):
        raise RequestError(f"{name} is {echo(text)}; write a code such as EPSG:3857", 400, "InvalidCRS", name)
    return "OGC:CRS84" if text == "CRS:84" else text


def parse_color(text: str, name: str) -> str:
    """Return a color as `#rrggbb`. Raise RequestError if the text is not such a color."""
    found = _COLOR.fullmatch(text)
    if found is None:
        raise RequestError(f"{name} is {echo(text)}; write 0xRRGGBB", locator=name)
    return f"#{found[1].lower()}"


def parse_size(parameters: Parameters, settings: ServeSettings) -> tuple[int, int]:
    """Return width and height of an image.

    Raises
    ------
    RequestError
        If a side is not a whole number in its bounds, or there are too many pixels.
    """
    width, height = (parameters.whole(name, 1, settings.max_side) for name in ("width", "height"))
    check_pixels(width, height, settings)
    return width, height


def check_pixels(width: int, height: int, settings: ServeSettings) -> None:
    """Raise RequestError if an image has too many pixels."""
    if width * height > settings.max_pixels:
        raise RequestError(f"{width} x {height} is more than {settings.max_pixels:,} pixels", locator="width")


def parse_dpi(parameters: Parameters, *names: str) -> float:
    """Return the resolution in pixels per inch: the first of some parameters that is given."""
    found = next((name for name in names if parameters.text(name)), None)
    return DEFAULT_DPI if found is None else parameters.number(found, _MIN_DPI, _MAX_DPI)


def parse_whole_up_to(text: str, name: str, high: int) -> int:
    """Return a whole number of at most eight digits. Raise RequestError with status 404 if it is too large."""
    if not re.fullmatch(r"\d{1,8}", text, re.ASCII) or int(text) > high:
        raise RequestError(f"there is no {name} {echo(text)}", 404, "TileOutOfRange", name)
    return int(text)
