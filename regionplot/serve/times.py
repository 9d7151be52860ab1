"""Find the fields of a product at the times that a request names: one time, a list, or ranges. This module is pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from regionplot.serve.catalog import FieldFacts, ProductFacts
from regionplot.serve.parameters import RequestError, echo, utc_time
from regionplot.serve.request import fields_at, find_field

MAX_VALUES = 240
"""Maximum number of values in one answer about a point."""
_LIMIT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?", re.ASCII)
_PERIOD = re.compile(r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?", re.ASCII)


def find_time(product: ProductFacts, text: str, level: str = "") -> FieldFacts:
    """Return the field of a time, or the newest field of a range. An empty text is the default time.

    The end of a range counts only if no other time lies in the range. QGIS asks for ranges: the map for 6 to 12 o'clock
    is that of 6 o'clock.
    """
    if not text:
        return find_field(product, "", level)
    found, last = find_times(product, text, level), text.rpartition(",")[2]
    end = utc_time(last.split("/")[1]) if "/" in last else ""
    before = [each for each in found if not ("T" in end and _is_after(each.time, end))]
    return (before or found)[-1]


def find_times(product: ProductFacts, text: str, level: str = "") -> list[FieldFacts]:
    """Return the fields of some times, in ascending order.

    Parameters
    ----------
    product : ProductFacts
        The product.
    text : str
        Times and ranges, separated by commas. A range is `START/END` or `START/END/PERIOD`, with open limits as in
        `2026-03-10T00:00:00Z/..`. An empty text is all times.
    level : str, optional
        The level. By default, the default level.

    Raises
    ------
    RequestError
        If the product has no such time or level.
    """
    fields = list(fields_at(product, level).values())
    if text:
        chosen = {each.key for part in text.split(",") for each in _part(product, fields, part, level)}
        fields = [each for each in fields if each.key in chosen]
    return fields


def check_count(count: int) -> None:
    """Raise RequestError if an answer would have too many values."""
    if count > MAX_VALUES:
        raise RequestError(f"there are more than {MAX_VALUES} values; use a shorter range", locator="time")


def _part(product: ProductFacts, fields: Sequence[FieldFacts], text: str, level: str) -> list[FieldFacts]:
    """Return the fields of one time or one range."""
    if "/" not in text:
        return [find_field(product, text, level)]
    start, end, period = (*(utc_time(each) for each in text.split("/")), "")[:3]
    if text.count("/") > 2 or not (_is_limit(start) and _is_limit(end)):
        raise RequestError(f"{echo(text)} is not a range of times; write START/END", locator="time")
    found = [each for each in fields if _is_after(each.time, start) and _is_after(end, each.time)]
    if period:
        found = _every(_step(period), found)
    if not found:
        raise RequestError(f"{product.name} has no time in {echo(text)}", 404, "InvalidDimensionValue", "time")
    return found


def _step(text: str) -> timedelta:
    match = _PERIOD.fullmatch(text)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    found = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not found:
        raise RequestError(f"{echo(text)} is not a period; write PT6H, for example", locator="time")
    return found


def _every(step: timedelta, fields: Sequence[FieldFacts]) -> list[FieldFacts]:
    """Return the fields whose distance from the first one is a multiple of a period."""
    times = [datetime.fromisoformat(each.time.rstrip("Z")).replace(tzinfo=UTC) for each in fields if each.time]
    return [each for each, time in zip(fields, times, strict=False) if not (time - times[0]) % step]


def _is_limit(text: str) -> bool:
    return text in ("", "..") or _LIMIT.fullmatch(text) is not None


def _is_after(late: str, early: str) -> bool:
    """Compare two times in ISO format as far as both are given. Open limits are true."""
    if "" in (late, early) or ".." in (late, early):
        return True
    late, early = late.rstrip("Z"), early.rstrip("Z")
    length = min(len(late), len(early))
    return late[:length] >= early[:length]
