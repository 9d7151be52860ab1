"""Check conditions in SQL that select the features of a vector file."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from regionplot.settings.base import Text

_QUOTED = r"""'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]"""
_UNCLOSED = r"""['"`\[].*"""
_PART = re.compile(rf"{_QUOTED}|{_UNCLOSED}|(?P<end>;|--|/\*|\0)", re.DOTALL)


def _check_one_condition(text: str) -> str:
    """Return a text unchanged if it has no separator of statements and no comment outside of quotes.

    SQLite ignores the text after them. Therefore, GeoPackage files would select other features without an error.
    """
    for part in _PART.finditer(text):
        if end := part["end"]:
            raise ValueError(
                f"{end!r} ends the condition, and SQL ignores the text after it; "
                "remove it, or put the value or the name that contains it in quotes"
            )
    return text


SqlCondition = Annotated[Text, AfterValidator(_check_one_condition)]
"""Condition in the SQL of GDAL, without comments and further statements. Empty: no condition."""
