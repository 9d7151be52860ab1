"""Read the raster colors in a QGIS style file (`.qml`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from regionplot.colors.files.base import MAX_ENTRIES, ColorTable, Lines, hex_color
from regionplot.colors.files.qgis_text import Item, limit_in, shaded
from regionplot.text import plain_text

_MAX_DEPTH = 200
Attributes = dict[str, str]


@dataclass
class _Style:
    """The colors of a raster in the elements of a style."""

    lines: Lines
    parser: expat.XMLParserType = field(default_factory=expat.ParserCreate)
    renderer: str = ""
    shader: Attributes = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    entries: list[Item] = field(default_factory=list)
    depth: int = 0
    root: str = ""
    """Name of the outermost element."""

    def parse(self) -> None:
        """Read the file. Entities are refused, and other files are never opened."""
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._refuse_entity
        try:
            self.parser.Parse(self.lines.text.encode(), True)
        except expat.ExpatError as error:
            self.lines.refuse(f"is not valid XML: {expat.ErrorString(error.code)}", error.lineno)

    def _refuse_entity(self, *_: object) -> None:
        self.lines.refuse("declares an XML entity, which a QGIS style does not need", self.parser.CurrentLineNumber)

    def _start(self, name: str, attributes: Attributes) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self.lines.refuse("its XML elements are nested too deeply", self.parser.CurrentLineNumber)
        self.root = self.root or name
        if name == "rasterrenderer":
            self.renderer = attributes.get("type", "")
        elif name == "colorrampshader":
            self.shader = attributes
        elif name == "item" and "value" in attributes and "color" in attributes:
            self.items.append(self._item(attributes))
        elif name == "paletteEntry":
            self.entries.append(self._item(attributes))
        if len(self.items) + len(self.entries) > MAX_ENTRIES:
            self.lines.refuse(f"has more than {MAX_ENTRIES} colors", self.parser.CurrentLineNumber)

    def _end(self, _name: str) -> None:
        self.depth -= 1

    def _item(self, attributes: Attributes) -> Item:
        """Return the value, the color and the name of an element."""
        number = self.parser.CurrentLineNumber
        value = limit_in(self.lines, attributes.get("value", ""), number)
        text = attributes.get("color", "")
        try:
            red, green, blue = bytes.fromhex(text.removeprefix("#"))
        except ValueError:
            self.lines.refuse(f"{text[:40]!r} is not a color as #rrggbb", number)
        opacity = self.lines.byte(attributes.get("alpha", "255"), number)
        return value, hex_color(red, green, blue, opacity), plain_text(attributes.get("label", ""))


def read(lines: Lines) -> ColorTable:
    """Return the colors of a style with a palette, or with one band in pseudocolor."""
    style = _Style(lines)
    style.parse()
    if style.root.rpartition(":")[2] == "StyledLayerDescriptor":
        lines.refuse("is an SLD style, which is not read; save the style of the raster as .qml in QGIS")
    if style.renderer == "paletted":
        return ColorTable(classes=tuple(style.entries)) if style.entries else lines.refuse("has no colors")
    if style.renderer != "singlebandpseudocolor":
        found = f"renderer {style.renderer[:40]!r}" if style.renderer else "no raster renderer"
        lines.refuse(f"has {found}; save a style with singleband pseudocolor or a palette")
    kind = style.shader.get("colorRampType", "INTERPOLATED")
    clip = "none" if style.shader.get("clip", "0") == "1" else None
    return shaded(lines, kind, style.items, ends=clip)
