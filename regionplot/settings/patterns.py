"""Find the files for paths with times and wildcards."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase, translate
from pathlib import Path

from regionplot.settings.vrt_path import allowed_vrt
from regionplot.system.files import Fingerprint
from regionplot.text import TemplateError, fields_of, render

_WILDCARDS = frozenset("*?[")
_UNFINISHED = (".tmp", ".part", ".partial")
"""Suffixes of unfinished files, which another program is still writing."""
_TIME = re.compile(r"\{time:((?:[^{}%]|%[HMSYdjmy])+)\}")
"""Time of a file in a series. Only numbers of fixed width can be read back."""
_DIGITS = {"Y": 4, "j": 3}
"""Number of digits of a part of a time, if it is not 2."""
_RUN = re.compile(r"\{run:(?=[^}]*%)(?:[^{}%]|%[aAbBdFGHjmMpSuUVwWyY%])+\}")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A path with times and wildcards. The matching file can change with time.

    `{run:%Y%m%d%H}` is replaced by the time of the model run. The wildcards are `*`, `?` and `[...]`. `**` has no
    special meaning. If several files match, the file with the latest modification time is used. If files have the same
    time, the last name in alphabetical order is used. Hidden files, unfinished files (.tmp, .part, .partial) and names
    with control characters never match.

    An existing path is taken literally, even if it contains such characters. The same applies to each existing folder
    of a path.

    Examples
    --------
    >>> clock = lambda: datetime(2026, 2, 3, 16, 45, tzinfo=UTC)
    >>> str(Pattern("/none/gfs_{run:%Y%m%d_%H}z*.grib2", cycle=6, clock=clock))
    '/none/gfs_20260203_12z*.grib2'
    """

    text: str
    cycle: int = 1
    """Hours between two model runs. The time is rounded down to a multiple of `cycle` hours after midnight UTC."""
    clock: Callable[[], datetime] = _utc_now
    """Function that returns the current time."""
    remote: Path | None = None
    """Remote object. The other fields are then not used."""
    allows_vrt: bool = False
    """True if the file may be a VRT."""

    def find(self) -> Path | None:
        """Return the newest file that matches now, or None if no file matches.

        Raises
        ------
        TemplateError
            If a brace is not closed, or a field is not `run` with a time format.
        """
        if self.remote is not None:
            return self.remote
        if os.path.exists(self.text or "."):  # noqa: PTH110 (Path.exists raises in a folder that may not be read)
            return self._allowed(Path(self.text))
        folder, rest = _existing_folder(Path(self.text))
        found = _newest(_matches(folder, Path(self._fill(rest)).parts))
        return None if found is None else self._allowed(found)

    def find_all(self) -> list[Path]:
        """Return all files that match now, in alphabetical order.

        Raises
        ------
        TemplateError
            As for `find`.
        """
        if self.remote is not None:
            return [self.remote]
        if os.path.exists(self.text or "."):  # noqa: PTH110
            return [self._allowed(Path(self.text))]
        folder, rest = _existing_folder(Path(self.text))
        return sorted(map(self._allowed, _matches(folder, Path(self._fill(rest)).parts)))

    def _allowed(self, path: Path) -> Path:
        return allowed_vrt(path) if self.allows_vrt else path

    def __call__(self) -> Path | None:
        """Call `find`, so that a pattern can be used as a function."""
        return self.find()

    def __str__(self) -> str:
        """Return the path with its times filled in."""
        if self.remote is not None:
            return self.text
        folder, rest = _existing_folder(Path(self.text))
        return str(folder / self._fill(rest))

    @property
    def has_wildcards(self) -> bool:
        """True if folders must be listed to find the file."""
        return not _WILDCARDS.isdisjoint(self.text)

    @property
    def not_found_message(self) -> str:
        """Error message for a pattern that no file matches."""
        return f"nothing matches {self}" if self.has_wildcards else f"there is no file {self}"

    def _fill(self, rest: str) -> str:
        fields = fields_of(rest)
        if len(fields) != len(_RUN.findall(rest)):
            raise TemplateError(f"{rest!r}: the only field is the time of the model run, such as {{run:%Y%m%d%H}}")
        now = self.clock()
        run = now.replace(hour=now.hour - now.hour % self.cycle, minute=0, second=0, microsecond=0)
        return render(rest, {"run": run})


@dataclass(frozen=True, slots=True)
class Series:
    """A path with `{time:FORMAT}`: a series of files, one for each time. Times are in UTC.

    Examples
    --------
    >>> Series("/data/hrrr_{time:%Y%m%d}_t{time:%H}z*.grib2").wildcards
    '/data/hrrr_[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_t[0-9][0-9]z*.grib2'
    """

    text: str

    @classmethod
    def is_named_by(cls, text: str) -> bool:
        """Return True if a path names a series of files. An existing path is taken literally."""
        return "{time" in text and not os.path.exists(text)  # noqa: PTH110

    def check(self) -> None:
        """Check the fields of the path.

        Raises
        ------
        TemplateError
            If a field is not a time, the format of a time cannot be read back, or the times have no date.
        """
        formats = _TIME.findall(self.text)
        if len(fields_of(self.text)) != len(formats):
            raise TemplateError(
                f"{self.text!r}: the only field of a series is the time of a file, such as {{time:%Y%m%d%H}}, with "
                "%Y, %y, %m, %d, %j, %H, %M and %S"
            )
        letters = set(re.findall(r"%([A-Za-z])", "".join(formats)))
        if not letters & {"Y", "y"} or not (letters >= {"m", "d"} or "j" in letters):
            raise TemplateError(
                f"{self.text!r}: the date of a file is unknown; the name must have %Y, %m and %d, or %Y and %j"
            )

    @property
    def wildcards(self) -> str:
        """The path with wildcards instead of the times."""
        return _TIME.sub(lambda field: re.sub(r"%(\w)", lambda part: _digits(part[1], "[0-9]"), field[1]), self.text)

    def find(self) -> list[tuple[datetime, Path]]:
        """Return the files of the series with their times, in the order of time.

        Hidden and unfinished files are left out. If several files have the same time, the newest file is used.
        """
        folder, rest = _existing_folder(Path(self.text))
        below = Series(rest)
        newest: dict[datetime, tuple[float, str, Path]] = {}
        for path in _matches(folder, Path(below.wildcards).parts):
            time, mark = below._time_of(str(path.relative_to(folder))), Fingerprint.of(path)
            if time is not None and mark is not None:
                newest[time] = max(newest.get(time, (-1.0, "", path)), (mark.modified, str(path), path))
        return [(time, newest[time][2]) for time in sorted(newest)]

    def _time_of(self, path: str) -> datetime | None:
        """Return the time in the path of a file, or None if it is not a date."""
        found = re.fullmatch(self._expression(), path)
        if found is None:
            return None
        values = {name.rstrip("_0123456789")[-1]: text for name, text in found.groupdict().items()}
        try:
            return datetime.strptime(" ".join(values.values()), " ".join(f"%{letter}" for letter in values)).replace(
                tzinfo=UTC
            )
        except ValueError:
            return None

    def _expression(self) -> str:
        """Return a regular expression for the paths of the files. Its groups are the parts of the times."""
        parts, end, count = [], 0, 0
        for field in _TIME.finditer(self.text):
            parts.append(_as_expression(self.text[end : field.start()]))
            for literal, letter in re.findall(r"([^%]*)(?:%(\w))?", field[1]):
                group = f"(?P<{letter}_{count}>{_digits(letter, '[0-9]')})" if letter else ""
                parts.append(re.escape(literal) + group)
                count += 1
            end = field.end()
        return "".join([*parts, _as_expression(self.text[end:])])


def _digits(letter: str, digit: str) -> str:
    return digit * _DIGITS.get(letter, 2)


def _as_expression(wildcards: str) -> str:
    """Return a regular expression for a part of a path with wildcards. `*` does not match a slash."""
    expression = translate(wildcards).removeprefix("(?s:").removesuffix(")\\Z").removesuffix(")\\z")
    return expression.replace(".*", "[^/]*")


def _existing_folder(path: Path) -> tuple[Path, str]:
    """Return the deepest folder of a path that exists, and the rest of the path."""
    folder = next(folder for folder in path.parents if os.path.isdir(folder) or folder == folder.parent)  # noqa: PTH112
    return folder, str(path.relative_to(folder))


def _matches(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield the files below a folder whose paths match the given parts, one part per folder level."""
    name, *rest = parts
    if os.path.exists(folder / name):  # noqa: PTH110
        found = [name]
    elif _WILDCARDS.isdisjoint(name):
        return
    else:
        found = [entry for entry in _names(folder) if fnmatchcase(entry, name) and _is_finished(entry)]
    for entry in found:
        if rest:
            yield from _matches(folder / entry, rest)
        elif os.path.isfile(folder / entry):  # noqa: PTH113
            yield folder / entry


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 (a folder may hold many files, and only their names are needed)
    except OSError:
        return []


def _is_finished(name: str) -> bool:
    return not name.startswith(".") and not name.casefold().endswith(_UNFINISHED) and name.isprintable()


def _newest(paths: Iterator[Path]) -> Path | None:
    found = [(mark.modified, str(path)) for path in paths if (mark := Fingerprint.of(path))]
    return Path(max(found)[1]) if found else None
