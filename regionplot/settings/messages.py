"""Turn validation errors into problems, each with a place and a message."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from regionplot.errors import ConfigError, InputError, Place, Problem
from regionplot.registry import WRITERS
from regionplot.settings.base import MISSING_FILE
from regionplot.settings.config import LAYER_TABLES, section_names, settings_of
from regionplot.settings.document import Document
from regionplot.settings.output import FORMATS
from regionplot.settings.plugins import fields_of

_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_NOT_A_TABLE = ("model_type", "dict_type", "dataclass_type")


def config_error(error: ValidationError, document: Document, tables: Mapping[str, Any]) -> ConfigError | InputError:
    """Return one error that holds all faults. All faults of a key become one problem.

    Parameters
    ----------
    error : ValidationError
        The faults of a config.
    document : Document
        The settings file that was read. The line numbers come from this file.
    tables : mapping
        The tables that were checked: the document's tables, with the overrides applied.

    Returns
    -------
    ConfigError or InputError
        InputError if files are missing and nothing else is wrong.
    """
    details = error.errors(include_url=False)
    messages: dict[Place, list[str]] = {}
    for detail in details:
        location = _Location.of(detail["loc"], tables)
        known = messages.setdefault(location.place(document), [])
        if (message := _message(detail, location)) not in known:
            known.append(message)
    problems = [Problem(" or: ".join(texts), place) for place, texts in messages.items()]
    only_missing_files = all(detail["type"] == MISSING_FILE for detail in details)
    return InputError(*problems) if only_missing_files else ConfigError(*problems)


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

    def place(self, document: Document) -> Place:
        """Return the place of the fault in a document."""
        if self.section is None:
            return Place(file=document.name)
        key = str(self.keys[0]) if self.keys else ""
        place = document.locate(self.section, self.index, key)
        if self.inner is None:
            return place
        numbered = [f"#{part + 1}" if isinstance(part, int) else part for part in self.keys[1:3]]
        return replace(place, key=" ".join([key, *numbered]))


def _message(detail: ErrorDetails, location: _Location) -> str:
    kind, last = detail["type"], location.keys[-1] if location.keys else ""
    if kind in _UNKNOWN_KEY:
        section_names()  # raises if a layer of another package has the name of a section
        return "; ".join(["unknown key", *_suggestion(location)])
    if kind == "missing" and isinstance(last, int):
        return f"has only {last} value{'s'[: last != 1]}; more are needed"
    if kind == "missing":
        return "is required, but missing"
    if kind == "tuple_type" and not location.keys:
        return f"must be an array of tables: write [[{location.section}]]"
    if kind in _NOT_A_TABLE and not location.keys and isinstance(detail["input"], list | tuple):
        return f"must be a single table: write [{location.section}]"
    if kind in _NOT_A_TABLE:
        return "must be a table with keys and values"
    message = detail["msg"].removeprefix("Value error, ")
    is_scalar = isinstance(detail["input"], str | int | float | bool)
    return f"{message} (it is {detail['input']!r})" if is_scalar and kind != MISSING_FILE else message


def _suggestion(location: _Location) -> Iterator[str]:
    """Yield a hint: the most similar key, or all valid keys."""
    name = str(location.keys[-1]) if location.keys else location.section
    settings = location.settings if len(location.keys) == 1 else location.inner
    known = list(fields_of(settings)) if settings and location.keys else section_names()
    known = [key for name in known for key in (WRITERS if name == FORMATS else [name])]
    near = difflib.get_close_matches(name or "", known, n=1)
    if near:
        yield f"did you mean {near[0]!r}?"
    elif known:
        yield f"use one of {', '.join(known)}"


def _settings_in(annotation: Any) -> type | None:
    """Return the settings class in a type such as `tuple[ClassSettings, ...] | None`."""
    if isinstance(annotation, type) and fields_of(annotation):
        return annotation
    found = (_settings_in(part) for part in get_args(annotation))
    return next((settings for settings in found if settings is not None), None)
