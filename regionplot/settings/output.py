"""The `[output]` section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from regionplot.settings.base import Section, Template


def _has_image_suffix(text: str) -> str:
    if not text.endswith(".png"):
        raise ValueError("maps are PNG images: end the file name with .png")
    return text


class OutputSettings(Section):
    """`[output]`: where the maps go."""

    directory: Annotated[Path, Field(strict=False)] = Path("output")
    filename: Annotated[Template, AfterValidator(_has_image_suffix)] = "{name}.png"
    png: Literal["auto", "palette", "rgb"] = "auto"
    """A palette makes files a third of the size in a fifth of the time; `auto` takes it where classes and one colour of
    lines make that possible. Line edges then have some 15 shades; no channel is off by more than 16 of 255."""
    png_compression: Annotated[int, Field(ge=0, le=9)] = 2
    """zlib's level: 0 is none, 1 the fastest, 9 the smallest."""
    publish: Literal["replace", "runs"] = "replace"
    """Each map replaces the older one, or all appear at once: a folder for each run, and a link `latest`."""
    keep: Annotated[int, Field(ge=0)] = 5
    """With `runs`: how many older runs are kept."""
    publish_partial: bool = False
    """With `runs`: let a run of which maps are missing become the latest."""
