"""Read tables of regions from object storage and web servers: copy them to the user's cache folder."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from regionplot.errors import RegionsError
from regionplot.settings.remote_path import RemotePath
from regionplot.system.cache import user_cache_folder
from regionplot.system.files import atomic_replace, make_private_folder, new_run, open_own_file
from regionplot.system.remote_objects import forget_objects, read_object
from regionplot.text import plain_text, without_secrets

_MAX_BYTES = 256 * 2**20
"""Maximum size of a table in bytes."""


def local_table(path: RemotePath) -> Path:
    """Return a local copy of a remote table of regions or vector file.

    The object is read each time. An equal copy is not written again, so that the runs of a command can be compared.

    Parameters
    ----------
    path : RemotePath
        Address of the table.

    Raises
    ------
    RegionsError
        If there is no such object, it cannot be read, or the copy cannot be written.
    """
    try:
        forget_objects(path.gdal_name)
        content = read_object(path.gdal_name, limit=_MAX_BYTES)
        if content is None:
            raise RegionsError(f"{path}: there is no such object, or these credentials may not read it")
        folder = user_cache_folder() / "tables"
        make_private_folder(folder)
        target = folder / hashlib.sha256(str(path).encode()).hexdigest()[:16] / path.name
        make_private_folder(target.parent)
        if _content(target) != content:
            with atomic_replace(target, new_run()) as temporary:
                temporary.write_bytes(content)
    except OSError as error:
        problem = plain_text(without_secrets(error.strerror or str(error)))
        raise RegionsError(f"{path}: cannot be read: {problem}") from None
    return target


def _content(path: Path) -> bytes | None:
    """Return the content of a copy, or None if there is none."""
    with suppress(OSError), open_own_file(path) as file:
        return file.read()
    return None
