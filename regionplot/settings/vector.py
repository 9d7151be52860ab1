"""Settings of vector files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from regionplot.settings.base import MISSING_FILE, NOT_IN_DIGEST, Color, LayerSettings, Text, find_input
from regionplot.settings.remote_path import RemotePath, is_address
from regionplot.settings.sql import SqlCondition
from regionplot.system.files import exists
from regionplot.text import number_text, one_line, path_hint


def _find_vector_file(value: object, info: ValidationInfo) -> object:
    """Return the path of a vector file. It can be an address, if the settings allow it."""
    if not isinstance(value, str | Path) or not is_address(str(value)) or exists(Path(value)):
        return find_input(value)
    path = value if isinstance(value, RemotePath) else RemotePath.of(str(value))
    facts = {"path": one_line(str(path)), "hint": path_hint(str(value))}
    if info.data.get("allow_remote") is not True:
        hint = "{hint}, or allow it: allow_remote = true in the same table, or --allow-remote with --features"
        raise PydanticCustomError(MISSING_FILE, f"there is no file {{path}}; {hint}", facts)
    if path.suffix.lower() == ".shp":
        raise PydanticCustomError(
            "remote_shapefile", "{path}: a remote shapefile must be a zip archive with all its parts", facts
        )
    return path


class VectorSettings(LayerSettings):
    """A vector file, and the layer to read from it. Subclasses add the style."""

    allow_remote: Annotated[bool, NOT_IN_DIGEST] = False
    """Allow `path` to be an address: `s3://`, `gs://`, `az://`, `https://` or `http://`, or GDAL's name of it."""
    path: Annotated[Path, BeforeValidator(_find_vector_file), NOT_IN_DIGEST]
    """Shapefile (zipped or not), GeoPackage, GeoJSON, FlatGeobuf, or a table of points (CSV)."""
    layer: Text | None = None
    """Layer to read from a file with several layers. Default: the first layer."""
    crs: Text | None = None
    """CRS of the file. By default, the CRS that the file states."""
    where: SqlCondition = ""
    """Condition that selects features, in the SQL of GDAL, such as `scalerank <= 6`. Empty: all features."""

    @property
    def has_areas(self) -> bool:
        """True if polygons are loaded as areas, in addition to their borders."""
        return True


class ClassSettings(VectorSettings):
    """Colors of features by an attribute."""

    color_by: Text | None = None
    """Attribute that gives the colors, with `levels` or `values`."""
    levels: Annotated[tuple[float, ...], Field(strict=False)] = ()
    """Limits of the classes of a number, in ascending order."""
    values: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Values of the attribute, one for each color."""
    colors: Annotated[tuple[Color, ...], Field(strict=False)] = ()
    """Colors of the classes: one more than `levels`, or as many as `values`."""
    names: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Names of the classes in the key, one for each color. Default: `values`, or the limits of the classes."""
    key: Text | None = None
    """Label of the key of the colors, below the map. Default: `color_by`. Empty: no key."""

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        if self.color_by is None:
            return self
        if bool(self.levels) == bool(self.values):
            raise ValueError("color_by needs either levels, such as [0, 10], or values, such as ['A', 'B']")
        if list(self.levels) != sorted(set(self.levels)):
            raise ValueError("levels must increase")
        needed = len(self.levels) + 1 if self.levels else len(self.values)
        if len(self.colors) != needed:
            raise ValueError(f"colors needs {needed} colors, not {len(self.colors)}")
        if self.names and len(self.names) != needed:
            raise ValueError(f"names needs {needed} names, not {len(self.names)}")
        return self

    @property
    def key_label(self) -> str:
        """Label of the key. Empty: no key."""
        return (self.color_by or "") if self.key is None else self.key

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the key, one for each color.

        Examples
        --------
        >>> ClassSettings.model_construct(color_by="x", levels=(0, 10), colors=("red", "blue", "white")).class_names
        ('under 0', '0 to 10', '10 or more')
        """
        if self.names or self.values or not self.levels:
            return self.names or self.values
        limits = [number_text(level) for level in self.levels]
        between = (f"{low} to {high}" for low, high in pairwise(limits))
        return (f"under {limits[0]}", *between, f"{limits[-1]} or more")

    def of_classes(self) -> Iterator[tuple[str, str]]:
        """Yield a condition in the SQL of GDAL and the color of each class."""
        name = '"' + (self.color_by or "").replace('"', '""') + '"'
        if self.values:
            texts = (value.replace("'", "''") for value in self.values)
            conditions = [f"CAST({name} AS character(255)) = '{text}'" for text in texts]
        else:
            limits = pairwise([None, *self.levels, None])
            conditions = [_between(f"CAST({name} AS float)", low, high) for low, high in limits]
        own = f"({self.where}) AND " if self.where else ""
        yield from ((f"{own}{condition}", color) for condition, color in zip(conditions, self.colors, strict=True))


def _between(number: str, low: float | None, high: float | None) -> str:
    """Return a condition in SQL. None: no limit."""
    limits = [*([] if low is None else [f"{number} >= {low!r}"]), *([] if high is None else [f"{number} < {high!r}"])]
    return " AND ".join(limits)
