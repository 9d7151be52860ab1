"""TOML in, validated settings out: every unknown key, wrong value and missing file is named with its place, at once."""

from __future__ import annotations

import difflib
import os.path
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from regionplot import sample, steps, templates
from regionplot.arrival import Pattern
from regionplot.errors import ConfigError, InputError
from regionplot.fields import MISSING_FILE, InputPath, Section, Text, existing

DEFAULT_NAME = "regionplot.toml"
MAX_PIXELS = 100_000_000
MAX_BYTES = 2**20
MAX_CLASS_SPAN = 1_000_000
_RASTER_MAY_COME = "raster_may_come"
_LISTS = ("features", "prepare")


def _meant(value: object, info: ValidationInfo) -> object:
    """The path of the raster: the file that a pattern means now, or, if it may come later, the pattern."""
    if not isinstance(value, str | Path) or str(value).startswith(sample.PREFIX):
        return existing(value)
    pattern = Pattern(str(value), info.data.get("cycle", 1))
    path = pattern.find()
    if (info.context or {}).get(_RASTER_MAY_COME):
        return Path(value)
    if path is None:
        raise PydanticCustomError(MISSING_FILE, "{problem}", {"problem": pattern.absence})
    return path


def _check_template(text: str) -> str:
    templates.fields_of(text)
    return text


def _increasing(levels: tuple[float, ...]) -> tuple[float, ...]:
    for before, after in pairwise(levels):
        if not before < after:
            raise ValueError(f"levels must increase, but {after:g} follows {before:g}")
    return levels


def _has_image_suffix(text: str) -> str:
    if not text.endswith(".png"):
        raise ValueError("maps are PNG images: end the file name with .png")
    return text


Template = Annotated[Text, AfterValidator(_check_template)]
Side = Annotated[int, Field(ge=100, le=20_000)]
StartMethod = Literal["auto", "fork", "forkserver", "spawn", "serial"]


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*", text, re.ASCII):
        raise ValueError("a name is made of letters, digits and _, a letter first")
    return text


class RasterSettings(Section):
    """`[raster]`: the grid that every map shows."""

    cycle: Annotated[int, Field(ge=1, le=24)] = 1
    """Hours between two runs of a model, for `{run:%Y%m%d%H}` in `path`; before it, because that needs it."""
    path: Annotated[Path, BeforeValidator(_meant)]
    """GeoTIFF, COG, NetCDF, GRIB2 ...: a local file of a kind that `intake` lets in. May hold the time of the run and
    wildcards."""
    settle: Annotated[float, Field(ge=0, le=86_400)] = 2.0
    """Seconds without a change after which a raster that is waited for is complete."""
    band: int | Text | None = None
    """Number (from 1) or description of the band; by default the first, or the colours of all that are red, green and
    blue."""
    variable: Text | None = None
    """Variable of a NetCDF or HDF5 file that holds several."""
    mask_and_scale: bool = True
    """Make nodata missing, and apply scale and offset."""
    resampling: Literal["nearest", "bilinear", "cubic", "average", "mode", "max"] = "nearest"
    crs: Text | None = None
    """CRS of a file that names none."""
    max_cells: Annotated[int, Field(ge=1, le=2**62)] = 10_000_000_000
    """A grid of more cells is refused before any is read."""

    @property
    def pattern(self) -> Pattern:
        """What to look for as the raster; in settings read with `raster_may_come`, it may mean another file later."""
        return Pattern(str(self.path), self.cycle)

    prepared: Annotated[Path, Field(strict=False)] | None = None
    """Where the steps of `[[prepare]]` leave their result; in the user's cache folder by default."""
    inputs: dict[Annotated[str, AfterValidator(_name)], InputPath] = Field(default_factory=dict)
    """Further rasters for these steps, by the names that expressions give them."""


class MapSettings(Section):
    """`[map]`: the sheet."""

    projection: Text | dict[str, Any] = "raster"
    """`raster`, anything pyproj understands, or `{name = CARTOPY_CLASS, keyword = value}`."""
    size: Annotated[tuple[Side, Side], Field(strict=False)] = (1400, 900)
    """Width and height in pixels."""
    dpi: Annotated[float, Field(ge=20, le=1200)] = 100
    title: Template = "{title}"
    fit: Literal["datalim", "exact"] = "datalim"
    """Widen the region's limits to the panel's aspect, or keep them and letterbox."""
    background: Text = "white"
    """Colour of the panel where nothing is drawn."""
    empty: Literal["note", "skip"] = "note"
    """A region that holds nothing but nodata: a map that says so, or no map, and an older one is left as it is."""

    @model_validator(mode="after")
    def _bounded(self) -> MapSettings:
        if self.size[0] * self.size[1] > MAX_PIXELS:
            raise ValueError(f"size: {self.size[0]} x {self.size[1]} is more than {MAX_PIXELS:,} pixels")
        return self


class ClassSettings(Section):
    """One of `[colors] classes`: a value that stands for a class."""

    value: Annotated[int, Field(ge=-(2**31), lt=2**32)]
    color: Text | None = None
    """Any matplotlib colour; by default that of the raster's own colour table."""
    name: Text = ""
    """In the legend; by default the number."""


def _distinct(classes: tuple[ClassSettings, ...]) -> tuple[ClassSettings, ...]:
    """Classes of which no two have one value, and whose values a table can hold."""
    first: dict[int, int] = {}
    for number, item in enumerate(classes, 1):
        if (earlier := first.setdefault(item.value, number)) != number:
            raise ValueError(f"#{earlier} and #{number} have the same value, {item.value}")
    if max(first) - min(first) > MAX_CLASS_SPAN:
        raise ValueError(f"the values {min(first)} and {max(first)} are more than {MAX_CLASS_SPAN:,} apart")
    return classes


class ColorSettings(Section):
    """`[colors]`: from values to colours."""

    colormap: Text | None = None
    """Any of matplotlib's; by default `viridis`."""
    classes: (
        Annotated[
            tuple[ClassSettings, ...], Field(strict=False, min_length=1, max_length=1000), AfterValidator(_distinct)
        ]
        | None
    ) = None
    """Values that stand for classes, with their colours and names."""
    levels: Annotated[tuple[float, ...], Field(strict=False, min_length=2, max_length=250)] | None = None
    """Class limits; without them the scale is continuous."""
    vmin: float | None = None
    vmax: float | None = None
    norm: Literal["linear", "log", "symlog", "sqrt"] | None = None
    """By default linear."""
    under: Text = "lowest"
    """Colour below the scale: `lowest`, `none`, or any matplotlib colour."""
    over: Text = "highest"
    """Colour above the scale: `highest`, `none`, or any matplotlib colour."""
    nodata: Text = "none"
    """Colour where the raster holds nothing."""
    label: Text | None = None
    """Label of the colour bar; by default the raster's long name and units."""
    colorbar: bool = True

    @model_validator(mode="after")
    def _one_scale(self) -> ColorSettings:
        if self.levels is not None:
            _increasing(self.levels)
            if self.vmin is not None or self.vmax is not None or self.norm not in (None, "linear"):
                raise ValueError("give either levels, or vmin, vmax and norm")
        if self.vmin is not None and self.vmax is not None and not self.vmin < self.vmax:
            raise ValueError(f"vmin {self.vmin:g} must be less than vmax {self.vmax:g}")
        if self.norm == "log" and any(v is not None and v <= 0 for v in (self.vmin, self.vmax)):
            raise ValueError("a log norm needs vmin and vmax above zero")
        if self.classes is not None and self.are_for_numbers:
            raise ValueError("give either classes, or colormap, levels, vmin, vmax and norm, which are for numbers")
        return self

    @property
    def are_for_numbers(self) -> bool:
        """Whether something is said that makes sense for numbers only: the raster's own colours are not wanted."""
        return any(value is not None for value in (self.colormap, self.levels, self.vmin, self.vmax, self.norm))


class FeatureSettings(Section):
    """`[[features]]`: one vector layer."""

    path: InputPath
    """Shapefile (zipped or not), GeoPackage, GeoJSON or FlatGeobuf."""
    layer: Text | None = None
    crs: Text | None = None
    """CRS of a file that names none."""
    linewidth: Annotated[float, Field(ge=0, le=100)] = 0.6
    """Points."""
    edgecolor: Text = "black"
    facecolor: Text = "none"


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


class RunSettings(Section):
    """`[run]`: the processes."""

    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    start_method: StartMethod = "auto"
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 300
    """Seconds that one map may take."""
    maps_per_worker: Annotated[int, Field(ge=1)] = 12
    """A worker process is replaced by a fresh one after so many maps."""
    memory: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Megabytes that the loaded raster may take; beyond that each map reads its own part of it."""
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    """How often a map whose worker died or ran out of memory is tried again, alone, after all others."""
    worker_memory: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Megabytes that a worker may take beside the shared data (Linux); `auto` sets no limit."""
    nice: Annotated[int, Field(ge=0, le=19)] = 0
    """How far workers give way to other programs, as in nice(1)."""
    cache: bool = True
    """Keep projected vectors in the user's cache folder for the next run."""


class Config(Section):
    """All settings of a run, checked; `read_config` makes it.

    It is frozen and picklable: it is what travels to workers that cannot inherit the data.
    """

    raster: RasterSettings
    prepare: Annotated[tuple[steps.Step, ...], Field(strict=False)] = ()
    """What is done to the raster before it is drawn, in order."""
    map: MapSettings = MapSettings()
    colors: ColorSettings = ColorSettings()
    features: Annotated[tuple[FeatureSettings, ...], Field(strict=False)] = ()
    output: OutputSettings = OutputSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _used(self) -> Config:
        if self.raster.inputs and not self.prepare:
            raise ValueError("[raster] inputs are for the steps of [[prepare]], but there is none")
        return self


def read_config(
    source: str | Path | Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    raster_may_come: bool = False,
) -> Config:
    """Read and check the settings of a run.

    Parameters
    ----------
    source : path or mapping, optional
        A TOML file, or its contents as a mapping of sections. Relative paths in a file are relative to its folder,
        those in a mapping to the working directory.
    overrides : mapping, optional
        Sections that replace or extend those of `source`, key by key; a list (`features`, `prepare`) is replaced whole.
        Relative paths are relative to the working directory.
    raster_may_come : bool
        Leave `[raster] path` as it is written, whether there is such a file or not, to be found by `raster.pattern`.

    Raises
    ------
    ConfigError
        If the file is not TOML, or holds unknown keys or wrong values; one problem each.
    InputError
        If nothing is wrong but that input files are missing.

    Examples
    --------
    >>> read_config({"raster": {"path": "sample:relief"}}).map.size
    (1400, 900)
    """
    document = _Document.empty() if source is None else _Document.open(source)
    defaults = {"output": {"directory": document.base / "output"}}
    tables = _merge(defaults, _absolute(document.tables, document.base))
    try:
        merged = _merge(tables, _absolute(overrides or {}, Path.cwd()))
        return Config.model_validate(merged, context={_RASTER_MAY_COME: raster_may_come})
    except ValidationError as error:
        raise _explained(error, document) from None


class _Document(NamedTuple):
    """A config as found: its tables, and its text to find line numbers in."""

    name: str
    base: Path
    tables: Mapping[str, Any]
    text: str = ""

    @classmethod
    def empty(cls) -> _Document:
        return cls("settings", Path.cwd(), {})

    @classmethod
    def open(cls, source: str | Path | Mapping[str, Any]) -> _Document:
        if isinstance(source, Mapping):
            return cls("settings", Path.cwd(), source)
        path = Path(source)
        try:
            text = _read_bounded(path).decode("utf-8-sig")
            return cls(str(path), path.absolute().parent, tomllib.loads(text), text)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
        except (ValueError, RecursionError) as error:  # ValueError also of a number with thousands of digits
            raise ConfigError(f"{path}: not valid TOML: {error}") from None

    def place(self, location: tuple[int | str, ...]) -> str:
        """`regionplot.toml:12: [map] size`, as near as the text lets us say it; of several sections, the file."""
        if not location:
            return self.name
        section, *keys = _without_tag(location)
        index = next((key for key in keys[:1] if isinstance(key, int)), None)
        if index is not None:
            keys = keys[1:]
        part = [str(keys[0])] if keys else []
        if len(keys) > 1 and keys[0] == "classes" and isinstance(keys[1], int):
            part = ["classes", f"#{keys[1] + 1}", *map(str, keys[2:3])]
        header = f"[{section}]" if index is None else f"[[{section}]] #{index + 1}"
        line = self._line(str(section), index or 0, str(keys[0]) if keys else None)
        return f"{self.name}{f':{line}' if line else ''}: {' '.join([header, *part])}"

    def _line(self, section: str, index: int, key: str | None) -> int | None:
        current, seen, start = "", -1, None
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[\[?\s*([\w-]+)\s*\]", line):
                current = header[1]
                seen += current == section
            inside = current == section and seen == index
            if inside and (start is None or (key and re.match(rf"\s*{re.escape(key)}\s*=", line))):
                start = number
                if key is None:
                    break
        return start


def _read_bounded(path: Path) -> bytes:
    """A settings file; what is larger than any is not read further."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path}: it is not a file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: the file is larger than {MAX_BYTES:,} bytes; is it a settings file?")
    return content


def _absolute(tables: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The tables with the paths in them joined to the folder they are relative to."""
    result = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    for section, key in (("raster", "path"), ("raster", "prepared"), ("output", "directory")):
        if section in result:
            result[section] = _with_path(result[section], key, base)
    if isinstance(raster := result.get("raster"), dict) and isinstance(inputs := raster.get("inputs"), Mapping):
        raster["inputs"] = {name: _with_path({"path": path}, "path", base)["path"] for name, path in inputs.items()}
    if isinstance(features := result.get("features"), list | tuple):
        result["features"] = [_with_path(table, "path", base) for table in features]
    if isinstance(prepare := result.get("prepare"), list | tuple):
        for key in steps.PATH_KEYS:
            prepare = [_with_path(table, key, base) for table in prepare]
        result["prepare"] = prepare
    return result


def _without_tag(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The place of a fault without the name of the step's class, which pydantic puts into it."""
    return (*location[:2], *location[3:]) if location[0] == "prepare" and len(location) > 2 else location


def _with_path(table: Any, key: str, base: Path) -> Any:
    value = table.get(key) if isinstance(table, Mapping) else None
    if not isinstance(value, str | Path) or str(value).startswith(sample.PREFIX):
        return table
    return {**table, key: Path(os.path.normpath(base / _from_home(Path(value))))}


def _from_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user; the path then is a missing file like any other
        return path


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, table in above.items():
        old = merged.get(name)
        merged[name] = {**old, **table} if isinstance(old, dict) and isinstance(table, dict) else table
    return merged


def _explained(error: ValidationError, document: _Document) -> ConfigError | InputError:
    """All faults, those of one key together; missing files alone are a missing input, not a bad config."""
    details = error.errors(include_url=False)
    problems: dict[str, list[str]] = {}
    for detail in details:
        messages = problems.setdefault(document.place(detail["loc"]), [])
        if (message := _message(detail)) not in messages:
            messages.append(message)
    texts = [f"{place}: {' or: '.join(messages)}" for place, messages in problems.items()]
    only_missing_files = all(detail["type"] == MISSING_FILE for detail in details)
    return InputError(*texts) if only_missing_files else ConfigError(*texts)


def _message(detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return "; ".join(["unknown key", *_suggestion(detail["loc"])])
    if detail["type"] == "missing" and isinstance(detail["loc"][-1], int) and detail["loc"][0] not in _LISTS:
        return f"needs a value more after its first {detail['loc'][-1]}"
    if detail["type"] == "union_tag_not_found":
        return f"needs a step = one of {', '.join(steps.KINDS)}"
    if detail["type"] == "union_tag_invalid":
        return f"there is no step {detail['ctx']['tag']!r}; there are: {', '.join(steps.KINDS)}"
    if detail["type"] == "missing":
        return "is needed, but not given"
    message = detail["msg"].removeprefix("Value error, ")
    is_scalar = isinstance(detail["input"], str | int | float | bool)
    return f"{message} (it is {detail['input']!r})" if is_scalar and detail["type"] != MISSING_FILE else message


def _suggestion(location: tuple[int | str, ...]) -> Iterator[str]:
    known = list(Config.model_fields)
    if location[0] == "prepare" and len(location) > 2:
        known = list(steps.known_keys(location[2]))
    elif location[:2] == ("colors", "classes"):
        known = list(ClassSettings.model_fields)
    elif len(location) > 1:
        annotation = Config.model_fields[str(location[0])].annotation
        section = FeatureSettings if location[0] == "features" else annotation
        known = list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    if near:
        yield f"did you mean {near[0]!r}?"
    elif known:
        yield f"the keys are {', '.join(known)}"
