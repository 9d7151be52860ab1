"""Find the font files of this package: Source Sans 3 of Adobe, version 3.52, unmodified.

The font has the SIL Open Font License, which is in the same folder.
"""

from __future__ import annotations

from pathlib import Path

FAMILIES = {"Source Sans 3": ("SourceSans3-Regular.otf", "SourceSans3-Semibold.otf")}
"""Files of each font family in this package: regular, then semibold."""
_FOLDER = Path(__file__).parent


def files_of(family: str) -> list[Path]:
    """Return the files of a font family. The list is empty if the family is not in this package.

    Examples
    --------
    >>> [path.name for path in files_of("Source Sans 3")]
    ['SourceSans3-Regular.otf', 'SourceSans3-Semibold.otf']
    """
    return [_FOLDER / name for name in FAMILIES.get(family, ())]
