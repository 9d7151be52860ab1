"""Render templates such as `{field}` and `{field:spec}`, and make text safe to show.

Attribute and index access leak objects, and a wide format spec makes gigabytes of text, so fields are bare names and
specs are checked against a short grammar (https://docs.python.org/3/library/string.html#format-specification-mini-language).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime
from string import Formatter
from unicodedata import category

_NAME = re.compile(r"[^\W\d]\w*( \w+)*")


_NUMBER_SPEC = re.compile(r"[<>^=]?[+\- ]?#?0?\d{0,2},?(\.\d{1,2})?[bcdeEfFgGosxX%]?")


_TIME_SPEC = re.compile(r"[\w %:/.,\-+]{1,60}")


LONGEST_TEXT = 300
"""Characters of a title or a label; more does not fit on a sheet."""


_UNSEEN = {"Cc": " ", "Cs": " ", "Zl": " ", "Zp": " ", "Cf": ""}
"""What stands for characters of these categories: controls and separators, and marks of direction."""


_INTEGER_TYPES = frozenset("bcdoxX")


_FLOAT_TYPES = frozenset("eEfFgG%,")


class TemplateError(ValueError):
    """A template is malformed, or names a field that is not there."""


def fields_of(template: str) -> list[str]:
    """The field names of a template.

    Parameters
    ----------
    template : str
        Text with `{field}` or `{field:spec}`; `{{` and `}}` are literal braces.

    Raises
    ------
    TemplateError
        If a brace is open, or a field is more than a name and a short format.

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
        As for `fields_of`.
    fields : Mapping
        Values by field name; text that looks like a number takes a numeric spec, too.

    Raises
    ------
    TemplateError
        If the template is malformed, a field is unknown or a value does not take its format.

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
                raise TemplateError(f"{template!r}: there is no field {name!r}; there are: {known}")
            parts.append(_format(fields[name], name, spec))
    return "".join(parts)


def plain_text(text: str, longest: int = LONGEST_TEXT) -> str:
    r"""Text from a file as one line without control or direction marks, cut where it is too long.

    Parameters
    ----------
    text : str
        Anything.
    longest : int
        Characters that are kept.

    Examples
    --------
    >>> plain_text("Snow\n\x1b[31mdepth ")
    'Snow [31mdepth'
    """
    start = text[: 4 * longest]  # what a megabyte of blanks would hide is not looked for
    kept = "".join(_UNSEEN.get(unicodedata.category(c), c) for c in start)
    words = " ".join(kept.split())
    return words if len(words) <= longest and len(text) <= len(start) else words[: longest - 1].rstrip() + "…"


def _parse(template: str) -> Iterator[tuple[str, str | None, str]]:
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise TemplateError(f"{template!r}: {error}; write {{{{ or }}}} for a brace") from None
    for literal, name, spec, conversion in parsed:
        if name is not None and (conversion or not _NAME.fullmatch(name)):
            raise TemplateError(f"{template!r}: {{{name}}} must be a plain field name")
        if spec and not (_NUMBER_SPEC.fullmatch(spec) or _TIME_SPEC.fullmatch(spec)):
            raise TemplateError(f"{template!r}: the format {spec!r} is not allowed")
        yield literal, name, spec or ""


def _format(value: object, name: str, spec: str) -> str:
    if isinstance(value, datetime):
        return value.strftime(spec) if spec else value.strftime("%Y-%m-%d %H:%M UTC")
    if not _NUMBER_SPEC.fullmatch(spec):
        raise TemplateError(f"the format {spec!r} is for times, but {name!r} is {value!r}")
    try:
        return format(_as_number(value, spec), spec)
    except (ValueError, TypeError):
        raise TemplateError(f"field {name!r}: {value!r} does not take the format {spec!r}") from None


def _as_number(value: object, spec: str) -> object:
    """Table cells are text; give them to numeric formats as numbers."""
    kind = spec[-1:]
    if not isinstance(value, str) or kind not in _INTEGER_TYPES | _FLOAT_TYPES:
        return value
    return int(value) if kind in _INTEGER_TYPES else float(value)


_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of what breaks lines, moves the cursor, turns the direction of text or is half a character."""


def one_line(text: str) -> str:
    r"""The text with everything escaped that is not simply shown.

    Examples
    --------
    >>> one_line("Ohio\n2026-01-01 INFO all is well")
    'Ohio\\n2026-01-01 INFO all is well'
    """
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if category(c) in _UNSAFE else c for c in text)


_UNIT_NAMES = {"degC": "°C", "C": "°C", "degree_C": "°C", "degF": "°F", "F": "°F", "degK": "K", "1": ""}


def colorbar_label(long_name: str, units: str) -> str:
    """A label out of a raster's metadata.

    Examples
    --------
    >>> colorbar_label("Snow water equivalent", "kg m-2")
    'Snow water equivalent (kg m⁻²)'
    """
    superscripts = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    shown = _UNIT_NAMES.get(units, units)
    shown = re.sub(r"(?<=[A-Za-z])\^?(-?\d+)\b", lambda power: power[1].translate(superscripts), shown)
    shown = re.sub(r"\bug\b", "µg", shown)
    return f"{long_name} ({shown})" if shown else long_name
