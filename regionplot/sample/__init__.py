"""Find the sample files of this package: relief of North America, US states and counties, and countries.

Settings name a sample file as `sample:NAME`.
"""

from __future__ import annotations

from pathlib import Path

PREFIX = "sample:"
_FOLDER = Path(__file__).parent
_IGNORED = {".py", ".md", ".pyc"}


def names() -> list[str]:
    """Return the names that can follow `sample:`.

    Examples
    --------
    >>> "relief.tif" in names()
    True
    """
    found = [path.name for path in _FOLDER.iterdir() if path.is_file()]
    return sorted(name for name in found if Path(name).suffix not in _IGNORED)


def locate(name: str) -> Path:
    """Return the path of a sample file. Its name can be given without the suffix.

    Raises
    ------
    FileNotFoundError
        If there is no such file. The message lists the sample files.
    """
    for file in names():
        if name in (file, file.partition(".")[0]):
            return _FOLDER / file
    raise FileNotFoundError(f"there is no sample file {name!r}; the files are: {', '.join(names())}")
