"""Read TOML and find the line of a setting."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from regionplot.errors import ConfigError

MAX_BYTES = 2**20


class Document(NamedTuple):
    """A config as found: its tables, and its text to find line numbers in."""

    name: str
    base: Path
    tables: Mapping[str, Any]
    text: str = ""

    @classmethod
    def empty(cls) -> Document:
        """Return a document without settings."""
        return cls("settings", Path.cwd(), {})

    @classmethod
    def open(cls, source: str | Path | Mapping[str, Any]) -> Document:
        """Read a TOML file, or wrap a dict of tables."""
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
        except (ValueError, RecursionError) as error:  # ValueError also of a number with thousands of digits
            raise ConfigError(f"{path}: not valid TOML: {error}") from None

    def place(self, location: tuple[int | str, ...]) -> str:
        """`regionplot.toml:12: [map] size`, as near as the text lets us say it; of several sections, the file."""
        if not location:
            return self.name
        section, *keys = location
        index = next((key for key in keys[:1] if isinstance(key, int)), None)
        if index is not None:
            keys = keys[1:]
        part = [str(keys[0])] if keys else []
        if len(keys) > 1 and keys[0] == "classes" and isinstance(keys[1], int):
            part = ["classes", f"#{keys[1] + 1}", *map(str, keys[2:3])]
        header = f"[{section}]" if index is None else f"[[{section}]] #{index + 1}"
        line = self._line(str(section), index or 0, str(keys[0]) if keys else None) or self._inner_line(str(section))
        return f"{self.name}{f':{line}' if line else ''}: {' '.join([header, *part])}"

    def _inner_line(self, section: str) -> int | None:
        """Return the line of a section such as `output.png` that is written as a key of the outer section."""
        outer, _, key = section.rpartition(".")
        return self._line(outer, 0, key) if outer else None

    def _line(self, section: str, index: int, key: str | None) -> int | None:
        current, seen, start = "", -1, None
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[\[?\s*([\w.-]+)\s*\]", line):
                current = header[1]
                seen += current == section
            inside = current == section and seen == index
            if inside and (start is None or (key and re.match(rf"\s*{re.escape(key)}\s*=", line))):
                start = number
                if key is None:
                    break
        return start


def read_bounded(path: Path) -> bytes:
    """A settings file; what is larger than any is not read further."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: it is not a file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: the file is larger than {MAX_BYTES:,} bytes; is it a settings file?")
    return content
