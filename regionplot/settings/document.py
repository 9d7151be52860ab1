"""Read TOML and find the line of a setting."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from regionplot.errors import ConfigError, Place

MAX_BYTES = 2**20
"""Maximum size of a settings file in bytes."""


class Document(NamedTuple):
    """The tables of a config before they are checked, and the text in which line numbers are found."""

    name: str
    """Path of the file, or `settings` if the tables do not come from a file."""
    base: Path
    """Base folder of relative paths."""
    tables: Mapping[str, Any]
    text: str = ""
    """Text of the file."""

    @classmethod
    def empty(cls) -> Document:
        """Return a document without settings."""
        return cls("settings", Path.cwd(), {})

    @classmethod
    def open(cls, source: str | Path | Mapping[str, Any]) -> Document:
        """Read a TOML file, or wrap a mapping of tables.

        Raises
        ------
        ConfigError
            If the file cannot be read or is not TOML.
        """
        if isinstance(source, Mapping):
            return cls("settings", Path.cwd(), source)
        path = Path(source)
        try:
            text = read_bounded(path).decode("utf-8-sig")
            return cls(str(path), path.absolute().parent, tomllib.loads(text), text)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
        except (ValueError, RecursionError) as error:  # a number with thousands of digits raises ValueError
            raise ConfigError(f"{path}: not valid TOML: {error}") from None

    def locate(self, section: str, index: int | None = None, key: str = "") -> Place:
        """Return the place of a setting. If the line of the key is not found, the place has the line of its table.

        Parameters
        ----------
        section : str
            Name of the table or array of tables.
        index : int, optional
            Index of the table in its array, from 0.
        key : str
            Key in the table. If empty, return the place of the table.
        """
        line = self._line(section, index or 0, key) or self._inner_line(section)
        place = Place(file=self.name, line=line, section=section, key=key)
        if index is None:
            return place
        return replace(place, step=index + 1) if section == "prepare" else replace(place, number=index + 1)

    def _inner_line(self, section: str) -> int | None:
        """Return the line of a section such as `output.png` that is written as a key of the outer section."""
        outer, _, key = section.rpartition(".")
        return self._line(outer, 0, key) if outer else None

    def _line(self, section: str, index: int, key: str) -> int | None:
        current, seen, start = "", -1, None
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[\[?\s*([\w.-]+)\s*\]", line):
                current = header[1]
                seen += current == section
            inside = current == section and seen == index
            if inside and (start is None or (key and re.match(rf"\s*{re.escape(key)}\s*=", line))):
                start = number
                if not key:
                    break
        return start


def read_bounded(path: Path) -> bytes:
    """Return the content of a settings file.

    Raises
    ------
    ConfigError
        If the path is not a regular file, or the file is larger than `MAX_BYTES`.
    """
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: this is not a regular file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: the file is larger than {MAX_BYTES:,} bytes; is it a settings file?")
    return content
