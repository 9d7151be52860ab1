"""Choices of times along the time axis of a raster, or along a series of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

ALL, LATEST = "all", "latest"
_SLICE = re.compile(r"(-?\d{1,9})?:(-?\d{1,9})?(?::(-?[1-9]\d{0,8})?)?")
_FORMS = 'write "all", "latest", a number from 0, a slice such as "0:8", or a time such as "2026-03-10T06:00"'
TimeItem = int | str
"""Position of a time from 0, or a time as ISO text."""


def parse_choice(value: object) -> object:
    """Return the value of the setting `time` with dates of TOML as ISO texts. Other values are returned unchanged.

    Raises
    ------
    ValueError
        If a text is not a choice of times, or a list is empty.
    """
    if isinstance(value, list | tuple):
        if not value:
            raise ValueError(f"the list is empty; {_FORMS}")
        return tuple(_parse_item(item) for item in value)
    if isinstance(value, str) and (value in (ALL, LATEST) or _SLICE.fullmatch(value)):
        return value
    return _parse_item(value)


def _parse_item(value: object) -> object:
    if isinstance(value, date):  # datetime is a subclass
        return value.isoformat()
    if isinstance(value, str) and _time(value) is None:
        raise ValueError(f"{value!r} is not a choice of times; {_FORMS}")
    return value


def _time(text: str) -> datetime | None:
    """Return an ISO time in UTC, or None if the text is not a time. A time without an offset is in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class TimeChoice:
    """A choice of times, from the setting `time`.

    Examples
    --------
    >>> hours = [datetime(2026, 3, 10, hour, tzinfo=UTC) for hour in range(24)]
    >>> TimeChoice("::6").pick(hours), TimeChoice("2026-03-10T07:00").pick(hours), TimeChoice("latest").pick(hours)
    ([0, 6, 12, 18], [7], [23])
    """

    value: Any
    """Value of the setting, as `parse_choice` returns it."""

    @property
    def is_many(self) -> bool:
        """True if the choice can have several times: `all`, a slice or a list."""
        return isinstance(self.value, tuple) or self.value == ALL or self._is_slice

    @property
    def _is_slice(self) -> bool:
        return isinstance(self.value, str) and _SLICE.fullmatch(self.value) is not None

    def pick(self, times: Sequence[datetime]) -> list[int]:
        """Return the positions of the chosen times, in the order of time.

        Parameters
        ----------
        times : sequence of datetime
            The times in UTC, in ascending order.

        Raises
        ------
        ValueError
            If a chosen time is not there. The message lists the times.
        """
        if self.value == ALL:
            found = list(range(len(times)))
        elif self.value == LATEST:
            found = [len(times) - 1] if times else []
        elif self._is_slice:
            found = sorted(range(len(times))[slice(*(int(p) if p else None for p in self.value.split(":")))])
        else:
            items = self.value if isinstance(self.value, tuple) else (self.value,)
            found = sorted({_position(item, times) for item in items})
        if not found:
            raise ValueError(f"time = {self.value!r} selects none of the {_described(times)}")
        return found


def _position(item: TimeItem, times: Sequence[datetime]) -> int:
    if isinstance(item, int):
        if not -len(times) <= item < len(times):
            raise ValueError(f"there is no time number {item} among the {_described(times)}; numbers start at 0")
        return item % len(times)
    wanted = _time(item)
    if wanted not in times:
        raise ValueError(f"there is no time {item} among the {_described(times)}")
    return times.index(wanted)


def _described(times: Sequence[datetime]) -> str:
    if not times:
        return "0 times"
    first, last = (f"{time:%Y-%m-%dT%H:%M}" for time in (times[0], times[-1]))
    return f"{len(times)} times ({first})" if first == last else f"{len(times)} times ({first} to {last})"
