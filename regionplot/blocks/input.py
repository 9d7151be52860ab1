"""Name the inputs of a run over blocks: a path, the bands to read, and options for opening and reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.blocks.arguments import check_bands, is_integer

Inputs = Any
"""A path, an `Input`, or a sequence of both."""
READ_OPTIONS = ("boundless", "fill_value", "resampling")
RESAMPLINGS = ("nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "rms")
"""Methods of GDAL for reads. Others need a whole raster: `gauss` changes cells at the edges of blocks."""
_FORMS = "a path, an Input(path, ...), or a sequence of these"
_NO_OPTIONS = {
    "mode", "driver", "width", "height", "count", "crs", "transform", "dtype", "nodata", "sharing", "thread_safe",
    "opener",
}  # fmt: skip
"""Arguments of `rasterio.open` that are not open options of a driver."""


@dataclass(frozen=True)
class Input:
    """An input of `process_blocks` with its own bands and options. A plain path is an input without options.

    Raises
    ------
    TypeError, ValueError
        If a field has a wrong type or value.

    Examples
    --------
    >>> Input("sky.tif", bands=[3, 1], open_options={"overview_level": 0}).bands
    (3, 1)
    """

    path: str | Path
    """The raster."""
    bands: Sequence[int] | None = None
    """Numbers of the bands to read, counted from 1. By default, the argument `bands` of the call, or all bands."""
    open_options: Mapping[str, Any] = field(default_factory=dict)
    """Open options of GDAL's driver. `{"overview_level": 0}` reads the first overview as a raster of its own."""
    read_options: Mapping[str, Any] = field(default_factory=dict)
    """How cells are read. `resampling` is a method such as "bilinear": the input then may have another cell size.
    `boundless=True`: the input need not cover the whole grid. Cells outside of it are `fill_value`, by default the
    nodata value of the band or 0. If all inputs are boundless, halos are not clipped at the edges of the grid.
    """

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | Path):
            raise TypeError(f"the path of an Input must be a path, not {self.path!r}")
        opening = {name.upper(): value for name, value in _options("open_options", self.open_options).items()}
        wrong = [name for name in opening if name.lower() in _NO_OPTIONS]
        if wrong:
            raise ValueError(f"open_options takes options of GDAL's drivers, but {wrong[0].lower()} is not one of them")
        level = opening.get("OVERVIEW_LEVEL", 0)
        if not is_integer(level) and not (isinstance(level, str) and level.removesuffix(" only").isdigit()):
            raise TypeError(f"overview_level in open_options must be an integer of at least 0, not {level!r}")
        if is_integer(level) and level < 0:
            raise ValueError(f"overview_level in open_options must be an integer of at least 0, not {level!r}")
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "bands", check_bands(self.bands))
        object.__setattr__(self, "open_options", opening)
        object.__setattr__(self, "read_options", _checked_reading(self.read_options))


def _options(name: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise TypeError(f"{name} must be a mapping of names and values, not {given!r}")
    return dict(given)


def _checked_reading(given: Any) -> dict[str, Any]:
    """Return read options, with the name of the resampling method."""
    options = _options("read_options", given)
    unknown = [name for name in options if name not in READ_OPTIONS]
    if unknown:
        raise ValueError(f"read_options has the key {unknown[0]!r}; the keys are {', '.join(READ_OPTIONS)}")
    if not isinstance(options.get("boundless", False), bool):
        raise TypeError(f"boundless in read_options must be True or False, not {options['boundless']!r}")
    if "fill_value" in options and not options.get("boundless"):
        raise ValueError("fill_value in read_options needs boundless=True, because no cells are filled otherwise")
    if not isinstance(options.get("fill_value", 0), int | float | complex | np.number):
        raise TypeError(f"fill_value in read_options must be a number, not {options['fill_value']!r}")
    if options.get("resampling") is not None:
        method = getattr(options["resampling"], "name", options["resampling"])
        if method not in RESAMPLINGS:
            raise ValueError(f"resampling in read_options must be one of {', '.join(RESAMPLINGS)}, not {method!r}")
        options["resampling"] = method
    return options


def inputs_of(
    inputs: Inputs, bands: Any = None, open_options: Any = None, read_options: Any = None
) -> tuple[Input, ...]:
    """Return inputs in any accepted form, each with its bands and options.

    Parameters
    ----------
    inputs : path, Input or sequence of both
        The inputs, as given by the user.
    bands : sequence of int, or sequence of sequences, optional
        Bands of all inputs that name none, or the bands of each input in order.
    open_options, read_options : mapping, or sequence of mappings, optional
        Options of all inputs that have none, or the options of each input in order.

    Raises
    ------
    TypeError, ValueError
        If an argument has another form.
    """
    listed = [inputs] if isinstance(inputs, str | Path | Input) else inputs
    if isinstance(listed, bytes | Mapping) or not isinstance(listed, Iterable):
        raise TypeError(f"inputs must be {_FORMS}, not {inputs!r}")
    found = [_input_of(item) for item in listed]
    columns = (
        _bands_per_input(bands, len(found)),
        _options_per_input("open_options", open_options, len(found)),
        _options_per_input("read_options", read_options, len(found)),
    )
    return tuple(_completed(item, *given) for item, *given in zip(found, *columns, strict=True))


def _completed(item: Input, bands: Any, open_options: Any, read_options: Any) -> Input:
    """Return an input. Bands and options that it lacks are added."""
    changes = {"bands": bands} if item.bands is None and bands is not None else {}
    changes |= {"open_options": open_options} if open_options and not item.open_options else {}
    changes |= {"read_options": read_options} if read_options and not item.read_options else {}
    return replace(item, **changes) if changes else item


def _input_of(item: Any) -> Input:
    if isinstance(item, Input):
        return item
    if not isinstance(item, str | Path):
        raise TypeError(f"inputs must be {_FORMS}, but one of them is {item!r}")
    return Input(item)


def _bands_per_input(bands: Any, count: int) -> list[tuple[int, ...] | None]:
    is_nested = isinstance(bands, list | tuple) and bands and not any(map(is_integer, bands))
    if not is_nested or not all(own is None or isinstance(own, list | tuple | range | np.ndarray) for own in bands):
        return [check_bands(bands)] * count
    _check_count("bands", bands, count)
    return [check_bands(own) for own in bands]


def _options_per_input(name: str, given: Any, count: int) -> list[Any]:
    if given is None or isinstance(given, Mapping):
        return [given] * count
    if not isinstance(given, list | tuple) or not all(own is None or isinstance(own, Mapping) for own in given):
        raise TypeError(f"{name} must be a mapping for all inputs, or a list with one mapping per input, not {given!r}")
    _check_count(name, given, count)
    return list(given)


def _check_count(name: str, given: Sequence[Any], count: int) -> None:
    if len(given) != count:
        raise ValueError(f"{name} has values for {len(given)} inputs, but there are {count}")
