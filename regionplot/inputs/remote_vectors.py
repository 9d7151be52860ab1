"""Copy vector files from object storage and web servers to the user's cache folder. A copy is read as a local file."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from regionplot.errors import FeaturesError
from regionplot.settings.remote_path import RemotePath
from regionplot.settings.vector import VectorSettings
from regionplot.system.cache import user_cache_folder
from regionplot.system.files import Fingerprint, atomic_replace, make_private_folder, new_run, open_own_file
from regionplot.text import plain_text, without_secrets

_Settings = TypeVar("_Settings", bound=VectorSettings)
_MAX_BYTES = 512 * 2**20
"""Maximum size of a remote vector file in bytes."""
_KEPT_SECONDS = 86_400
"""Age from which copies of older versions are removed. Another run may still read a younger copy."""
_FOLDER = "vectors"


def with_local_file(settings: _Settings) -> _Settings:
    """Return settings that name a local file. A remote file is copied, unless there is a copy of this version.

    Raises
    ------
    FeaturesError
        If a remote file does not exist, or it cannot be read or copied.
    """
    path = settings.path
    if not isinstance(path, RemotePath):
        return settings
    try:
        copy = _copy_of(path)
    except OSError as error:
        problem = plain_text(without_secrets(error.strerror or str(error)))
        raise FeaturesError(f"{path}: cannot be read: {problem}") from None
    return settings.model_copy(update={"path": copy})


def _copy_of(path: RemotePath) -> Path:
    from regionplot.system.remote_objects import forget_objects, read_object  # noqa: PLC0415 (imports GDAL)

    version = _version(path)
    folder = user_cache_folder() / _FOLDER / _digest(str(path))
    target = folder / _digest(repr(version)) / path.name
    if (version.inode or version.modified) and _is_own_file(target):
        return target
    forget_objects(path.gdal_name)
    content = read_object(path.gdal_name, limit=_MAX_BYTES)
    if content is None or _version(path) != version:
        raise FeaturesError(f"{path}: the file was replaced or removed while it was read; start the run again")
    for each in (folder.parent, folder, target.parent):
        make_private_folder(each)
    with atomic_replace(target, new_run()) as temporary:
        temporary.write_bytes(content)
    _remove_old_copies(target)
    return target


def _version(path: RemotePath) -> Fingerprint:
    """Return size, ETag and time of a file. The server is asked each time."""
    found = Fingerprint.of(path)
    if found is None:
        raise FeaturesError(
            f"{path}: there is no such object, or these credentials may not read it, or its server does not answer"
        )
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_own_file(path: Path) -> bool:
    with suppress(OSError), open_own_file(path):
        return True
    return False


def _remove_old_copies(target: Path) -> None:
    """Remove copies of other versions that no run can still use."""
    for other in target.parent.parent.glob("*/*"):
        with suppress(OSError):
            if other.parent != target.parent and time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                other.unlink()
                other.parent.rmdir()
