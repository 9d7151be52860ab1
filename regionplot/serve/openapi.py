"""The OpenAPI document of the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regionplot.serve.catalog import FORMATS, Catalog
from regionplot.serve.tile_sets import CODES

_IMAGE = {"description": "the image", "content": {media: {} for media in FORMATS.values()}}
_TEXT = {"type": "string"}
_OF_MAPS = {
    "bbox": ("four numbers: the limits of the map", _TEXT),
    "bbox-crs": ("CRS of bbox; default: OGC:CRS84", _TEXT),
    "crs": ("CRS of the map; default: the CRS of bbox", _TEXT),
    "width": ("width in pixels", {"type": "integer", "minimum": 1}),
    "height": ("height in pixels", {"type": "integer", "minimum": 1}),
    "mm-per-pixel": ("size of a pixel of the screen, which sets the size of lines and text", {"type": "number"}),
}
_OF_IMAGES = {
    "datetime": ("time in ISO format; of a range such as 2026-03-10T00:00:00Z/.., the newest time", _TEXT),
    "level": ("level, such as 500; default: the first level of the collection", _TEXT),
    "transparent": ("whether pixels without data are transparent", {"type": "boolean"}),
    "bgcolor": ("color under opaque images, such as 0xFFFFFF", _TEXT),
    "f": ("format of the image", {"type": "string", "enum": list(FORMATS), "default": "png"}),
}
_OF_POINTS = {
    "coords": ("the point, such as POINT(-105 40)", _TEXT),
    "datetime": ("a time or a range; default: all times", _TEXT),
    "z": ("level, list of levels or range such as 500/850; default: the first level of the collection", _TEXT),
    "crs": ("CRS of the point; default: OGC:CRS84", _TEXT),
}


def openapi(catalog: Catalog, version: str, root_path: str) -> Mapping[str, Any]:
    """Return the OpenAPI 3.0 document of the addresses below `/ogc`.

    Parameters
    ----------
    catalog : Catalog
        The catalog, which names the collections.
    version : str
        Version of the package.
    root_path : str
        Path of the service.
    """
    name = _in_path("name", "name of the collection", list(catalog.products))
    matrices = _in_path("matrices", "name of the tile matrix set", list(CODES))
    place = [_in_path(each, f"{each} of the tile") for each in ("matrix", "row", "column")]
    collection, tiles = "/collections/{name}", "/collections/{name}/map/tiles"
    return {
        "openapi": "3.0.3",
        "info": {"title": catalog.settings.title, "version": version},
        "servers": [{"url": f"{root_path}/ogc"}],
        "paths": {
            "/": _get("the landing page"),
            "/conformance": _get("the conformance classes"),
            "/tileMatrixSets": _get("the tile matrix sets"),
            "/tileMatrixSets/{matrices}": _get("a tile matrix set", [matrices]),
            "/collections": _get("all collections"),
            collection: _get("one collection", [name]),
            f"{collection}/map": _get("a map", [name, *_in_query(_OF_MAPS), *_in_query(_OF_IMAGES)], _IMAGE),
            f"{collection}/styles": _get("the styles", [name]),
            f"{collection}/position": _get(
                "the values at a point as CoverageJSON", [name, *_in_query(_OF_POINTS, required=("coords",))]
            ),
            tiles: _get("the tile sets", [name]),
            f"{tiles}/{{matrices}}": _get("a tile set", [name, matrices]),
            f"{tiles}/{{matrices}}/{{matrix}}/{{row}}/{{column}}": _get(
                "a tile", [name, matrices, *place, *_in_query(_OF_IMAGES)], _IMAGE
            ),
        },
    }


def _get(
    summary: str, parameters: list[dict[str, Any]] | None = None, answer: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    found = answer or {"description": summary, "content": {"application/json": {}}}
    responses = {"200": found, "400": {"description": "a parameter is not valid"}, "404": {"description": "not found"}}
    return {"get": {"summary": summary, "parameters": parameters or [], "responses": responses}}


def _in_path(name: str, description: str, names: list[str] | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"} | ({"enum": names} if names else {})
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _in_query(entries: Mapping[str, tuple[str, Any]], required: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": name in required, "description": description, "schema": schema}
        for name, (description, schema) in entries.items()
    ]
