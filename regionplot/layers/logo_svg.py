"""Check logos in SVG, and draw them with the package resvg_py.

An SVG can name other files, and a small SVG can stand for millions of elements. Such files are refused before they are
drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from xml.parsers import expat

from regionplot.errors import InputError

MAX_BYTES = 1_000_000
"""Maximum size of a file."""
_MAX_DRAWN, _MAX_DEPTH = 20_000, 200
"""Maximum number of elements that are drawn, and depth of elements in elements."""
_MAX_RATIO = 20
"""Maximum height of a logo, in widths."""
_REFERENCE = re.compile(r"url\(\s*['\"]?\s*([^'\")]*)", re.IGNORECASE)


class _Elements:
    """The elements of an SVG: what each contains and refers to. Bad elements raise ValueError."""

    def __init__(self) -> None:
        self.contents: list[list[int]] = []
        """Numbers of the elements in each element."""
        self.references: list[list[str]] = []
        """Identifiers to which each element refers."""
        self.numbers: dict[str, int] = {}
        """Number of each element with an identifier."""
        self.has_text = False
        self._open: list[int] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Add an element."""
        name, number = tag.rpartition(":")[2], len(self.contents)
        if not number and name != "svg":
            raise ValueError("it is no SVG")
        if number >= _MAX_DRAWN or len(self._open) >= _MAX_DEPTH:
            raise ValueError("it has too many elements")
        self.contents.append([])
        self.references.append([each for key, text in attributes.items() for each in _references(key, text)])
        self.has_text |= name == "text"
        if self._open:
            self.contents[self._open[-1]].append(number)
        self.numbers.setdefault(attributes.get("id", ""), number)
        self._open.append(number)

    def end(self, _tag: str) -> None:
        """Close an element."""
        self._open.pop()

    def text(self, text: str) -> None:
        """Check the text in an element, such as a style sheet."""
        if "@import" in text.lower():
            raise ValueError("it names another file; put everything into one file")
        if self._open:
            self.references[self._open[-1]] += _references("", text)

    def drawn(self) -> int:
        """Return the number of elements that are drawn. An element counts again for each reference to it."""
        counts: dict[int, int] = {}
        waiting, entered = [0], set[int]()
        while waiting:
            number = waiting[-1]
            parts = [
                *self.contents[number],
                *(self.numbers[each] for each in self.references[number] if each in self.numbers),
            ]
            missing = [part for part in parts if part not in counts]
            if not missing or number in counts:
                counts.setdefault(number, 1 + sum(counts[part] for part in parts))
                waiting.pop()
            elif number in entered:
                raise ValueError("one of its elements refers to itself")
            else:
                entered.add(number)
                waiting += missing
        return counts[0]


def _references(key: str, text: str) -> Iterator[str]:
    """Yield the identifiers to which an attribute or a text refers. Refuse the names of files."""
    found = [text.strip()] if key.rpartition(":")[2] == "href" else [each.strip() for each in _REFERENCE.findall(text)]
    for each in found:
        if not each.startswith("#"):
            raise ValueError("it names another file or holds a picture; convert it to PNG")
        yield each[1:]


def _refuse_type(*_: object) -> None:
    raise ValueError("it has a document type, which can name other files; remove the line <!DOCTYPE ...>")


def _refuse_instruction(target: str, _data: str) -> None:
    if target.lower() == "xml-stylesheet":
        raise ValueError("it names another file; put everything into one file")


def check_svg(content: bytes) -> bool:
    """Check an SVG. Return True if it has texts.

    Raises
    ------
    ValueError
        If the file is not valid, is too large, or refers to anything outside of itself.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes; convert it to PNG")
    elements, parser = _Elements(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = elements.start, elements.end
    parser.CharacterDataHandler = elements.text
    parser.StartDoctypeDeclHandler = _refuse_type
    parser.ProcessingInstructionHandler = _refuse_instruction
    parser.buffer_text = True
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from None
    if elements.drawn() > _MAX_DRAWN:
        raise ValueError(f"it draws more than {_MAX_DRAWN:,} elements; convert it to PNG")
    return elements.has_text


def png_of_svg(content: bytes, width: int, name: str) -> bytes:
    """Return an SVG as PNG.

    Parameters
    ----------
    content : bytes
        The SVG.
    width : int
        Width in pixels. A logo that is more than 20 times as high as wide is narrower.
    name : str
        Name of the file, for messages.

    Raises
    ------
    InputError
        If the file is refused, or resvg_py is not installed.
    """
    try:
        has_text = check_svg(content)
    except ValueError as error:
        raise InputError(f"{name}: the logo cannot be read as SVG: {error}") from None
    if find_spec("resvg_py") is None:
        raise InputError(
            f"{name}: a logo in SVG needs the package resvg_py: pip install resvg-py; or convert it to PNG"
        )
    import resvg_py  # noqa: PLC0415 (an optional package)

    try:
        png = resvg_py.svg_to_bytes(
            svg_string=content.decode("utf-8-sig"),
            width=width,
            height=_MAX_RATIO * width,
            skip_system_fonts=not has_text,
        )
    except ValueError as error:  # also if the text is not UTF-8
        raise InputError(f"{name}: the logo cannot be read as SVG: {error}") from None
    return bytes(png)
