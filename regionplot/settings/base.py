"""Building blocks of settings: text, paths of existing files, and sections that know their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from regionplot import sample
from regionplot.text import fields_of

MAX_TEXT = 2_000


MISSING_FILE = "missing_file"


def existing(value: object) -> object:
    """The path of an input: `sample:NAME`, or a file that is there."""
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    try:
        path = sample.locate(text[len(sample.PREFIX) :]) if text.startswith(sample.PREFIX) else Path(text)
    except FileNotFoundError as error:
        raise PydanticCustomError(MISSING_FILE, "{problem}", {"problem": str(error)}) from None
    if not path.exists():
        raise PydanticCustomError(MISSING_FILE, "there is no file {path}", {"path": str(path)})
    return path


Text = Annotated[str, Field(max_length=MAX_TEXT)]


InputPath = Annotated[Path, BeforeValidator(existing)]


class Section(BaseModel):
    """Settings of one kind: frozen, and of known keys only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class LayerSettings(Section):
    """Settings of one layer. The name of the layer in the registry is the key of its table."""

    is_array: ClassVar[bool] = False
    """True if the key is an array of tables, such as `[[features]]`. False if it is a single table."""


IS_COLOR = "color"
"""Mark of fields that hold a color. `colors.check` finds colors that do not exist."""


Color = Annotated[Text, IS_COLOR]
"""Any matplotlib color, or `none`."""


def _check_template(text: str) -> str:
    fields_of(text)
    return text


Template = Annotated[Text, AfterValidator(_check_template)]
