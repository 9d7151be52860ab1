"""Find files that inputs name. They must be in the folder of the input or below, or remote objects that are allowed."""

from __future__ import annotations

from pathlib import Path

from regionplot.settings.remote_path import RemotePath, is_address
from regionplot.system.files import NotBelowError, path_below
from regionplot.text import plain_text, without_secrets

ALLOW_REMOTE = "allow remote rasters: --allow-remote, or allow_remote = true in [raster]"


class NamedFileError(ValueError):
    """The reason why a file that an input names is not read. The message does not name the input."""


def named_file(owner: Path, name: str, *, allows_remote: bool) -> Path:
    """Return the path of a file that an input names.

    Parameters
    ----------
    owner : Path
        The input. Names are relative to it.
    name : str
        A path, an address of a remote object, or a `file:` address.
    allows_remote : bool
        True if the settings allow remote rasters.

    Returns
    -------
    Path
        A `RemotePath`, or an existing path in the folder of the input or below, also if links are followed.

    Raises
    ------
    NamedFileError
        If the name is none of these. If the input is a remote object, and the name is that of a local file.
    """
    shown = _shown(name)
    if isinstance(owner, RemotePath) and not is_address(name):
        try:
            name = owner.joined(name)
        except ValueError:
            raise NamedFileError(f"{shown}, which is not an address") from None
        shown = _shown(name)
    if is_address(name):
        if not allows_remote:
            raise NamedFileError(f"{shown}; {ALLOW_REMOTE}")
        return RemotePath.of(name)
    local = name.removeprefix("file://")
    if isinstance(owner, RemotePath) or "://" in local or local.startswith(("/vsi", "file:")):
        raise NamedFileError(f"{shown}, which is not read")
    try:
        return path_below(owner.resolve().parent, local)
    except NotBelowError:
        problem = f"which is not below the folder of {plain_text(owner.name)}; move one of them"
    except FileNotFoundError:
        problem = "but there is no such file"
    except ValueError:
        problem = "which is not the path of a file"
    raise NamedFileError(f"{shown}, {problem}")


def _shown(name: str) -> str:
    """Return a name for messages: without a password or a query, also if the name is a relative address."""
    text, mark, _ = without_secrets(name).partition("?")
    return plain_text(f"{text}?..." if mark else text, 200)
