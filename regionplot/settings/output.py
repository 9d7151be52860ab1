"""The `[output]` section."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, SerializeAsAny, TypeAdapter, model_validator
from typing_extensions import TypedDict

from regionplot.registry import WRITERS
from regionplot.settings.base import NOT_IN_DIGEST, Section, Template
from regionplot.system.cache import user_cache_folder

FORMATS = "formats"
"""Field that holds the `[output.NAME]` sections. Users do not write this name."""


def find_format(filename: str) -> str:
    """Return the name of the format that the suffix of a file name selects.

    Parameters
    ----------
    filename : str
        Name of a file, or template for names. The suffix must not be a template field.

    Raises
    ------
    ValueError
        If no writer has this suffix.
    """
    suffix = filename.rpartition(".")[2]
    names = [suffix] if suffix in WRITERS else list(WRITERS)
    found = next((name for name in names if f".{suffix}" in WRITERS[name].suffixes), None)
    if found is None:
        known = ", ".join(suffix for name in WRITERS for suffix in WRITERS[name].suffixes)
        raise ValueError(f"the suffix of the file name sets the format; use one of {known}")
    return found


def _has_known_suffix(filename: str) -> str:
    find_format(filename)
    return filename


def _parse_formats(tables: Mapping[str, Any]) -> dict[str, Section]:
    """Check each `[output.NAME]` table with the settings class of its writer."""
    shape = TypedDict("Formats", {name: WRITERS[name].Settings for name in tables})  # type: ignore[misc]
    adapter: TypeAdapter[Any] = TypeAdapter(shape)
    return dict(adapter.validate_python(tables))


def _check_url(url: str) -> str:
    if url and (not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^?#@\s]+", url) or url.startswith("file:")):
        raise ValueError("give a URL such as s3://bucket/maps, without password and query, or a folder as directory")
    return url.rstrip("/")


class OutputSettings(Section):
    """Location, names and format of the maps."""

    directory: Annotated[Path, Field(strict=False), NOT_IN_DIGEST] = Path("output")
    """Folder for the maps, or a place in object storage, such as `s3://bucket/maps`."""
    url: Annotated[str, AfterValidator(_check_url), NOT_IN_DIGEST] = ""
    """Place in object storage to which the maps in `directory` are copied. Default: `directory`, if it is a URL."""
    filename: Annotated[Template, AfterValidator(_has_known_suffix), NOT_IN_DIGEST] = "{name}.png"
    """Template for the file names of maps. The suffix sets the format, and `/` creates folders."""
    formats: Annotated[dict[str, SerializeAsAny[Section]], PlainValidator(_parse_formats), NOT_IN_DIGEST] = Field(
        default_factory=dict
    )
    """Settings of formats by name: the `[output.NAME]` sections. The digest of a map covers only its own format."""
    world_file: bool = False
    """Write a world file beside each map, and files with the CRS of the map, for GIS programs."""
    publish: Annotated[Literal["replace", "runs"], NOT_IN_DIGEST] = "replace"
    """`replace`: each map replaces the older map. `runs`: each run has its own folder, and the link `latest` is
    switched when all maps are complete."""
    keep: Annotated[int, Field(ge=0), NOT_IN_DIGEST] = 5
    """With `runs`: number of complete runs to keep, in addition to the latest run."""
    publish_partial: Annotated[bool, NOT_IN_DIGEST] = False
    """With `runs`: also publish a run with missing maps."""

    @property
    def format(self) -> str:
        """Name of the format of the maps."""
        return find_format(self.filename)

    @property
    def writer_settings(self) -> Section:
        """Settings of the format of the maps."""
        return self.settings_of(self.format)

    def settings_of(self, name: str) -> Section:
        """Return the settings of a format: its `[output.NAME]` section, or the defaults."""
        settings: Section = self.formats.get(name) or WRITERS[name].Settings()
        return settings

    @model_validator(mode="before")
    @classmethod
    def _split_url(cls, section: Any) -> Any:
        """If `directory` is a URL, move it to `url`. Its maps are drawn into a folder in the user's cache."""
        if not isinstance(section, Mapping) or "://" not in str(section.get("directory", "")):
            return section
        url = _check_url(str(section["directory"]))
        name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
        return {**section, "directory": user_cache_folder() / "outputs" / name, "url": url}

    @model_validator(mode="before")
    @classmethod
    def _collect_formats(cls, section: Any) -> Any:
        """Move the `[output.NAME]` tables into one field.

        The keys of older versions are accepted: `NAME = "..."` sets `mode` in `[output.NAME]`, and `NAME_KEY` sets
        `KEY`. The newer keys override them.
        """
        if not isinstance(section, Mapping) or FORMATS in section:
            return section
        rest: dict[str, Any] = {}
        tables: dict[str, Any] = {}
        old: dict[str, Any] = {}
        for key, value in section.items():
            name, _, part = str(key).partition("_")
            if key in cls.model_fields or name not in WRITERS:
                rest[key] = value
            elif part or not isinstance(value, Mapping | Section):
                old.setdefault(name, {})[part or "mode"] = value
            else:
                tables[name] = value
        for name, keys in old.items():
            tables[name] = {**keys, **dict(tables.get(name, {}))}
        return {**rest, FORMATS: tables} if tables else rest
