"""Turn validation errors into problems, each with a place and a message."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any, get_args

from pydantic_core import ErrorDetails

from regionplot.errors import ConfigError, InputError, Place, Problem
from regionplot.registry import WRITERS
from regionplot.settings.base import MISSING_FILE
from regionplot.settings.config import LAYER_TABLES, section_names, settings_of
from regionplot.settings.output import FORMATS
from regionplot.settings.places import Places
from regionplot.settings.plugins import fields_of
from regionplot.text import quoted

_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_NOT_A_TABLE = ("model_type", "dict_type", "dataclass_type", "model_attributes_type", "mapping_type")
_VALUE_IS_NAMED = (MISSING_FILE, "too_long", "too_short", "string_too_long")
"""Types of faults whose messages already state the value."""
_WORDS = {
    "path_type": "must be one path, in quotes",
    "is_instance_of": "must be one path, in quotes",
    "string_type": "must be text in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
}
"""Messages for types of faults."""
_REWRITES = (
    (r"^Input should be ", "must be "),
    (r"^(Tuple|List|Dictionary|String) should have at least (\d+) \w+.*", r"must have at least \2 values"),
    (r"^(Tuple|List|Dictionary) should have at most (\d+) \w+.*", r"must have at most \2 values"),
    (r"^String should have at most (\d+) characters?", r"must have at most \1 characters"),
    (r"^String should match pattern", "must match the pattern"),
)
"""Patterns in messages of pydantic, and their replacements."""
_SCALARS = (str, int, float, date, time)
"""Types of values that are shown in messages."""
_MAX_KEY = 60
"""Number of characters of a key in a message."""
_SIMILAR = 0.75
"""Minimum similarity between an unknown key and a key that is suggested."""


def config_error(
    details: Sequence[ErrorDetails], places: Places, tables: Mapping[str, Any]
) -> ConfigError | InputError:
    """Return one error that holds all faults. All faults of a key become one problem.

    Parameters
    ----------
    details : sequence of ErrorDetails
        The faults of a config that pydantic found.
    places : Places
        The settings file that was read. The line numbers come from this file.
    tables : mapping
        The tables that were checked: the document's tables, with the overrides applied.

    Returns
    -------
    ConfigError or InputError
        InputError if files are missing and nothing else is wrong.
    """
    messages: dict[Place, list[tuple[str, str]]] = {}
    # pydantic does not count faulty items, so a list with faulty items seems too short
    inner = {detail["loc"][:-1] for detail in details}
    for detail in details:
        if detail["type"] == "too_short" and detail["loc"] in inner:
            continue
        location = _Location.of(detail["loc"], tables)
        known = messages.setdefault(location.place(places), [])
        if (message := _message(detail, location)) not in known:
            known.append(message)
    problems = [Problem(_joined(texts), place) for place, texts in messages.items()]
    only_missing_files = all(detail["type"] == MISSING_FILE for detail in details)
    return InputError(*problems) if only_missing_files else ConfigError(*problems)


def _joined(messages: Sequence[tuple[str, str]]) -> str:
    """Join the messages about one key. If all messages end with the same value, state the value once."""
    values = {value for _, value in messages}
    if len(values) == 1:
        first, *others = [text for text, _ in messages]
        return " or ".join([first, *(text.removeprefix("must be ") for text in others)]) + values.pop()
    return " or: ".join(text + value for text, value in messages)


@dataclass(frozen=True, slots=True)
class _Location:
    """Location of a fault that pydantic found."""

    section: str | None
    """Name of the section. None if the fault is not in a single section."""
    index: int | None
    """Index of the table, from 0, if the section is an array of tables."""
    keys: tuple[int | str, ...]
    """Keys and indexes inside the table. If a value is not a table, pydantic adds names of types after its key."""
    settings: type | None
    """The class that checks the table."""

    @classmethod
    def of(cls, location: tuple[int | str, ...], tables: Mapping[str, Any]) -> _Location:
        """Split a location that pydantic reports. Tables of layers and formats have an extra key in front."""
        if location[:1] == (LAYER_TABLES,):
            location = location[1:]
        if location[:2] == ("output", FORMATS) and len(location) > 2:
            location = (f"output.{location[2]}", *location[3:])
        section, *keys = location or (None,)
        if section is None:
            return cls(None, None, (), None)
        table: Any = tables.get(str(section))
        if not (keys and isinstance(keys[0], int)):
            return cls(str(section), None, tuple(keys), settings_of(str(section), table))
        return cls(str(section), keys[0], tuple(keys[1:]), settings_of(str(section), table[keys[0]]))

    @property
    def inner(self) -> type | None:
        """Settings class of the inner tables, if the value of the first key is a table or an array of tables."""
        field = fields_of(self.settings).get(str(self.keys[0])) if self.settings and self.keys else None
        return None if field is None else _settings_in(field.annotation)

    def place(self, places: Places) -> Place:
        """Return the place of the fault in a settings file."""
        if self.section is None:
            return Place(file=places.name)
        key = quoted_key(str(self.keys[0])) if self.keys else ""
        if self.inner is not None:
            numbered = [f"#{part + 1}" if isinstance(part, int) else quoted_key(part) for part in self.keys[1:3]]
            key = " ".join([key, *numbered])
        number = None if self.index is None else self.index + 1
        counter = {"step" if self.section == "prepare" else "number": number}
        return places.locate(Place(section=quoted_key(self.section), key=key, **counter))  # type: ignore[arg-type]


def quoted_key(key: str) -> str:
    """Return a key for a message, truncated if it is long."""
    return key if len(key) <= _MAX_KEY else f"{key[:_MAX_KEY]}…"


def _message(detail: ErrorDetails, location: _Location) -> tuple[str, str]:
    """Return a message, and text that states the value. The text is empty if the value does not help."""
    kind, last = detail["type"], location.keys[-1] if location.keys else ""
    if kind in _UNKNOWN_KEY:
        section_names()  # raises ConfigError if a layer of another package has the name of a section
        return "; ".join(["unknown key", *_suggestion(location)]), ""
    if kind == "missing" and isinstance(last, int):
        return f"has only {last} value{'s'[: last != 1]}; give more values", ""
    if kind == "missing":
        return "is required, but missing", ""
    if kind == "tuple_type" and not location.keys:
        return f"must be an array of tables: write [[{location.section}]]", ""
    if kind in _NOT_A_TABLE and not location.keys and isinstance(detail["input"], list | tuple):
        return f"must be a single table: write [{location.section}]", ""
    message = "must be a table with keys and values" if kind in _NOT_A_TABLE else _wording(detail, location)
    return message, "" if kind in _VALUE_IS_NAMED else _value(detail["input"], message)


def _value(value: object, message: str) -> str:
    """Return text that states a value, unless the message states it, or the value is a table."""
    items = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(item, _SCALARS) for item in items) or quoted(value) in message:
        return ""
    return f" (it is {quoted(value)})"


def _wording(detail: ErrorDetails, location: _Location) -> str:
    """Return a message of pydantic in the words of TOML."""
    kind = detail["type"]
    if kind == "tuple_type" and location.inner is not None:
        return f"must be an array of tables: write [[{location.section}.{location.keys[0]}]]"
    if kind == "tuple_type":
        return f"must be a list, such as {_example(location)}"
    if kind in _WORDS:
        return _WORDS[kind]
    message = detail["msg"].removeprefix("Value error, ")
    for pattern, words in _REWRITES:
        message = re.sub(pattern, words, message)
    return message


def _example(location: _Location) -> str:
    """Return the default value of a list of numbers, or an example."""
    field = fields_of(location.settings).get(str(location.keys[0])) if location.settings and location.keys else None
    default = None if field is None else field.default
    return str(list(default)) if isinstance(default, tuple) and default else "[0, 10, 20]"


def _suggestion(location: _Location) -> Iterator[str]:
    """Yield a hint: the most similar key, or all valid keys."""
    name = str(location.keys[-1]) if location.keys else location.section
    settings = location.settings if len(location.keys) == 1 else location.inner
    known = list(fields_of(settings)) if settings and location.keys else section_names()
    known = [key for name in known for key in (WRITERS if name == FORMATS else [name])]
    given = (name or "").casefold()[:_MAX_KEY]
    swapped = [key for key in known if sorted(key) == sorted(given)]
    near = swapped or difflib.get_close_matches(given, known, n=1, cutoff=_SIMILAR)
    if near:
        yield f"did you mean {near[0]!r}?"
        return
    if others := [f"[{section}]" for section in section_names() if _has_key(section, name)]:
        yield f"this key belongs to {' or '.join(others)}"
    if known:
        yield f"use one of {', '.join(known)}"


def _has_key(section: str, name: str | None) -> bool:
    settings = settings_of(section, {})
    return settings is not None and name in fields_of(settings)


def _settings_in(annotation: Any) -> type | None:
    """Return the settings class in a type such as `tuple[ClassSettings, ...] | None`."""
    if isinstance(annotation, type) and fields_of(annotation):
        return annotation
    found = (_settings_in(part) for part in get_args(annotation))
    return next((settings for settings in found if settings is not None), None)
