"""Make file names that stay inside the output folder."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from regionplot import text
from regionplot.errors import RegionsError
from regionplot.geo.region import Region
from regionplot.runs.jobs import ONLY_FIELD, FieldLabel
from regionplot.runs.manifest import NAME
from regionplot.runs.publication import LATEST
from regionplot.settings.config import Config
from regionplot.text import render

_MAX_NAME = 200
"""Maximum bytes in the name of a file or folder. Names of temporary files are longer, but stay below 255 bytes."""
_HASH_LENGTH = 8
"""Number of hexadecimal digits of the hash that keeps truncated names different."""
_SLUGS = 256
"""Number of texts whose result is kept. Most fields are the same for all maps."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_USUAL = re.compile(r"\w([\w ._+,()-]*[\w._+,()-])?", re.ASCII)
"""Texts of which all characters are kept."""


def file_name(template: str, fields: Mapping[str, object]) -> str:
    """Return a relative path from a template. A field cannot add folders, hidden names or control characters.

    Parameters
    ----------
    template : str
        Text with `{field}`, and `/` between folders.
    fields : Mapping
        Values of the fields by name: texts, numbers and times.

    Raises
    ------
    TemplateError
        If the template is malformed, or a field is unknown.

    Examples
    --------
    >>> file_name("{state}/{name}.png", {"state": "NC", "name": "../../etc/passwd"})
    'NC/_.._etc_passwd.png'
    """
    rendered = render(
        template, {name: _slug(value) if isinstance(value, str) else value for name, value in fields.items()}
    )
    return "/".join(_component(part) for part in rendered.split("/") if part not in ("", ".", ".."))


@lru_cache(_SLUGS)
def _slug(text: str) -> str:
    """Return a text with `_` for each character that is not kept in file names."""
    if _USUAL.fullmatch(text):
        return text
    kept = "".join(c if _is_kept(c) else "_" for c in unicodedata.normalize("NFC", text).strip())
    return kept.lstrip(". ") if kept.strip(".- ") else "_"


def _is_kept(character: str) -> bool:
    """Return True for letters, marks and digits of any script, for symbols beyond ASCII, and for some punctuation.

    Marks are accents and the vowel signs of scripts such as Devanagari and Thai. Symbols are, for example, emoji and ≥.
    """
    if character.isalnum() or character in " ._-+,()":
        return True
    return not character.isascii() and unicodedata.category(character)[0] in "MS"


def _component(name: str) -> str:
    """Return a file or folder name that every file system accepts."""
    name = name.lstrip(".- ").rstrip(". ") or "_"
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    raw = name.encode()
    if len(raw) <= _MAX_NAME:
        return name
    stem, dot, suffix = name.rpartition(".") if "." in name else (name, "", "")
    tail = f"-{hashlib.sha256(raw).hexdigest()[:_HASH_LENGTH]}{dot}{suffix[:16].rstrip()}"
    return stem.encode()[: _MAX_NAME - len(tail.encode())].decode(errors="ignore") + tail


_RESERVED_NAMES = {NAME, LATEST}
"""Names in the output folder that maps cannot have."""


class NamelessMap(NamedTuple):
    """A map whose file has no name yet."""

    region: Region
    template: str
    """Template of the file name."""
    facts: Mapping[str, object] = {}
    """Values of further fields of the template. Columns of the region take precedence."""
    field: FieldLabel = ONLY_FIELD
    has_world_file: bool = False
    """True if files beside the map have its name with another suffix."""


NamedMap = tuple[Region, str, FieldLabel]
"""The region, the name of the file relative to the output folder, and the field of a map."""


def assign_file_names(regions: Sequence[Region], config: Config) -> list[tuple[Region, str]]:
    """Return each region with the name of its file, relative to the output folder. Raise errors like `name_maps`."""
    named = name_maps(NamelessMap(region, config.output.filename, config.facts) for region in regions)
    return [(region, name) for region, name, _ in named]


def name_maps(maps: Iterable[NamelessMap]) -> list[NamedMap]:
    """Return the maps with the names of their files.

    Raises
    ------
    RegionsError
        If a name cannot be made, is reserved, or is the same for two maps. All problems are reported together.
    """
    owners: dict[str, NamedMap] = {}
    owners_of_stems: dict[str, NamedMap] = {}
    named: list[NamedMap] = []
    problems: list[str] = []
    for each in maps:
        region = each.region
        try:
            name = file_name(each.template, {**each.facts, **_text(region.fields)})
        except text.TemplateError as error:
            problems.append(f"{region.origin or region.name}: [output] filename: {error}")
            continue
        if name.split("/")[0].casefold() in _RESERVED_NAMES:
            problems.append(f"{region.origin or region.name}: {name}: this name is reserved; change [output] filename")
        if not _is_storable(name):
            problems.append(
                f"{region.origin or region.name}: {name}: the encoding of file names, {sys.getfilesystemencoding()}, "
                "lacks a character of this name; set the environment variable PYTHONUTF8=1"
            )
        own = region, name, each.field
        owner = owners.setdefault(name.casefold(), own)
        if owner is not own:
            problems.append(_collision(own, owner, name))
        stem = name.rpartition(".")[0].casefold()
        beside = owners_of_stems.setdefault(stem, own) if each.has_world_file else own
        if beside is not own and owner is own:
            problems.append(_collision(own, beside, f"{stem}.prj"))
        named.append(own)
    if problems:
        raise RegionsError(*problems)
    return named


def _collision(one: NamedMap, other: NamedMap, name: str) -> str:
    """Return the message for two maps that have the same file name."""
    (region, _, field), (owner, _, other_field) = one, other
    if field != other_field:
        fields = f"{other_field.name} and {field.name}"
        return (
            f"{region.origin or region.name}: the maps of {fields} would both be written to {name}; "
            f"add {{product}} or {{time:%Y%m%dT%H%M}} to [output] filename"
        )
    return (
        f"{region.origin or region.name}: {region.name!r} and {owner.name!r} ({owner.origin}) "
        f"would both be written to {name}; make their names or [output] filename differ"
    )


def _is_storable(name: str) -> bool:
    """Return True if the encoding of file names has all characters of a name."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _text(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}
