"""Projections that are centered on one region. Each map can have its own projection, so they must be cheap.

PROJ takes about 0.1 s to find the best transformation between two arbitrary CRSs. A centered projection has the datum
WGS 84, so its transformation to longitude and latitude is only a formula. Transformations to other CRSs go through
longitude and latitude.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pyproj
from pyproj.enums import TransformDirection
from typing_extensions import override

_INVERSE = TransformDirection.INVERSE


class CenteredCRS(pyproj.CRS):
    """CRS of a map that is centered on its region. The definition is a PROJ string with the datum WGS 84."""

    @property
    @override
    def geodetic_crs(self) -> pyproj.CRS:
        """CRS of longitude and latitude (WGS 84)."""
        return pyproj.CRS.from_epsg(4326)

    @override
    def __eq__(self, other: object) -> bool:
        return self.srs == other.srs if isinstance(other, CenteredCRS) else NotImplemented

    @override
    def __hash__(self) -> int:
        """Return the hash of the definition. Caches call it many times, and the hash of other CRSs takes 0.1 ms."""
        return hash(self.srs)


@lru_cache(maxsize=256)
def centered_crs(definition: str) -> CenteredCRS:
    """Return the CRS for a PROJ string, from a cache.

    Parameters
    ----------
    definition : str
        Projection with its parameters, in meters, such as `+proj=lcc +lat_1=38 +lat_2=40 +lat_0=39 +lon_0=-105`.
    """
    return CenteredCRS(f"{definition} +datum=WGS84 +units=m +no_defs +type=crs")


_DEFINITION = re.compile(
    r"\+proj=laea \+lat_0=-?[\d.]{1,20} \+lon_0=-?[\d.]{1,20} \+datum=WGS84 \+units=m \+no_defs \+type=crs", re.ASCII
)


def parse_centered(text: str) -> CenteredCRS | None:
    """Return the CRS for a definition of a box around a point (`geo.boxes`). Return None for any other text."""
    return centered_crs(text.partition(" +datum")[0]) if _DEFINITION.fullmatch(text) else None


class CenteredTransformer:
    """Transformer between two CRSs, of which at least one is centered. It leads through longitude and latitude.

    Parameters
    ----------
    source, target : pyproj.CRS
        The two CRSs.
    lonlat : pyproj.CRS
        CRS of longitude and latitude (WGS 84).
    between : callable
        Function that returns the transformer between two CRSs of which none is centered.
    """

    def __init__(
        self, source: pyproj.CRS, target: pyproj.CRS, lonlat: pyproj.CRS, between: Callable[..., pyproj.Transformer]
    ) -> None:
        first = (_formula(source), _INVERSE) if isinstance(source, CenteredCRS) else (between(source, lonlat), None)
        last = (_formula(target), None) if isinstance(target, CenteredCRS) else (between(lonlat, target), None)
        self._steps = tuple((step, direction is _INVERSE) for step, direction in (first, last))

    def transform(self, x: Any, y: Any, direction: TransformDirection = TransformDirection.FORWARD) -> tuple[Any, Any]:
        """Return transformed coordinates, as `pyproj.Transformer.transform` does."""
        is_back = TransformDirection(direction) is _INVERSE
        for step, is_inverse in reversed(self._steps) if is_back else self._steps:
            x, y = step.transform(x, y, direction=_INVERSE if is_inverse != is_back else TransformDirection.FORWARD)
        return x, y


@lru_cache(maxsize=256)
def _formula(crs: CenteredCRS) -> pyproj.Transformer:
    """Return the transformer from longitude and latitude in degrees to a centered CRS."""
    definition = crs.srs.replace("+no_defs", "").replace("+type=crs", "")
    return pyproj.Transformer.from_pipeline(
        f"+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step {definition}"
    )
