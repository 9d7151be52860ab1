"""Make settings for `regionplot serve FILE` and `regionplot serve FOLDER`: each variable becomes a product."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regionplot.cli.file_facts import Facts, file_facts
from regionplot.errors import ConfigError, RegionplotError

logger = logging.getLogger(__name__)
_MAX_FILES = 500
_MAX_PRODUCTS = 200
_MAX_NAME = 50
_SIDECARS = (".aux.xml", ".ovr", ".msk", ".idx", ".prj", ".tfw", ".toml", ".csv", ".txt", ".md", ".json")
_LINES = [{"path": "sample:countries", "kind": "coast"}, {"path": "sample:states", "kind": "states"}]
"""Layers over the rasters."""
_STYLE = "atlas"
Tables = dict[str, Any]


def served_tables(path: Path) -> Tables:
    """Return the tables of settings that draw each variable of a file, or of all files in a folder.

    Raises
    ------
    ConfigError
        If there is nothing to draw.
    RasterError
        If the only file cannot be read.
    """
    products: dict[str, Tables] = {}
    for facts in _rasters(path):
        for quantity in facts["quantities"]:
            if "grid" in quantity and not quantity["problem"] and len(products) < _MAX_PRODUCTS:
                products[_name(facts, quantity, products)] = _product(facts, quantity)
    if not products:
        raise ConfigError(f"{path}: there is no raster that can be drawn; `regionplot info` says why")
    first = next(iter(products.values()))
    return {"raster": first["raster"], "map": {"style": _STYLE}, "features": _LINES, "products": products}


def _rasters(path: Path) -> Iterator[Facts]:
    """Yield the facts of the rasters in a folder, or of one raster. Files that are no rasters are left out."""
    if not path.is_dir():
        yield file_facts(path.absolute())
        return
    for file in sorted(path.iterdir())[:_MAX_FILES]:
        if file.name.startswith(".") or not file.is_file() or file.name.lower().endswith(_SIDECARS):
            continue
        try:
            facts = file_facts(file.absolute())
        except RegionplotError as error:
            logger.warning("left out: %s", error)
            continue
        if facts["kind"] == "raster":
            yield facts


def _name(facts: Facts, quantity: Mapping[str, Any], taken: Mapping[str, object]) -> str:
    """Return a unique name for the product of a quantity."""
    stem = Path(facts["path"]).stem
    text = f"{stem} {quantity['name']}" if len(facts["quantities"]) > 1 else stem
    name = re.sub(r"[^\w.-]+", "_", text, flags=re.ASCII).strip("._-")[:_MAX_NAME] or "raster"
    number = sum(1 for other in taken if other == name or other.rpartition("-")[0] == name)
    return f"{name}-{number + 1}" if number else name


def _product(facts: Facts, quantity: Mapping[str, Any]) -> Tables:
    times = {"time": "all"} if len(quantity["times"]) > 1 else {}
    times |= {"levels": "all"} if "level" in quantity["select"] else {}
    colors = quantity.get("colors", {"keys": {}})["keys"]
    return {"raster": {"path": facts["path"], **quantity["select"], **times}, "colors": dict(colors)}
