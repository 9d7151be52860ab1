"""Building blocks of settings: sections, and types of fields for text, templates and input files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError, to_jsonable_python

from regionplot import sample
from regionplot.system.files import exists
from regionplot.text import fields_of, one_line, path_hint, without_secrets

MAX_TEXT = 2_000
"""Maximum number of characters in a text of the settings."""
MISSING_FILE = "missing_file"
"""Type of the validation errors for missing files. If there are no other errors, they are raised as an `InputError`."""


def find_input(value: object) -> object:
    """Return the path of an input file, given as a path or as `sample:NAME`. Other values are returned unchanged.

    Raises
    ------
    PydanticCustomError
        If there is no such file.
    """
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if not text:
        raise PydanticCustomError("empty_path", "is empty; give the path of a file")
    try:
        path = sample.locate(text[len(sample.PREFIX) :]) if text.startswith(sample.PREFIX) else Path(text)
    except FileNotFoundError as error:
        raise PydanticCustomError(MISSING_FILE, "{problem}", {"problem": one_line(str(error))}) from None
    if not exists(path) and (hint := path_hint(text)):
        raise PydanticCustomError(
            MISSING_FILE, "there is no file {path}; {hint}", {"path": one_line(without_secrets(text)), "hint": hint}
        )
    if not exists(path):
        raise PydanticCustomError(MISSING_FILE, "there is no file {path}", {"path": one_line(str(path))})
    return path


Text = Annotated[str, Field(max_length=MAX_TEXT)]
InputPath = Annotated[Path, BeforeValidator(find_input)]
"""Path of an existing file, or `sample:NAME`."""


class Section(BaseModel):
    """Settings of one table. They are frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True, defer_build=True)


class LayerSettings(Section):
    """Settings of one layer. The name of the layer in the registry is the key of its table."""

    is_array: ClassVar[bool] = False
    """True if the key is an array of tables, such as `[[features]]`. False if it is a single table."""
    has_lines: ClassVar[bool] = True
    """True if the layer draws lines in its colors. `regionplot check` reports lines that do not stand out."""
    show: bool = True
    """False: the layer is not drawn. It turns off a layer of the style."""


IS_COLOR = "color"
"""Marker of fields that hold a color. `colors.check` reports colors that do not exist."""
Color = Annotated[Text, IS_COLOR]
"""Any matplotlib color, or `none`."""


def _check_template(text: str) -> str:
    fields_of(text)
    return text


Template = Annotated[Text, AfterValidator(_check_template)]
"""Text with `{field}` or `{field:format}`."""


@dataclass(frozen=True, slots=True)
class NotInDigest:
    """Marker of a field that changes no pixel, as in `Annotated[int, NOT_IN_DIGEST]`.

    All other fields are part of the digests of maps. If a marker is forgotten, maps are drawn again without need. With
    the opposite rule, a forgotten marker would keep outdated maps.
    """


NOT_IN_DIGEST = NotInDigest()


def digest_items(value: object) -> Any:
    """Return settings as plain data, without the fields that are marked `NOT_IN_DIGEST`.

    Parameters
    ----------
    value : object
        A section, a list or dict of sections, or a value of a section.

    Examples
    --------
    >>> class Example(Section):
    ...     width: int = 3
    ...     workers: Annotated[int, NOT_IN_DIGEST] = 2
    >>> digest_items(Example())
    {'width': 3}
    """
    if isinstance(value, BaseModel):
        fields = {
            name: digest_items(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if NOT_IN_DIGEST not in field.metadata
        }
        return {name: items for name, items in fields.items() if items != {}}
    if isinstance(value, Mapping):
        return {str(key): digest_items(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [digest_items(item) for item in value]
    return to_jsonable_python(value, fallback=repr)
