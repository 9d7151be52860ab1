"""Parse the numbers in cells, and suggest how to write a cell that is not a number."""

from __future__ import annotations

import math
import re
from functools import lru_cache

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_THOUSANDS = re.compile(r"([+-]?)(\d{1,3})(?:([ ',.])\d{3})(?:\3\d{3})*(?:[.,]\d+)?", re.ASCII)
_ANGLE = re.compile(
    r"[NSEW]?\s*[+-]?[\d.]+([\s°º'′’\"″”:dms-]+[\d.]+){0,2}\s*[°º'′’\"″”ms]*\s*[NSEW]?", re.ASCII | re.I
)
_LOOKALIKES = str.maketrans({"−": "-", "–": "-", "‐": "-", "‑": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "})
"""Characters that word processors and spreadsheets write instead of a minus sign or a space."""
_LONGEST = 60
"""Maximum length, in characters, of a text for which a suggestion is made."""


@lru_cache(maxsize=1000)  # limits are often repeated, and equal limits then share one number
def parse_number(text: str, decimal: str = ".") -> float:
    """Convert a text to a number. Return NaN if the text is not a number in plain notation.

    Parameters
    ----------
    text : str
        Text of a cell.
    decimal : str
        Decimal mark: `.`, or `,` if a comma is also accepted.

    Examples
    --------
    >>> parse_number("-104.5"), parse_number("-104,5", decimal=",")
    (-104.5, -104.5)
    """
    if decimal == "," and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def is_ambiguous(text: str) -> bool:
    """Return True if a comma can be a decimal comma or a thousands separator, as in `500,000`."""
    return re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text, re.ASCII) is not None


def how_to_write(text: str) -> str:
    """Return a hint for a text that is not a number in plain notation.

    Examples
    --------
    >>> how_to_write("104°30'W")
    'write decimal degrees: -104.5'
    >>> how_to_write("1 234 567")
    'write the number without thousands separators: 1234567'
    """
    plain = text.translate(_LOOKALIKES).strip()
    if not plain or len(plain) > _LONGEST:
        return "write it like -104.5"
    if _NUMBER.fullmatch(text):
        return "the number is too large"
    if _NUMBER.fullmatch(plain):
        return f"it contains a character that only looks like a minus sign or a space; write {plain}"
    if (degrees := _degrees(plain)) is not None:
        return f"write decimal degrees: {degrees:.7g}"
    if is_ambiguous(plain):
        return f"write {plain.replace(',', '')} or {plain.replace(',', '.')}"
    if _THOUSANDS.fullmatch(plain) and not _DECIMAL_COMMA.fullmatch(plain):
        return f"write the number without thousands separators: {_without_separators(plain)}"
    if _DECIMAL_COMMA.fullmatch(plain):
        return f"write a decimal point: {plain.replace(',', '.')}"
    return "write it like -104.5"


def _degrees(text: str) -> float | None:
    """Return the decimal degrees of an angle with a sign, marks or a letter, such as `104°30'W`."""
    if not _ANGLE.fullmatch(text) or not re.search(r"[NSEW°º:′″]", text, re.I):
        return None
    parts = re.findall(r"\d+\.?\d*|\.\d+", text)
    if len(parts) > 3 or any(float(part) >= 60 for part in parts[1:]):
        return None
    size: float = sum(float(part) / 60.0**power for power, part in enumerate(parts))
    is_negative = text.lstrip("NSEWnsew ").startswith("-") or re.search(r"[SW]", text, re.I) is not None
    return -size if is_negative else size


def _without_separators(text: str) -> str:
    """Return a number without its thousands separators and with a decimal point."""
    whole, mark, fraction = text, "", ""
    if (
        (last := re.search(r"[.,](?=\d+$)", text))
        and text.count(last[0]) == 1
        and re.search(r"[ ',.]", text[: last.start()])
    ):
        whole, mark, fraction = text[: last.start()], ".", text[last.end() :]
    return re.sub(r"[ ',.]", "", whole) + mark + fraction
