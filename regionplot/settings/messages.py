"""Turn validation errors into messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from regionplot.errors import ConfigError, InputError
from regionplot.registry import WRITERS
from regionplot.settings import steps
from regionplot.settings.base import MISSING_FILE
from regionplot.settings.colors import ClassSettings
from regionplot.settings.config import Config
from regionplot.settings.document import Document
from regionplot.settings.output import FORMATS, OutputSettings
from regionplot.settings.vector import FeatureSettings

_LISTS = ("features", "prepare")


def config_error(error: ValidationError, document: Document) -> ConfigError | InputError:
    """All faults, those of one key together; missing files alone are a missing input, not a bad config."""
    details = error.errors(include_url=False)
    problems: dict[str, list[str]] = {}
    for detail in details:
        messages = problems.setdefault(document.place(detail["loc"]), [])
        if (message := _message(detail)) not in messages:
            messages.append(message)
    texts = [f"{place}: {' or: '.join(messages)}" for place, messages in problems.items()]
    only_missing_files = all(detail["type"] == MISSING_FILE for detail in details)
    return InputError(*texts) if only_missing_files else ConfigError(*texts)


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return "; ".join(["unknown key", *_suggestion(detail["loc"])])
    if detail["type"] == "missing" and isinstance(detail["loc"][-1], int) and detail["loc"][0] not in _LISTS:
        return f"needs a value more after its first {detail['loc'][-1]}"
    if detail["type"] == "union_tag_not_found":
        return f"needs a step = one of {', '.join(steps.KINDS)}"
    if detail["type"] == "union_tag_invalid":
        return f"there is no step {detail['ctx']['tag']!r}; there are: {', '.join(steps.KINDS)}"
    if detail["type"] == "missing":
        return "is needed, but not given"
    message = detail["msg"].removeprefix("Value error, ")
    is_scalar = isinstance(detail["input"], str | int | float | bool)
    return f"{message} (it is {detail['input']!r})" if is_scalar and detail["type"] != MISSING_FILE else message


def _suggestion(location: tuple[int | str, ...]) -> Iterator[str]:
    known = list(Config.model_fields)
    if location[0] == "prepare" and len(location) > 2:
        known = list(steps.known_keys(location[2]))
    elif location[:2] == ("colors", "classes"):
        known = list(ClassSettings.model_fields)
    elif location[:2] == ("output", FORMATS):
        known = list(WRITERS[str(location[2])].Settings.model_fields)
    elif location[0] == "output":
        known = [*(key for key in OutputSettings.model_fields if key != FORMATS), *WRITERS]
    elif len(location) > 1:
        annotation = Config.model_fields[str(location[0])].annotation
        section = FeatureSettings if location[0] == "features" else annotation
        known = list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    if near:
        yield f"did you mean {near[0]!r}?"
    elif known:
        yield f"the keys are {', '.join(known)}"
