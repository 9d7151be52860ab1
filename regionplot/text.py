"""Fill in templates such as `{field}` and `{field:format}`, and make text safe to display.

Python's own templates are not safe: `{x.attribute}` and `{x[0]}` expose objects, and a format such as `>999999999`
produces gigabytes of text. Therefore, a field must be a plain name, and only a part of Python's format language is
allowed (https://docs.python.org/3/library/string.html#format-specification-mini-language).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from string import Formatter
from unicodedata import category

_NAME = re.compile(r"[^\W\d]\w*( \w+)*")
_NUMBER_SPEC = re.compile(r"[<>^=]?[+\- ]?#?0?\d{0,2},?(\.\d{1,2})?[bcdeEfFgGosxX%]?")
_TIME_SPEC = re.compile(r"[\w %:/.,\-+]{1,60}")
LONGEST_TEXT = 300
"""Maximum length of a title or a label, in characters. A longer text does not fit on a map."""
_REPLACEMENTS = {"Cc": " ", "Cs": " ", "Zl": " ", "Zp": " ", "Cf": ""}
"""Replacement for a character, by its Unicode category. Control characters, surrogates and line separators become
spaces. Format characters, such as direction marks, are removed."""
_INTEGER_TYPES = frozenset("bcdoxX")
_FLOAT_TYPES = frozenset("eEfFgG%,")


class TemplateError(ValueError):
    """A template is malformed, or names an unknown field."""


def fields_of(template: str) -> list[str]:
    """Return the field names of a template.

    Parameters
    ----------
    template : str
        Text with `{field}` or `{field:format}`. `{{` and `}}` are literal braces.

    Raises
    ------
    TemplateError
        If a brace is not closed, or a field is not a plain name with an optional short format.

    Examples
    --------
    >>> fields_of("Snowfall, {title} ({time:%d %b})")
    ['title', 'time']
    """
    return [name for _, name, _ in _parse(template) if name is not None]


def render(template: str, fields: Mapping[str, object]) -> str:
    """Fill in a template.

    Parameters
    ----------
    template : str
        Text with fields, as for `fields_of`.
    fields : Mapping
        Values by field name. A numeric format also accepts text that contains a number.

    Raises
    ------
    TemplateError
        If the template is malformed, a field is unknown, or a value does not fit its format.

    Examples
    --------
    >>> render("{name}: {population:,d}", {"name": "Ohio", "population": "11799448"})
    'Ohio: 11,799,448'
    """
    parts = []
    for literal, name, spec in _parse(template):
        parts.append(literal)
        if name is not None:
            if name not in fields:
                known = ", ".join(sorted(fields))
                raise TemplateError(f"{template!r}: there is no field {name!r}; the fields are: {known}")
            parts.append(_format(fields[name], name, spec))
    return "".join(parts)


def has_field(template: str, *names: str) -> bool:
    """Return True if a template has a field with one of the names."""
    return not set(names).isdisjoint(fields_of(template))


def plain_text(text: str, longest: int = LONGEST_TEXT) -> str:
    r"""Return text from a file as one line, without control characters or direction marks.

    Parameters
    ----------
    text : str
        Any text.
    longest : int
        Number of characters to keep. A longer text is truncated and ends with an ellipsis.

    Examples
    --------
    >>> plain_text("Snow\n\x1b[31mdepth ")
    'Snow [31mdepth'
    """
    start = text[: 4 * longest]  # limits the time for a very long text
    is_plain = start.isascii() and start.isprintable()
    kept = start if is_plain else "".join(_REPLACEMENTS.get(category(c), c) for c in start)
    words = " ".join(kept.split())
    return words if len(words) <= longest and len(text) <= len(start) else words[: longest - 1].rstrip() + "…"


def is_time_zone(name: str) -> bool:
    """Return True if a name is in the IANA time zone database of this system."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 (few maps have times of another zone)

    try:
        return bool(ZoneInfo(name))
    except (OSError, ValueError, KeyError):
        return False


def in_time_zone(fields: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return fields with their times in a time zone.

    Examples
    --------
    >>> from datetime import UTC
    >>> render("{t:%d %b, %H:%M %Z}", in_time_zone({"t": datetime(2025, 2, 6, 1, tzinfo=UTC)}, "America/Denver"))
    '05 Feb, 18:00 MST'
    """
    if name == "UTC":
        return fields
    from zoneinfo import ZoneInfo  # noqa: PLC0415 (few maps have times of another zone)

    zone = ZoneInfo(name)
    return {
        key: value.astimezone(zone) if isinstance(value, datetime) and value.tzinfo else value
        for key, value in fields.items()
    }


def _parse(template: str) -> Iterator[tuple[str, str | None, str]]:
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise TemplateError(f"{template!r}: {error}; write {{{{ or }}}} for a literal brace") from None
    for literal, name, spec, conversion in parsed:
        if name is not None and (conversion or not _NAME.fullmatch(name)):
            raise TemplateError(f"{template!r}: {{{name}}} must be a plain field name")
        if spec and not (_NUMBER_SPEC.fullmatch(spec) or _TIME_SPEC.fullmatch(spec)):
            raise TemplateError(f"{template!r}: the format {spec!r} is not allowed")
        yield literal, name, spec or ""


def _format(value: object, name: str, spec: str) -> str:
    if isinstance(value, datetime):
        return value.strftime(spec or ("%Y-%m-%d %H:%M %Z" if value.tzinfo else "%Y-%m-%d %H:%M UTC"))
    if not _NUMBER_SPEC.fullmatch(spec):
        raise TemplateError(f"the format {spec!r} is for times, but {name!r} is {value!r}")
    try:
        return format(_as_number(value, spec), spec)
    except (ValueError, TypeError):
        raise TemplateError(f"field {name!r}: {value!r} does not fit the format {spec!r}") from None


def _as_number(value: object, spec: str) -> object:
    """Return text from a table as a number if the format is numeric. Return other values unchanged."""
    kind = spec[-1:]
    if not isinstance(value, str) or kind not in _INTEGER_TYPES | _FLOAT_TYPES:
        return value
    return int(value) if kind in _INTEGER_TYPES else float(value)


_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of unsafe characters: surrogates, and characters that break lines, move the cursor or change the
direction of text."""


def one_line(text: str) -> str:
    r"""Escape the characters of a text that could break lines or hide text in a terminal or log.

    Examples
    --------
    >>> one_line("Ohio\n2026-01-01 INFO all is well")
    'Ohio\\n2026-01-01 INFO all is well'
    """
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if category(c) in _UNSAFE else c for c in text)


_TRACEBACK = "Traceback (most recent call last):"


def error_text(text: str) -> str:
    r"""Return the text of an error on one line. A Python traceback in it follows on indented lines.

    Examples
    --------
    >>> print(error_text("a\nb: ValueError\nTraceback (most recent call last):\n  line 1\nValueError"))
    a\nb: ValueError
        | Traceback (most recent call last):
        |   line 1
        | ValueError
    """
    message, _, trace = without_secrets(text).partition(_TRACEBACK)
    if not trace:
        return one_line(message)
    lines = [_TRACEBACK, *trace.strip("\n").splitlines()]
    return "\n".join([one_line(message.strip() or lines[-1]), *(f"    | {one_line(line)}" for line in lines)])


def quoted(value: object, longest: int = 60) -> str:
    """Return a value from a file for a message: its Python repr, on one line, truncated if it is long.

    Parameters
    ----------
    value : object
        A text, a number, or another value of a file.
    longest : int
        Number of characters to keep.

    Examples
    --------
    >>> quoted("a" * 100, longest=5)
    "'aaaa…"
    """
    text = repr(value[: longest + 1] if isinstance(value, str) else value)
    return text if len(text) <= longest + 2 else text[:longest].rstrip() + "…"


_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,3}(?=[^/])|/vsi[a-z]+/?", re.ASCII)
_WINDOWS_PATH = re.compile(r"([A-Za-z]):[\\/]|\\\\", re.ASCII)


_SECRET_PARTS = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]+:/{1,2})([^/@\s?#]*@)?([^\s?]*)(\?[^\s]*)?", re.ASCII)


def without_secrets(text: str) -> str:
    """Return a text in which no address has a password or a query, because a query can be a signature.

    Examples
    --------
    >>> without_secrets("cannot read https://me:pw@example.org/snow.tif?X-Amz-Signature=abc here")
    'cannot read https://example.org/snow.tif?... here'
    """
    return _SECRET_PARTS.sub(lambda found: f"{found[1]}{found[3]}{'?...' if found[4] else ''}", text)


def path_text(path: str | Path) -> str:
    """Return a path for a message. If it is an address, add the slashes that `Path` has removed.

    Examples
    --------
    >>> path_text(Path("https://example.org/snow.tif"))
    'https://example.org/snow.tif'
    """
    return without_secrets(re.sub(r"^([A-Za-z][A-Za-z0-9+.-]+):/(?=[^/])", _restore_slashes, str(path)))


def _restore_slashes(scheme: re.Match[str]) -> str:
    return f"{scheme[1]}:///" if scheme[1] == "file" else f"{scheme[1]}://"


def path_hint(path: str) -> str:
    """Return a hint for a path that this system cannot open as a file, or an empty string.

    Examples
    --------
    >>> path_hint("https://example.org/snow.tif")
    'addresses are not read; download the file and give its path'
    >>> path_hint("snow.tif")
    ''
    """
    if path.startswith("file:"):
        return "addresses are not read; leave out 'file://'"
    if path.startswith("/vsi"):
        return "virtual files of GDAL are not read; give the path of a file"
    if _ADDRESS.match(path):
        return "addresses are not read; download the file and give its path"
    if os.sep == "/" and (windows := _WINDOWS_PATH.match(path)):
        rest = path[windows.end() :].replace("\\", "/")
        linux = f"/mnt/{windows[1].lower()}/{rest}" if windows[1] else f"/mnt/{rest}"
        return f"this is a Windows path; in the Windows Subsystem for Linux, write {linux}"
    return ""


DELTA = "delta "
"""Beginning of the units of differences of temperatures. Such units are converted without an offset."""
_UNIT_SYMBOLS = {
    "degC": "°C", "C": "°C", "degree_C": "°C", "degF": "°F", "F": "°F", "degK": "K", "kelvin": "K", "Kelvin": "K",
    "MB": "hPa", "mb": "hPa", "mbar": "hPa", "millibar": "hPa", "millibars": "hPa", "M/S": "m/s", "1": "",
    **dict.fromkeys(("degree_Celsius", "degrees_Celsius", "degrees_C", "deg_C", "deg C", "Celsius", "celsius"), "°C"),
    **dict.fromkeys(("~", "-", "none", "None", "unknown", "unitless", "dimensionless", "(0 - 1)", "0-1"), ""),
}  # fmt: skip
_POWERS = (
    re.compile(r"(?<=\w)()(?:\^|\*\*)([+-]?\d+)(?!\w|\.\d)"),
    re.compile(r"(?<![^\W_])(?![eE]-)([A-Za-zµμ]+)(-\d)(?!\w|\.\d)"),
    re.compile(r"(?<![^\W_])(?!log)([A-Za-zµμ]*[a-zµμ]|[JKVW])(\d)(?!\w|\.\d)"),
)
"""Powers of units: `m**2` and `m^2`, `m-2`, and `m2`. `CO2`, `log10` and `1e-3` are not powers."""


def colorbar_label(long_name: str, units: str) -> str:
    """Return a label for the color bar from a raster's metadata.

    Parameters
    ----------
    long_name : str
        Name of the quantity.
    units : str
        Units in CF notation, such as `kg m-2`. Empty if the quantity has no units.

    Examples
    --------
    >>> colorbar_label("Snow water equivalent", "kg m-2")
    'Snow water equivalent (kg m⁻²)'
    """
    shown = units_label(units)
    return f"{long_name} ({shown})" if shown else long_name


def units_label(units: str) -> str:
    """Return units as people write them.

    Examples
    --------
    >>> [units_label(units) for units in ("degC", "kg m-2", "m s**-1", "1")]
    ['°C', 'kg m⁻²', 'm s⁻¹', '']
    """
    superscripts = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+")
    units = units.removeprefix(DELTA)
    shown = _UNIT_SYMBOLS.get(units, units)
    for power in _POWERS:
        shown = power.sub(lambda found: found[1] + found[2].translate(superscripts), shown)
    return re.sub(r"\bug\b", "µg", shown)


_PLAIN = 1e-5, 1e15
"""Range of absolute values that labels show without an exponent, even if six digits are too few."""
_MIN_DIGITS, _MAX_DIGITS = 6, 17
_PRECISION = 1e-9
"""Maximum relative error of the number in a label."""


def number_labels(values: Sequence[float]) -> list[str]:
    """Return one label per number, with as few digits as the numbers need.

    Six significant digits are used unless they give two numbers the same label, or give a wrong number.

    Parameters
    ----------
    values : sequence of float
        Finite numbers.

    Examples
    --------
    >>> number_labels([0.5, 1e6, 2e6]), number_labels([1234567, 2000000])
    (['0.5', '1e+06', '2e+06'], ['1234567', '2000000'])
    """
    for digits in range(_MIN_DIGITS, _MAX_DIGITS + 1):
        texts = [f"{value:.{digits}g}" for value in values]
        are_close = all(
            math.isclose(float(text), value, rel_tol=_PRECISION) for text, value in zip(texts, values, strict=True)
        )
        if are_close and len(set(texts)) == len(set(values)):
            break
    return texts if digits == _MIN_DIGITS else [_without_exponent(text) for text in texts]


def number_text(value: float) -> str:
    """Return a number with at most ten digits, and with a minus sign as wide as a plus sign.

    Examples
    --------
    >>> number_text(-0.1 - 0.2), number_text(1012.0)
    ('−0.3', '1012')
    """
    return f"{float(f'{value:.10g}'):.12g}".replace("-", "−")


def plain_number_labels(values: Sequence[float]) -> list[str]:
    """Return one label per number, without exponents unless a number is very large or very small.

    Examples
    --------
    >>> plain_number_labels([800000, 1e6, 1.2e6])
    ['800000', '1000000', '1200000']
    """
    return [_without_exponent(text) for text in number_labels(values)]


def _without_exponent(text: str) -> str:
    """Return a number without exponent, unless the result would be very long."""
    from decimal import Decimal  # noqa: PLC0415 (a run without changes draws no labels)

    number = Decimal(text)
    return format(number, "f") if number == 0 or _PLAIN[0] <= abs(number) < _PLAIN[1] else text
