"""Turn validation errors into messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from regionplot.errors import ConfigError, InputError
from regionplot.registry import WRITERS
from regionplot.settings.base import MISSING_FILE
from regionplot.settings.config import LAYER_TABLES, section_names, settings_of
from regionplot.settings.document import Document
from regionplot.settings.output import FORMATS
from regionplot.settings.plugins import fields_of

_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")


_NOT_A_TABLE = ("model_type", "dict_type", "dataclass_type")


def config_error(error: ValidationError, document: Document, tables: Mapping[str, Any]) -> ConfigError | InputError:
    """Return one error for all faults. Faults of one key become one problem.

    Parameters
    ----------
    error : ValidationError
        The faults of a config.
    document : Document
        The file that the config was read from. It knows the lines.
    tables : mapping
        The tables that were checked. They are the document's, replaced and extended by overrides.

    Returns
    -------
    ConfigError or InputError
        InputError if files are missing and nothing else is wrong.
    """
    details = error.errors(include_url=False)
    problems: dict[str, list[str]] = {}
    for detail in details:
        location = _without_collection(detail["loc"])
        messages = problems.setdefault(document.place(location), [])
        if (message := _message(detail, location, tables)) not in messages:
            messages.append(message)
    texts = [f"{place}: {' or: '.join(messages)}" for place, messages in problems.items()]
    only_missing_files = all(detail["type"] == MISSING_FILE for detail in details)
    return InputError(*texts) if only_missing_files else ConfigError(*texts)


def _without_collection(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return a location as the user knows it: a layer's name is a top-level key, a format has `[output.NAME]`."""
    if location[:2] == ("output", FORMATS) and len(location) > 2:
        return (f"output.{location[2]}", *location[3:])
    return location[1:] if location[:1] == (LAYER_TABLES,) else location


def _message(detail: ErrorDetails, location: tuple[int | str, ...], tables: Mapping[str, Any]) -> str:
    kind, last = detail["type"], location[-1] if location else ""
    if kind in _UNKNOWN_KEY:
        return "; ".join(["unknown key", *_suggestion(location, tables)])
    if kind == "missing" and isinstance(last, int):
        return f"needs a value more after its first {last}"
    if kind == "missing":
        return "is needed, but not given"
    if kind == "tuple_type" and len(location) == 1:
        return f"must be an array of tables: write [[{last}]]"
    if kind in _NOT_A_TABLE and len(location) == 1 and isinstance(detail["input"], list | tuple):
        return f"must be a single table: write [{last}]"
    if kind in _NOT_A_TABLE:
        return "must be a table with keys and values"
    message = detail["msg"].removeprefix("Value error, ")
    is_scalar = isinstance(detail["input"], str | int | float | bool)
    return f"{message} (it is {detail['input']!r})" if is_scalar and kind != MISSING_FILE else message


def _suggestion(location: tuple[int | str, ...], tables: Mapping[str, Any]) -> Iterator[str]:
    known = _known_keys(location, tables)
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    if near:
        yield f"did you mean {near[0]!r}?"
    elif known:
        yield f"the keys are {', '.join(known)}"


def _known_keys(location: tuple[int | str, ...], tables: Mapping[str, Any]) -> list[str]:
    """Return the keys that the table around a location may have."""
    section, *keys = location
    if not keys:
        return section_names()
    table: Any = tables.get(str(section))
    settings = settings_of(str(section), table[keys[0]] if isinstance(keys[0], int) else table)
    for key in keys[:-1]:
        if isinstance(key, str) and settings is not None:
            field = fields_of(settings).get(key)
            settings = None if field is None else _settings_in(field.annotation)
    known = list(fields_of(settings)) if settings is not None else []
    return [name for key in known for name in (WRITERS if key == FORMATS else (key,))]


def _settings_in(annotation: Any) -> type | None:
    """Return the settings class that a type, such as `tuple[ClassSettings, ...] | None`, consists of."""
    if isinstance(annotation, type) and fields_of(annotation):
        return annotation
    found = (_settings_in(part) for part in get_args(annotation))
    return next((settings for settings in found if settings is not None), None)
