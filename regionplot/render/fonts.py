"""Find installed fonts for letters that the default font lacks, and report letters that no font has.

matplotlib draws a text with a list of font families. A letter is drawn with the first family that has its glyph. The
default list has only one family, DejaVu Sans.
"""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from regionplot.fonts import files_of
from regionplot.system.threads import GLOBALS_LOCK

logger = logging.getLogger(__name__)
DEFAULT_FAMILY = "DejaVu Sans"
_REGULAR = {"Regular", "Book", "Normal", "Roman", "Medium"}
_NAMED = 3
"""Number of letters that a report names."""
_INVISIBLE = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}
"""Unicode categories of characters without a shape."""
_EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"}


class FontFallbacks:
    """The font family for each letter that the default font lacks. Fonts are searched once for each letter.

    After the first use, the family of a letter does not change, even in forked processes. The installed fonts are
    listed when the first letter is missing. A font that is installed later is found by the next process.
    """

    def __init__(self) -> None:
        self._families: dict[str, str | None] = {}
        self._files: dict[str, str] = {}
        self._reported: set[str] = set()
        self._registered_fonts: set[str] = set()
        self._installed: Sequence[str] | None = None

    @property
    def has_searched(self) -> bool:
        """True if the installed fonts were searched, because a letter is missing in the default font."""
        return self._installed is not None

    def families(self, text: str, font: str = DEFAULT_FAMILY) -> list[str] | None:
        """Return the font families for a text, or None if the default font has all its glyphs.

        Parameters
        ----------
        text : str
            The text.
        font : str
            Family to use for all letters that it has.
        """
        first = [] if font == DEFAULT_FAMILY else [self._registered(font)]
        found: dict[str, None] = {}
        if not text.isascii():
            self.find(text)
            found = dict.fromkeys(family for letter in text if (family := self._families.get(letter)))
        return [*first, DEFAULT_FAMILY, *found] if first or found else None

    def _registered(self, font: str) -> str:
        """Return a font family. If it comes with this package, tell matplotlib where its files are, once."""
        if font not in self._registered_fonts:
            self._registered_fonts.add(font)
            for path in files_of(font):
                font_manager.fontManager.addfont(path)
        return font

    def find(self, letters: Iterable[str]) -> None:
        """Search fonts for letters that have not been searched before."""
        new = {letter for letter in letters if not letter.isascii() and letter not in self._families}
        if not new:
            return
        with GLOBALS_LOCK:
            default = FT2Font(font_manager.findfont(DEFAULT_FAMILY))
            missing = {letter for letter in new if is_visible(letter) and not default.get_char_index(ord(letter))}
            self._families.update(dict.fromkeys(new))
            if missing:
                self._search(missing)

    def _search(self, letters: set[str]) -> None:
        """Choose a family for each letter. Prefer families that have many of the letters."""
        fonts = [(path, found) for path in self._paths() if (found := _glyphs_in(path, letters))]
        while fonts and letters:
            path, found = max(fonts, key=lambda font: len(font[1] & letters))
            if not found & letters:
                return
            family = _family(path)
            self._families.update(dict.fromkeys(found & letters, family))
            self._files[family] = path
            letters = letters - found

    def _paths(self) -> Sequence[str]:
        """Return the files of all installed fonts: regular styles and sans-serif families first."""
        if self._installed is None:
            own = Path(matplotlib.get_data_path())
            found = {os.path.realpath(path) for path in font_manager.findSystemFonts()}
            self._installed = sorted((path for path in found if not Path(path).is_relative_to(own)), key=_preference)
        return self._installed

    def files(self, text: str) -> list[tuple[str, int]]:
        """Return the file and the file size of each font that a text needs in addition to the default font."""
        paths = [self._files[family] for family in (self.families(text) or [])[1:]]
        return [(path, Path(path).stat().st_size) for path in paths]

    def missing(self, text: str) -> list[str]:
        """Return the letters of a text that no installed font has."""
        self.find(text)
        default = FT2Font(font_manager.findfont(DEFAULT_FAMILY))
        return [
            letter
            for letter in dict.fromkeys(text)
            if not letter.isascii()
            and is_visible(letter)
            and self._families[letter] is None
            and not default.get_char_index(ord(letter))
        ]

    def report(self, texts: Iterable[str]) -> None:
        """Log a warning about letters that no installed font has. Each letter is reported once."""
        letters = "".join(dict.fromkeys(letter for text in texts if not text.isascii() for letter in text))
        missing = [letter for letter in self.missing(letters) if letter not in self._reported] if letters else []
        if not missing:
            return
        self._reported.update(missing)
        logger.warning(
            "no installed font has %s; a box is drawn instead; searched: %s and %d font files of this system; "
            "install a font such as %s",
            _names_of(missing), DEFAULT_FAMILY, len(self._paths()), " or ".join(_suggestions(missing)),
        )  # fmt: skip


def _is_not_about_weights(record: logging.LogRecord) -> bool:
    return "Failed to find font weight" not in record.getMessage()


logging.getLogger("matplotlib.font_manager").addFilter(_is_not_about_weights)  # DejaVu Sans has no semibold letters
FALLBACKS = FontFallbacks()
"""The fonts of this process. Forked workers inherit the fonts that their parent has found."""


def is_installed(font: str) -> bool:
    """Return True if a font family is installed on this system, or comes with matplotlib."""
    return any(entry.name == font for entry in font_manager.fontManager.ttflist)


def weight_of(weight: str, font: str) -> str:
    """Return the weight of the letters of a font family. DejaVu Sans has bold letters instead of semibold letters."""
    return "bold" if (weight, font) == ("semibold", DEFAULT_FAMILY) else weight


@lru_cache(maxsize=4096)
def label_font(text: str, points: float, weight: str, font: str) -> font_manager.FontProperties:
    """Return the font of a label for its letters, font size in points, weight and font family."""
    families = FALLBACKS.families(text, font)
    return font_manager.FontProperties(family=families, size=points, weight=weight_of(weight, font))


def is_visible(letter: str) -> bool:
    """Return True if a letter needs a glyph.

    Return False for blanks, joiners, direction marks and variation selectors.
    """
    return unicodedata.category(letter) not in _INVISIBLE and not "\ufe00" <= letter <= "\ufe0f"


def _glyphs_in(path: str, letters: set[str]) -> set[str]:
    """Return the letters that a font file has. Bitmap fonts and unreadable files have none."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):
        return set()
    return {letter for letter in letters if font.get_char_index(ord(letter))} if font.scalable else set()


def _family(path: str) -> str:
    """Return the family of a font file. Register the file with matplotlib if necessary."""
    known = {os.path.realpath(entry.fname): entry.name for entry in font_manager.fontManager.ttflist}
    if path not in known:
        font_manager.fontManager.addfont(path)
    return known.get(path) or FT2Font(path).family_name


def _preference(path: str) -> tuple[bool, bool, str]:
    name = Path(path).stem
    style = name.rpartition("-")[2]
    return style not in _REGULAR and "-" in name, "sans" not in name.casefold(), path


def _names_of(letters: Sequence[str]) -> str:
    """Return a count of letters, and the names of the first letters."""
    named = [f"{letter} ({unicodedata.name(letter, f'U+{ord(letter):04X}')})" for letter in letters[:_NAMED]]
    more = f" and {len(letters) - _NAMED} more letters" if len(letters) > _NAMED else ""
    return f"the glyph{'s' * (len(letters) > 1)} {', '.join(named)}{more}"


def _suggestions(letters: Iterable[str]) -> list[str]:
    """Return the families of Noto fonts that have the letters. The Unicode name of a letter gives the family."""
    return sorted(set(_noto_families(letters)))


def _noto_families(letters: Iterable[str]) -> Iterator[str]:
    for letter in letters:
        script = unicodedata.name(letter, "").partition(" ")[0]
        if script in _EAST_ASIAN:
            yield "Noto Sans CJK"
        elif unicodedata.category(letter)[0] in "LM" and script:
            yield f"Noto Sans {script.title()}"
        else:
            yield "Noto Emoji"
