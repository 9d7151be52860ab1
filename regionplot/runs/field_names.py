"""Name the files of the maps of several fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from regionplot.errors import RasterError, RegionplotError
from regionplot.geo.region import Region
from regionplot.inputs.describe import inspect_raster
from regionplot.inputs.metadata import with_lead_time
from regionplot.runs.filenames import NamelessMap, name_maps
from regionplot.runs.jobs import FieldLabel
from regionplot.settings.config import Config
from regionplot.shared.fields import Field
from regionplot.text import fields_of

_FROM_RASTER = {"time", "lead"}
"""Fields of file names that can come from the metadata of the raster."""
NamedMaps = list[tuple[Region, str, FieldLabel]]


def name_fields(fields: Sequence[Field], regions: Sequence[Region]) -> tuple[NamedMaps, list[Field]]:
    """Return all maps with their file names, and the fields. A field whose time is not known gets a problem.

    Parameters
    ----------
    fields : sequence of Field
        The fields.
    regions : sequence of Region
        The regions.

    Raises
    ------
    RegionsError
        As for `name_maps`.
    """
    known = [_with_facts(found, set(regions[0].fields)) for found in fields]
    maps = [each for found, facts in known for each in _nameless(found, facts, regions)]
    return name_maps(maps), [found for found, _ in known]


def _with_facts(found: Field, columns: set[str]) -> tuple[Field, Mapping[str, object]]:
    """Return a field with the values of the fields of its file names. Open its raster only if that is necessary."""
    config, facts = found.config, found.config.facts
    wanted = (_FROM_RASTER & set(fields_of(config.output.filename))) - columns - set(facts)
    if found.problem is not None or not wanted:
        return found, facts
    try:
        described = with_lead_time({**inspect_raster(config.raster).description, **facts})
        missing = sorted(wanted - set(described))
        if missing:
            raise RasterError(f"{config.raster.path}: [output] filename: the {missing[0]} of this raster is unknown")
    except RegionplotError as error:
        return replace(found, problem=error), facts
    return found, {**facts, **{name: described[name] for name in wanted}}


def _nameless(found: Field, facts: Mapping[str, object], regions: Sequence[Region]) -> Iterator[NamelessMap]:
    label = FieldLabel(found.name, found.product, found.time_text)
    template = found.config.output.filename if found.problem is None else _unwritten(found.config)
    has_world_file = found.config.output.world_file
    return (NamelessMap(region, template, facts, label, has_world_file) for region in regions)


def _unwritten(config: Config) -> str:
    """Return the template for maps that fail because their raster is unknown. Their files have no time."""
    suffix = config.output.filename.rpartition(".")[2]
    return f"{{product}}/{{name}}.{suffix}" if "product" in config.facts else f"{{name}}.{suffix}"
