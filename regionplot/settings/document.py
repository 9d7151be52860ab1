"""Read the tables of a settings file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from regionplot.errors import ConfigError
from regionplot.settings.places import Places
from regionplot.settings.toml import parse_toml
from regionplot.text import path_hint, path_text

MAX_BYTES = 2**20
"""Maximum size of a settings file in bytes."""


class Document(NamedTuple):
    """The unchecked tables of a config, and the text from which line numbers are taken."""

    base: Path
    """Base folder of relative paths."""
    tables: Mapping[str, Any]
    places: Places = Places()

    @classmethod
    def open(cls, source: str | Path | Mapping[str, Any] | None) -> Document:
        """Read a TOML file, or wrap a mapping of tables. None is a document without settings.

        Raises
        ------
        ConfigError
            If the file cannot be read or is not TOML, or the source is neither a path nor a mapping.
        """
        if source is None or isinstance(source, Mapping):
            return cls(Path.cwd(), source or {})
        if not isinstance(source, str | Path):
            raise ConfigError(f"the settings are of type {type(source).__name__}; pass a path or a mapping")
        path = Path(source)
        try:
            text = read_bounded(path).decode("utf-8-sig")
        except FileNotFoundError as error:
            raise ConfigError(f"{path_text(path)}: {path_hint(str(path)) or error.strerror}") from None
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
        return cls(path.absolute().parent, parse_toml(text, str(path)), Places(str(path), text))


def read_bounded(path: Path) -> bytes:
    """Return the content of a settings file.

    Raises
    ------
    ConfigError
        If the path is not a regular file, or the file is larger than `MAX_BYTES`.
    """
    if path.exists() and not path.is_file():
        what = "this is a folder; give the settings file in it" if path.is_dir() else "this is not a regular file"
        raise ConfigError(f"{path}: {what}")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: the file is larger than {MAX_BYTES:,} bytes; is it a settings file?")
    return content
