"""Find and remove the maps of regions that are no longer in the table.

A map is a leftover if a row of the same table produced it, as the manifest states, and no row of the table produces it
now. Maps of other tables that share the output folder are not leftovers.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from regionplot.runs.manifest import Entries, is_file, previous_map
from regionplot.runs.sidecars import remove_sidecars
from regionplot.runs.store import check_folders, has_content

logger = logging.getLogger(__name__)


class Leftovers(Enum):
    """Policy for leftovers."""

    KEEP = auto()
    REMOVE = auto()


def find_leftovers(folder: Path, entries: Entries, files: Collection[str], origins: Collection[str]) -> list[str]:
    """Return the map files whose regions the table no longer contains, relative to the folder.

    Parameters
    ----------
    folder : Path
        Folder of the maps.
    entries : mapping
        Entries of the previous manifest.
    files : collection of str
        Files of the maps that the table has.
    origins : collection of str
        Origins of the regions, such as `regions.csv:7`.
    """
    tables = {_table_of(origin) for origin in origins}
    return [
        file
        for file, entry in entries.items()
        if file not in files and _table_of(str(entry.get("origin", ""))) in tables and is_file(folder / file)
    ]


def _table_of(origin: str) -> str:
    """Return the file of an origin such as `regions.csv:7`."""
    return origin.rpartition(":")[0]


def remove_leftovers(folder: Path, entries: Entries, files: Sequence[str]) -> list[str]:
    """Remove maps and empty folders. Return the files that were removed.

    A file is kept if its content is not what the manifest says, or if a link leads to it.

    Parameters
    ----------
    folder, entries
        As for `find_leftovers`.
    files : sequence of str
        Files to remove, relative to the folder.
    """
    return [file for file in files if _remove(folder, entries, file)]


def _remove(folder: Path, entries: Entries, file: str) -> bool:
    path, previous = folder / file, previous_map(entries, folder, file)
    try:
        if (
            previous is None
            or any(check_folders(folder, [path.parent]))
            or not has_content(path, previous.bytes, previous.sha256)
        ):
            logger.warning("%s: not removed, because the file is not the map that the manifest describes", path)
            return False
        path.unlink()
        remove_sidecars(path.parent, previous.sidecars)
    except OSError as error:
        logger.warning("%s: cannot be removed: %s", path, error.strerror or error)
        return False
    with suppress(OSError):  # a folder that is not empty stays
        for parent in path.relative_to(folder).parents[:-1]:
            (folder / parent).rmdir()
    return True
