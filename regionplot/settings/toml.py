"""Parse TOML. Report errors with their line and a hint."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from regionplot.errors import ConfigError, Place, Problem

_MAX_PARTS = 32
"""Maximum number of parts of a dotted key. The time of `tomllib` grows with the square of this number."""
_MAX_TABLES = 100
"""Maximum number of distinct tables, including tables of plug-ins."""
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*+{_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_MAX_PARTS}}}", re.MULTILINE)
"""A key with too many parts. With possessive quantifiers, the time of the search is proportional to the length of the
text.
"""
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")
_HINTS = (
    (r"", r"[“”‘’]", 'write straight quotes: "..."'),
    (r"escape|Unescaped|hex value", r"\\", "in a path, write / instead of \\, or put the path in single quotes"),
    (r"Invalid value", r"=\s*(True|False|TRUE|FALSE|yes|no|on|off)\b", "write true or false"),
    (r"Invalid value", r"=\s*(None|null|nil)\b", "leave the key out if it has no value"),
    (r"Invalid value", r"=\s*(#|$)", "the value is missing"),
    (r"Invalid value", r"=\s*[+-]?\.\d", "write a digit before the decimal point: 0.5"),
    (r"Invalid value", r"=\s*[A-Za-z~./#{]", 'put text in quotes: "..."'),
    (r"Expected newline", r"=\s*[+-]?\d+,\d", "write a decimal point, not a comma"),
    (r"Expected newline", r"=\s*[+-]?\d+\s*[A-Za-z%°]", "write the number without a unit"),
    (r"Expected newline|Expected '='", r"^[^=]*:", "write key = value"),
    (r"Expected '='", r"", "write key = value"),
    (r"Illegal character '\\n'|Unterminated|end of document", r"[\"']", "close the quote on the same line"),
    (r"Unclosed array", r"", "separate the values with commas, and close the list with ]"),
    (r"Unclosed inline table", r"", "write an inline table on one line, and close it with }"),
    (r"Cannot overwrite a value", r"", "the key is given twice; remove one of the two"),
    (r"Cannot (declare|mutate)|twice|Cannot redefine", r"", "the table is given twice; merge the two tables"),
)
"""Pattern of an error of `tomllib`, pattern of the faulty line, and hint."""


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Return the tables of a TOML document.

    Raises
    ------
    ConfigError
        If the text is not TOML, or has a key with too many parts.
    """
    if long := _LONG_KEY.search(text):
        line = text.count("\n", 0, long.start()) + 1
        raise ConfigError(
            Problem(
                f"not valid TOML: a key has more than {_MAX_PARTS} parts (line {line})", Place(file=name, line=line)
            )
        )
    if text.lstrip()[:1] == "{":
        raise ConfigError(f"{name}: not valid TOML: this is JSON; write [table] and key = value")
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number with thousands of digits raises ValueError
        raise ConfigError(_explain(str(error), text, name)) from None
    if len(tables) > _MAX_TABLES:
        raise ConfigError(f"{name}: the file has more than {_MAX_TABLES} tables; is it a settings file?")
    return tables


def _explain(message: str, text: str, name: str) -> Problem:
    """Return an error of `tomllib` with its line and a hint."""
    at = _AT.search(message)
    lines = text.split("\n")
    number = None if at is None else int(at[1]) if at[1] else len(text.rstrip().split("\n"))
    line = "" if number is None or number > len(lines) else lines[number - 1]
    reason = message.splitlines()[0][:200] if number is None else _AT.sub(f" (line {number})", message)
    hint = next((hint for error, found, hint in _HINTS if re.search(error, message) and re.search(found, line)), "")
    return Problem("; ".join(filter(None, (f"not valid TOML: {reason}", hint))), Place(file=name, line=number))
