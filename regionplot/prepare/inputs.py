"""An input of `[[prepare]]` steps."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from regionplot.errors import InputError
from regionplot.settings.loading import read_config
from regionplot.settings.raster import RasterSettings


@dataclass(frozen=True)
class Input:
    """A raster, and what expressions call it."""

    name: str
    settings: RasterSettings

    @classmethod
    def parse(cls, text: str | Path) -> Input:
        """From `PATH` or `NAME=PATH`; else the file's stem is the name, with `_` for what a name cannot hold.

        Raises
        ------
        InputError
            If there is no such file.
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
