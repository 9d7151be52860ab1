"""The `[regions]` section."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from regionplot.settings.base import NOT_IN_DIGEST, InputPath, Section, Text
from regionplot.settings.sql import SqlCondition

_MARGIN = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+)\s*(?P<unit>%|km)")
_MAX_PERCENT, _MAX_KILOMETERS = 1000.0, 20_000.0


def parse_margin(text: str) -> tuple[float, str]:
    """Return the number and the unit of a margin: `%` or `km`.

    Raises
    ------
    ValueError
        If the text is not a margin, or the margin is too large.

    Examples
    --------
    >>> parse_margin("10%")
    (10.0, '%')
    """
    found = _MARGIN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a margin; write a percentage such as '10%', or a distance such as '25 km'")
    number, unit = float(found["number"]), found["unit"]
    limit = _MAX_PERCENT if unit == "%" else _MAX_KILOMETERS
    if number > limit:
        raise ValueError(f"{text!r} is too large; the largest margin is {limit:g} {unit}")
    return number, unit


def _check_margin(text: str) -> str:
    parse_margin(text)
    return text


class RegionSettings(Section):
    """How the table of regions is read."""

    margin: Annotated[Text, AfterValidator(_check_margin), NOT_IN_DIGEST] = "0%"
    """Space to add on each side of a region: a percentage of the longer side, or a distance such as `25 km`."""
    clip: Annotated[Literal["none", "fade", "polygon"], NOT_IN_DIGEST] = "none"
    """Area outside of a feature, and of a geometry in the table: `fade` fades it, `polygon` hides it, and both draw the
    border of the feature. `[focus]` has the details."""
    tracks: Annotated[dict[str, InputPath], NOT_IN_DIGEST] = Field(default_factory=dict)
    """Files of tracks by name, such as `{ milton = "milton.csv" }`. A file has the columns time, lon and lat, or points
    with a time. The column `track` of the table names the track with which a region moves."""
    name_field: Annotated[Text, NOT_IN_DIGEST] = "name"
    """Column of the table, or attribute of the vector file, that holds the names of the regions."""
    layer: Annotated[Text, NOT_IN_DIGEST] = ""
    """Layer of a vector file whose features are the regions. By default, the first layer."""
    where: Annotated[SqlCondition, NOT_IN_DIGEST] = ""
    """Condition in SQL for the features of a vector file, such as `pop > 1000 AND state = 'CO'`. By default, all
    features are regions."""
