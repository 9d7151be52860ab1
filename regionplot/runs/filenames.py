"""Make file names that stay inside the output folder."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence

from regionplot import text
from regionplot.errors import RegionsError
from regionplot.geo.region import Region
from regionplot.runs.manifest import NAME
from regionplot.runs.publication import LATEST
from regionplot.settings.config import Config
from regionplot.text import render

_LONGEST_NAME = 200


_HASH_LENGTH = 8


_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def file_name(template: str, fields: Mapping[str, str]) -> str:
    """A relative path from a template; fields become single, harmless path components.

    Parameters
    ----------
    template : str
        With `{field}`s, and `/` for folders.
    fields : Mapping
        Text by name.

    Raises
    ------
    TemplateError
        As `regionplot.templates.render`.

    Examples
    --------
    >>> file_name("{state}/{name}.png", {"state": "NC", "name": "../../etc/passwd"})
    'NC/_.._etc_passwd.png'
    """
    rendered = render(template, {name: _slug(text) for name, text in fields.items()})
    return "/".join(_component(part) for part in rendered.split("/") if part not in ("", ".", ".."))


def _slug(text: str) -> str:
    """Letters, digits and a few marks of any script; anything else, separators above all, becomes `_`."""
    composed = unicodedata.normalize("NFC", text).strip()
    kept = "".join(c if c.isalnum() or c in " ._-+,()" or unicodedata.combining(c) else "_" for c in composed)
    return kept.lstrip(". ") if kept.strip(".- ") else "_"


def _component(name: str) -> str:
    """One file or folder name that every file system takes."""
    name = name.lstrip(".- ").rstrip(". ") or "_"
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    raw = name.encode()
    if len(raw) <= _LONGEST_NAME:
        return name
    stem, dot, suffix = name.rpartition(".") if "." in name else (name, "", "")
    tail = f"-{hashlib.sha256(raw).hexdigest()[:_HASH_LENGTH]}{dot}{suffix[:16].rstrip()}"
    return stem.encode()[: _LONGEST_NAME - len(tail.encode())].decode(errors="ignore") + tail


_TAKEN = {NAME, LATEST}
"""First parts of file names that mean something else in an output folder."""


def assign_file_names(regions: Sequence[Region], config: Config) -> list[tuple[Region, str]]:
    """Each region with the name of a file of its own, relative to the output folder."""
    owners: dict[str, Region] = {}
    named, problems = [], []
    for region in regions:
        try:
            name = file_name(config.output.filename, _text(region.fields))
        except text.TemplateError as error:
            problems.append(f"{region.origin or region.name}: [output] filename: {error}")
            continue
        if name.split("/")[0].casefold() in _TAKEN:
            problems.append(f"{region.origin or region.name}: {name}: this name is taken; change [output] filename")
        owner = owners.setdefault(name.casefold(), region)
        if owner is not region:
            problems.append(
                f"{region.origin or region.name}: {region.name!r} and {owner.name!r} ({owner.origin}) "
                f"would both be written to {name}; make their names or [output] filename differ"
            )
        named.append((region, name))
    if problems:
        raise RegionsError(*problems)
    return named


def _text(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}
