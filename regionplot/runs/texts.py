"""Find fonts for the texts on the maps of a run, before workers are started."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from regionplot.geo.region import Region
from regionplot.runs.jobs import Job
from regionplot.settings.config import Config
from regionplot.text import fields_of


def frame_texts(config: Config, description: Mapping[str, object]) -> Iterator[str]:
    """Yield the texts that all maps share: around the title, the label, the names of classes and the credits.

    Parameters
    ----------
    config : Config
        The settings.
    description : mapping
        Metadata of the raster.
    """
    yield from (config.map.subtitle, config.map.upper_right, config.map.lower_right, config.colors.label or "")
    yield from (line for settings in config.layers.get("credit", ()) for line in getattr(settings, "lines", ()))
    yield from (item.name for item in config.colors.classes or ())
    yield from (str(description.get(key, "")) for key in ("long_name", "units", "variable", "level", "source"))


def title_texts(regions: Iterable[Region], template: str) -> Iterator[str]:
    """Yield the parts of the titles of maps: the template, and the columns of the regions that it names."""
    yield template
    names = set(fields_of(template))
    columns = names - {"name", "title"}
    for region in regions:
        yield region.title if "title" in names else region.name
        for name in columns:
            yield region.attributes.get(name, "")


def find_fonts(jobs: Sequence[Job], config: Config) -> str:
    """Find fonts for letters that the default font lacks. Forked workers inherit the result.

    Returns
    -------
    str
        The letters of the maps that are not ASCII, each once.
    """
    texts = [*title_texts((job.region for job in jobs), config.map.title), *frame_texts(config, {})]
    letters = "".join(dict.fromkeys(letter for text in texts if not text.isascii() for letter in text))
    if letters:
        from regionplot.render.fonts import FALLBACKS  # noqa: PLC0415 (imports matplotlib)

        FALLBACKS.find(letters)
    return letters


def has_searched_fonts() -> bool:
    """Return True if this process has searched the installed fonts for letters that the default font lacks.

    The module that searches fonts is imported only for letters that are not ASCII.
    """
    fonts = sys.modules.get("regionplot.render.fonts")
    return fonts is not None and fonts.FALLBACKS.has_searched


def report_missing_letters(letters: str) -> None:
    """Log a warning about letters that no installed font has. Each letter is reported only once."""
    if letters:
        from regionplot.render.fonts import FALLBACKS  # noqa: PLC0415 (imports matplotlib)

        FALLBACKS.report([letters])
