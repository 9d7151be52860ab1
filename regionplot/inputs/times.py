"""Parse the times of bands: texts with or without an offset from UTC, and coordinates along time axes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from regionplot.system.threads import ignored_warnings

_ROUNDING = timedelta(milliseconds=1)
"""Largest rounding error of a time that is stored as a number."""
_TAG_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d)")
"""A date in a TIFF tag."""
_UTC_WORDS = re.compile(r"(?<=[\d\s.])\s*(UTC|GMT|Z)", re.I)
_OFFSET = re.compile(r"(?<=[\d.])\s*([+-])(\d{1,2})(?::?(\d\d))?")
"""An offset from UTC after a time of day, such as +09:00, -6:00 or +0530."""
_NANOSECONDS = re.compile(r"(nanosec(ond)?s?|nsecs?|ns)\s", re.I)
_REFERENCE = re.compile(r"(?P<unit>.*?\ssince\s+)(?P<start>.*)", re.I | re.S)


def parse_time(text: str) -> datetime | None:
    """Return the time in a text, in UTC and without fractions of a second. Return None if the text is not a time.

    A time without an offset is in UTC.

    Examples
    --------
    >>> str(parse_time("2024-02-29T09:00:00+09:00")), str(parse_time("2024:02:29 09:00:00"))
    ('2024-02-29 00:00:00+00:00', '2024-02-29 09:00:00+00:00')
    """
    text = text.strip()
    date = _TAG_DATE.match(text)
    if date is not None:
        text = "-".join(date.groups()) + text[date.end() :]
    start, offset = split_offset(text)
    try:
        time = datetime.fromisoformat(start)
        time = time.replace(tzinfo=UTC) - offset if time.tzinfo is None else time.astimezone(UTC)
        return (time + _ROUNDING).replace(microsecond=0)
    except (ValueError, OverflowError):
        return None


def split_offset(text: str) -> tuple[str, timedelta]:
    """Return a text without the offset from UTC at its end, and the offset.

    Examples
    --------
    >>> split_offset("1992-10-8 15:15:42.5 -6:00")[0], split_offset("2000-01-01")[0]
    ('1992-10-8 15:15:42.5', '2000-01-01')
    """
    day, separator, clock = _split_clock(text.strip())
    for pattern in (_UTC_WORDS, _OFFSET):
        found = re.search(rf"(?:{pattern.pattern})$", clock, re.I)
        if found is not None:
            rest = f"{day}{separator}{clock[: found.start()]}".strip()
            return rest, _duration(found) if pattern is _OFFSET else timedelta()
    return text.strip(), timedelta()


def _split_clock(text: str) -> tuple[str, str, str]:
    """Split a text between date and time of day. Without a time of day, the last part is empty."""
    found = re.search(r"[T\s](?=\d)", text, re.I)
    return (text, "", "") if found is None else (text[: found.start()], found.group(), text[found.end() :])


def _duration(offset: re.Match[str]) -> timedelta:
    sign, hours, minutes = offset.groups()
    return timedelta(hours=int(hours), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)


@lru_cache(maxsize=100_000)  # each field of a file with many times looks for its time among all of them
def decode_time(value: str, units: str, calendar: str) -> datetime:
    """Return the time, in UTC, of a coordinate along a time axis.

    Parameters
    ----------
    value : str
        The coordinate, a number.
    units : str
        Units of the axis, such as `hours since 2026-03-10 00:00:00`. The start can have an offset from UTC.
    calendar : str
        Calendar of the axis.

    Raises
    ------
    ValueError
        If the coordinate cannot be decoded, or its date does not exist in the Gregorian calendar. The message gives the
        reason.
    """
    found = _REFERENCE.fullmatch(units.strip())
    if found is None:
        raise ValueError("they state no start time")
    start, offset = split_offset(found["start"])
    if re.search(r"[A-Za-z]{2,}\s*$", start):
        raise ValueError(f"{start.split()[-1]} is not a known time zone")
    number, unit = float(value), found["unit"]
    if _NANOSECONDS.match(unit):  # xarray writes this unit, but cftime does not read it
        number, unit = number / 1000, "microseconds since "
    date = _num2date(number, unit + start, calendar.strip() or "standard")
    time = parse_time(date)
    if time is None:
        raise ValueError(f"{date} does not exist in the Gregorian calendar after the year 0")
    return time - offset


def _num2date(value: float, units: str, calendar: str) -> str:
    """Decode a coordinate with cftime. Raise ValueError if cftime cannot decode it."""
    import cftime  # noqa: PLC0415 (only NetCDF files need it)

    if value != value:
        raise ValueError("the time is missing")
    try:
        with ignored_warnings():  # cftime warns about years before 1
            date: Any = cftime.num2date(value, units, calendar)
    except (ValueError, OverflowError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(str(error)) from None
    return str(date)
