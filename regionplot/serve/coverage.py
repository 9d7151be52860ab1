"""Write values at a point as CoverageJSON (OGC 21-069r2): at one time or several, on one level or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regionplot.serve.catalog import ProductFacts
from regionplot.serve.ogc_request import CRS84, Position, uri_of
from regionplot.serve.parameters import is_number

_DOMAINS = {"": "Point", "t": "PointSeries", "z": "VerticalProfile", "tz": "Grid"}
"""Type of the domain by the axes besides x and y."""


def coverage(request: Position, found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return values at a point as CoverageJSON.

    Parameters
    ----------
    request : Position
        The request.
    found : mapping
        The answer of a worker: `x` and `y` in this order, whatever the CRS says, and `values`, level by level.
    """
    product, values = request.product, found["values"]
    times, levels = [fact.time for fact in request.levels[0]], [own[0].level for own in request.levels]
    shape = {"t": len(times) if all(times) else 0, "z": len(levels) if request.has_levels else 0}
    names = [name for name, size in shape.items() if size]
    axes: dict[str, Any] = {name: {"values": [found[name]]} for name in ("x", "y")}
    if shape["t"]:
        axes["t"] = {"values": times}
    if shape["z"]:
        axes["z"] = {"values": [float(level) if is_number(level) else level for level in levels]}
        values = [value for start in range(len(times)) for value in values[start :: len(times)]]
    of_axes = {"axisNames": names, "shape": [shape[name] for name in names]} if names else {}
    kind = "string" if any(isinstance(value, str) for value in values) else "float"
    array = {"type": "NdArray", "dataType": kind, **of_axes, "values": values}
    return {
        "type": "Coverage",
        "domain": {
            "type": "Domain",
            "domainType": _DOMAINS["".join(names)],
            "axes": axes,
            "referencing": _referencing(request, names),
        },
        "parameters": {product.name: described_quantity(product)},
        "ranges": {product.name: array},
    }


def _referencing(request: Position, names: list[str]) -> list[Mapping[str, Any]]:
    crs = request.drawing.point.crs
    kind = "GeographicCRS" if crs in (CRS84, "EPSG:4326") else "ProjectedCRS"
    more = {
        "t": {"type": "TemporalRS", "calendar": "Gregorian"},
        "z": {"type": "VerticalCRS", "cs": {"csAxes": [{"unit": {"symbol": request.product.level_units}}]}},
    }
    systems = [(["x", "y"], {"type": kind, "id": uri_of(crs)}), *(([name], more[name]) for name in names)]
    return [{"coordinates": coordinates, "system": system} for coordinates, system in systems]


def described_quantity(product: ProductFacts) -> Mapping[str, Any]:
    """Return the description of the quantity of a product, as in CoverageJSON."""
    found: dict[str, Any] = {
        "type": "Parameter",
        "description": {"en": product.long_name},
        "observedProperty": {"label": {"en": product.long_name}},
    }
    return found | ({"unit": {"label": {"en": product.units}, "symbol": product.units}} if product.units else {})
