"""The files beside a map that belong to it: its world file and its CRS. A map and these files are one unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from regionplot.runs import store
from regionplot.runs.jobs import Sidecar
from regionplot.runs.publication import link_or_copy

KEY = "sidecars"
"""Key of the manifest."""
_SUFFIX = ".aux.xml"


def write_sidecars(target: Path, contents: Mapping[str, bytes], run: str, within: Path) -> tuple[Sidecar, ...]:
    """Write the files beside a map atomically, each by itself.

    Parameters
    ----------
    target : Path
        File of the map.
    contents : mapping of str to bytes
        Content of each file by name.
    run, within
        As for `store.write_file`.

    Raises
    ------
    RegionplotError
        If a file cannot be written.
    """
    return tuple(
        Sidecar(name, len(content), store.write_file(target.with_name(name), content, run, within))
        for name, content in contents.items()
    )


def are_unchanged(folder: Path, sidecars: Iterable[Sidecar]) -> bool:
    """Return True if all files have the content that the manifest states.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    return all(store.has_content(folder / each.name, each.bytes, each.sha256) for each in sidecars)


def link_sidecars(old: Path, new: Path, sidecars: Iterable[Sidecar]) -> None:
    """Put files of the previous run into the folder of this run. See `publication.link_or_copy`.

    Raises
    ------
    OSError
        If a file can neither be linked nor copied.
    """
    for each in sidecars:
        if old != new:
            (new / each.name).unlink(missing_ok=True)
        link_or_copy(old / each.name, new / each.name)


def remove_sidecars(folder: Path, sidecars: Iterable[Sidecar]) -> None:
    """Remove files that have the content that the manifest states."""
    for each in sidecars:
        with suppress(OSError):
            if store.has_content(folder / each.name, each.bytes, each.sha256):
                (folder / each.name).unlink()


def sidecars_of(entry: Mapping[str, Any], file: str) -> tuple[Sidecar, ...]:
    """Return the files that an entry of the manifest states. Leave out files that cannot belong to the map."""
    stated = entry.get(KEY)
    name = file.rpartition("/")[2]
    found = [_parsed(each) for each in stated] if isinstance(stated, list) else []
    return tuple(each for each in found if each is not None and _belongs_to(each.name, name))


def _parsed(item: Any) -> Sidecar | None:
    if not isinstance(item, Mapping):
        return None
    name, size, sha256 = (item.get(key) for key in Sidecar._fields)
    if not (isinstance(name, str) and isinstance(size, int) and isinstance(sha256, str)):
        return None
    return Sidecar(name, size, sha256)


def _belongs_to(name: str, image: str) -> bool:
    """Return True if a name consists of the name of an image and another suffix."""
    stem = image.rpartition(".")[0]
    suffix = name.removeprefix(stem)
    is_world = name.startswith(f"{stem}.") and suffix.count(".") == 1 and suffix.isascii() and suffix[1:].isalnum()
    return (is_world and name != image) or name == image + _SUFFIX
