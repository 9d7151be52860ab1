"""Parse the inputs of raster steps."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from regionplot.errors import InputError
from regionplot.settings.loading import read_config
from regionplot.settings.raster import RasterSettings


class Bands(Enum):
    """Bands of an input to read."""

    ALL = "all"
    SELECTED = "selected"
    """The band that `[raster] band` selects."""


@dataclass(frozen=True)
class Input:
    """A raster and its name in expressions."""

    name: str
    settings: RasterSettings

    @classmethod
    def parse(cls, text: str | Path) -> Input:
        """Return the input for `PATH` or `NAME=PATH`.

        Without `NAME=`, the stem of the file is the name. Characters that are not allowed in names become `_`.

        Raises
        ------
        InputError
            If the file does not exist.
        """
        name, equals, path = str(text).partition("=")
        if not (equals and re.fullmatch(r"[A-Za-z]\w*", name)) or Path(text).exists():
            name, path = "", str(text)
        try:
            settings = read_config({"raster": {"path": path}}).raster
        except InputError as error:
            raise InputError(*(problem.message for problem in error.problems)) from None
        stem = re.sub(r"\W|_+", "_", Path(path).stem, flags=re.ASCII).strip("_")
        return cls(name or (stem if stem[:1].isalpha() and not keyword.iskeyword(stem) else f"in_{stem}"), settings)
