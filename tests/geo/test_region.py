"""Region and Extent refuse values of a wrong type with errors that name the field."""

from __future__ import annotations

from typing import Any

import pytest

from regionplot.errors import RegionError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region

HERE = Extent(-100, -90, 30, 40)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"extent": None}, "extent"),
        ({"extent": (-100, -90, 30, 40)}, "extent"),
        ({"crs": 5070}, "CRS"),
        ({"title": 5}, "title"),
        ({"attributes": None}, "attributes"),
    ],
)
def test_a_field_of_a_wrong_type_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(RegionError, match=named):
        Region(**{"name": "a", "extent": HERE, **fields})


@pytest.mark.parametrize("edge", ["1", None, [1], 1j])
def test_an_edge_that_is_not_a_number_is_refused(edge: Any) -> None:
    with pytest.raises(RegionError, match="edges"):
        Extent(-100, edge, 30, 40)
