"""The embedded sample: relief of North America, US states and counties, countries; reached as `sample:NAME`."""

from __future__ import annotations

from pathlib import Path

PREFIX = "sample:"
_FOLDER = Path(__file__).parent
_IGNORED = {".py", ".md", ".pyc"}


def names() -> list[str]:
    """The names that may follow `sample:`.

    Examples
    --------
    >>> "relief.tif" in names()
    True
    """
    found = [path.name for path in _FOLDER.iterdir() if path.is_file()]
    return sorted(name for name in found if Path(name).suffix not in _IGNORED)


def locate(name: str) -> Path:
    """The file of the sample with this name, with or without its suffix.

    Raises
    ------
    FileNotFoundError
        If the sample has no such file; the message lists what there is.
    """
    for known in names():
        if name in (known, known.partition(".")[0]):
            return _FOLDER / known
    raise FileNotFoundError(f"the sample has no {name!r}; it has: {', '.join(names())}")
