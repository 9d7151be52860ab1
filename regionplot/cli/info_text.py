"""Arrange facts about a file as lines for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from regionplot.cli.file_facts import Facts
from regionplot.text import plain_text

_WIDTH = 80
_MAX_LISTED = 8
_MAX_QUANTITIES = 60
_KEY = 10
"""Width of the column of keys."""
_UNITS = ((2**30, "GB"), (2**20, "MB"), (2**10, "kB"))


def info_lines(facts: Facts) -> Iterator[tuple[str, bool]]:
    """Yield the lines of text about a file, and True for headings."""
    yield plain_text(facts["path"], 300), True
    yield from ((line, False) for line in _entry("format", f"{facts['format']}, {bytes_text(facts['size'])}"))
    yield from _vector_lines(facts) if facts["kind"] == "vector" else _raster_lines(facts)


def _raster_lines(facts: Facts) -> Iterator[tuple[str, bool]]:
    quantities: Sequence[Mapping[str, Any]] = facts["quantities"]
    grids = [each["grid"] for each in quantities if "grid" in each]
    is_shared = bool(grids) and all(grid == grids[0] for grid in grids)
    if is_shared:
        yield from ((line, False) for line in _grid_lines(grids[0]))
    for each in quantities[:_MAX_QUANTITIES]:
        yield "", False
        yield _heading(each), True
        yield from ((line, False) for line in _quantity_lines(each, grids if is_shared else []))
    hidden = facts["omitted"] + max(0, len(quantities) - _MAX_QUANTITIES)
    if hidden:
        yield "", False
        yield f"{hidden} more variables; --json lists the first 200", False


def _heading(quantity: Mapping[str, Any]) -> str:
    name, long_name, units = quantity["name"], quantity.get("long_name", ""), quantity.get("units", "")
    title = long_name if long_name and long_name != name else ""
    names = ": ".join(plain_text(each) for each in (name, title) if each)
    text = " ".join(filter(None, (names, f"({units})" if units else ""))) or "the only band"
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 4]} ..."


def _quantity_lines(quantity: Mapping[str, Any], shown: Sequence[Any]) -> Iterator[str]:
    if quantity["problem"]:
        yield from _entry("problem", quantity["problem"])
    if "grid" not in quantity:
        return
    if not shown:
        yield from _grid_lines(quantity["grid"])
    yield from _entry("standard", quantity["standard_name"])
    yield from _entry("bands", str(quantity["bands"]) if quantity["bands"] > 1 else "")
    for key in ("levels", "members", "times"):
        yield from _entry(key, _listed([_time(each) if key == "times" else str(each) for each in quantity[key]]))
    yield from _entry("cells", _cells(quantity))
    yield from _entry("overviews", ", ".join(map(str, quantity["overviews"])))
    if sample := quantity.get("sample"):
        valid = "" if sample["valid"] == 1 else f", {sample['valid']:.0%} of the cells are valid"
        yield from _entry("range", f"{sample['min']:.6g} to {sample['max']:.6g}, mean {sample['mean']:.6g}{valid}")
    yield from _entry("classes", _classes(quantity))
    yield from _entry("colors", quantity.get("colors", {}).get("reason", ""))


def _cells(quantity: Mapping[str, Any]) -> str:
    parts = [quantity["type"]]
    if quantity["nodata"] is not None:
        nodata = quantity["nodata"]
        parts.append(f"nodata {nodata if isinstance(nodata, str) else format(nodata, '.10g')}")
    if (quantity["scale"], quantity["offset"]) != (1, 0):
        parts.append(f"scale {quantity['scale']:g}, offset {quantity['offset']:g}")
    return ", ".join([*parts, *(["mask band"] if quantity["has_mask"] else [])])


def _classes(quantity: Mapping[str, Any]) -> str:
    classes = quantity["classes"]
    return _listed([f"{value} {name}".strip() for value, name in classes.items()]) if classes else ""


def _grid_lines(grid: Mapping[str, Any]) -> Iterator[str]:
    unit = {"degree": "°", "metre": " m", "meter": " m"}.get(grid["unit"].casefold(), f" {grid['unit']}")
    width, height = (f"{grid[key]:.6g}" for key in ("cell_width", "cell_height"))
    size = f"{width}{unit}" if width == height else f"{width} x {height}{unit}"
    text = f"{grid['width']:,} x {grid['height']:,} cells of {size}"
    native = grid["curvilinear"]
    if native is not None:
        text = f"{native[1]:,} x {native[0]:,} cells with 2-D coordinates, drawn on {text}"
    yield from _entry("grid", text)
    yield from _entry("CRS", grid["crs"])
    if grid["degrees"] is not None:
        yield from _entry("extent", _degrees(*(grid["degrees"][key] for key in ("west", "south", "east", "north"))))
    if grid["unit"] != "degree" or grid["degrees"] is None:
        extent = grid["extent"]
        yield from _entry(
            "", f"x {extent['xmin']:.9g} to {extent['xmax']:.9g}, y {extent['ymin']:.9g} to {extent['ymax']:.9g}"
        )


def _degrees(west: float, south: float, east: float, north: float) -> str:
    return f"{west:.6g}° to {east:.6g}° east, {south:.6g}° to {north:.6g}° north"


def _vector_lines(facts: Facts) -> Iterator[tuple[str, bool]]:
    for layer in facts["layers"]:
        yield "", False
        kind = "mixed or unknown" if layer["geometry"] == "Unknown" else layer["geometry"]
        yield f"{layer['name']}  {layer['features']:,} features, {kind}", True
        yield from ((line, False) for line in _layer_lines(layer))


def _layer_lines(layer: Mapping[str, Any]) -> Iterator[str]:
    yield from _entry("problem", layer["problem"])
    yield from _entry("CRS", layer["crs"])
    if layer["degrees"]:
        yield from _entry("extent", _degrees(*layer["degrees"]))
    elif layer["extent"]:
        yield from _entry("extent", "x {0:.9g} to {2:.9g}, y {1:.9g} to {3:.9g}".format(*layer["extent"]))
    width = max((len(field["name"]) for field in layer["fields"]), default=0)
    for number, field in enumerate(layer["fields"]):
        note = "unique" if field["is_unique"] else ""
        text = f"{field['name']:{width}}  {field['type']:8} {note:7} {plain_text(field['example'], 60)}".rstrip()
        yield f"  {'' if number else 'fields':{_KEY}}{text}"[:_WIDTH]


def _entry(key: str, text: str) -> Iterator[str]:
    """Yield lines with a key and a text, wrapped. Yield nothing if the text is empty."""
    lines = textwrap.wrap(plain_text(text, 2000), _WIDTH - _KEY - 2, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield f"  {'' if number else key:{_KEY}}{line}"


def _listed(texts: Sequence[str]) -> str:
    """Return texts with commas. If there are many, return the first ones, the last one and the number."""
    if len(texts) <= _MAX_LISTED:
        return ", ".join(texts)
    return f"{len(texts)}: {', '.join(texts[:4])} ... {texts[-1]}"


def _time(text: str) -> str:
    return text.removesuffix("Z").removesuffix(":00").replace("T", " ")


def bytes_text(size: float) -> str:
    """Return a number of bytes with a unit.

    Examples
    --------
    >>> bytes_text(1_272_861), bytes_text(17)
    ('1.2 MB', '17 bytes')
    """
    for factor, unit in _UNITS:
        if size >= factor:
            number = size / factor
            return f"{number:.1f} {unit}" if number < 10 else f"{number:,.0f} {unit}"
    return f"{size:.0f} bytes"
