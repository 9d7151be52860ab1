"""Every key of every table rejects values of wrong types with a clear message."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

import pytest

from regionplot.errors import ConfigError, InputError
from regionplot.registry import LAYERS, STEPS, WRITERS
from regionplot.settings.config import Config, section_names, settings_of
from regionplot.settings.loading import read_config
from regionplot.settings.plugins import fields_of, layer_settings

VALUES = (
    "", "banana", "12", 12, -1, 1.5, float("nan"), float("inf"), 10**400, True, [], ["a", "b"], [1, "a"], [[]], {},
    {"a": 1}, datetime.date(2026, 1, 1), "x" * 5000, "{", "\0", "https://example.org/a.tif",
)  # fmt: skip
PYTHON_WORDS = re.compile(r"Input should|valid tuple|instance of|isinstance|dict\b|Traceback|pydantic|NoneType|\n")


def tables() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each key of each table, with the tables that set it to `...`."""
    for name in set(section_names()) - {"prepare"}:
        is_array = name in LAYERS and layer_settings(name).is_array
        for key in set(fields_of(settings_of(name, {}) or Config)) - {"formats"}:
            table: dict[str, Any] = {key: ...}
            yield f"{name}.{key}", {name: [{"path": "sample:states", **table}] if is_array else table}
    for name in WRITERS:
        for key in fields_of(WRITERS[name].Settings):
            yield f"output.{name}.{key}", {"output": {name: {key: ...}}}
    for step in STEPS:
        for key in set(fields_of(STEPS[step])) - {"step"}:
            yield f"prepare.{step}.{key}", {"prepare": [{"step": step, key: ...}]}


def filled(part: Any, value: object) -> Any:
    """Return tables with a value instead of `...`."""
    if part is ...:
        return value
    if isinstance(part, dict):
        return {key: filled(item, value) for key, item in part.items()}
    return [filled(item, value) for item in part] if isinstance(part, list) else part


CASES = dict(sorted(tables()))


@pytest.mark.parametrize("key", CASES)
def test_wrong_values_give_short_lines_in_plain_words(key: str) -> None:
    for value in VALUES:
        sections = filled(CASES[key], value)
        raster = {"path": "sample:relief", **sections.get("raster", {})}
        try:
            read_config({**sections, "raster": raster})
        except (ConfigError, InputError) as error:
            for problem in error.problems:
                assert not PYTHON_WORDS.search(problem.message), f"{value!r}: {problem}"
                assert len(str(problem)) < 600 or len(str(value)) > 4000, str(problem)
                assert problem.place.section, str(problem)
