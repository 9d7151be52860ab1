"""Load the fields of a run in groups that fit into the memory budget.

All fields share the vector layers. Fields that draw the same cells share these cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from regionplot.errors import RasterReplacedError, RegionplotError
from regionplot.geo.region import Region
from regionplot.inputs.color_tables import RgbBands
from regionplot.inputs.describe import open_source
from regionplot.inputs.source import RasterSource
from regionplot.layers.base import Layer
from regionplot.settings.config import Config
from regionplot.shared.budget import memory_budget
from regionplot.shared.data import SharedData
from regionplot.shared.fields import Field
from regionplot.shared.load import DrawnRaster, LoadedCells
from regionplot.shared.plan import LoadPlan

GROUP_BYTES = 128 * 2**20
"""Maximum size of the cells of a group, if a group has several fields. Larger groups are not faster."""
_MAX_FIELDS = 16
"""Maximum number of fields of a group that need cells of their own. Each field also has a frame and tables."""
_NOT_CELLS = {"cycle", "settle", "prepared", "inputs", "max_cells", "levels"}
"""Settings of a raster on which its cells do not depend."""
_ATTEMPTS = 3
"""Maximum number of times that a field is opened again because its raster was replaced."""


@dataclass(frozen=True)
class OpenedField:
    """A field whose raster has been described, but not read."""

    field: Field
    config: Config
    """The settings, with the prepared raster if the settings have raster steps."""
    raster: DrawnRaster
    plan: LoadPlan
    file: RasterSource
    """The source of the raster's file, for further fields that draw the same raster."""
    data: SharedData | None = None
    """The data, if the caller of the run has loaded them."""
    members: tuple[OpenedField, ...] = ()
    """The fields of the panels, if this is a sheet with panels."""

    @classmethod
    def of_sheet(cls, found: Field, members: Sequence[OpenedField]) -> OpenedField:
        """Return a sheet with panels. `members` are the fields of all panels, row by row."""
        left, first = iter(members), members[0]
        config = found.config.model_copy()
        config = config.with_panels([[next(left).config for _ in row] for row in found.members])
        plan = replace(first.plan, panels=tuple(each.plan for each in members))
        return cls(found, config, first.raster, plan, first.file, members=tuple(members))

    @classmethod
    def of_loaded(cls, found: Field, data: SharedData) -> OpenedField:
        """Return a field whose data are loaded."""
        raster = DrawnRaster(data.source, data.info, data.coloring, data.config)
        return cls(found, data.config, raster, data.plan, data.source, data)

    @classmethod
    def of(
        cls, found: Field, config: Config, regions: Sequence[Region] | None, other: OpenedField | None = None
    ) -> OpenedField:
        """Open the raster of a field, and plan which part is loaded.

        Parameters
        ----------
        found : Field
            The field.
        config : Config
            Its settings without raster steps.
        regions : sequence of Region
            All regions that will be drawn.
        other : OpenedField, optional
            A field that may draw the same raster. Then its file is not opened again.

        Raises
        ------
        InputError, ConfigError
            As for `DrawnRaster.of` and `DrawnRaster.plan`.
        """
        if found.members:
            return cls.of_sheet(found, [cls.of(each, each.config, regions) for row in found.members for each in row])
        is_same = other is not None and raster_key(other.config) == raster_key(config)
        file = other.file if other is not None and is_same else open_source(config.raster)
        raster = DrawnRaster.of(config, file)
        return cls(found, config, raster, raster.plan(regions), file)

    def with_plan_of(self, data: SharedData | None) -> OpenedField:
        """Return the field with the plan of its data, which is new if the raster was replaced while it was read."""
        return self if data is None or data.plan is self.plan else replace(self, plan=data.plan)

    @property
    def size(self) -> int:
        """Memory that the cells need, in bytes."""
        if self.members:
            return sum(each.size for each in self.members)
        return 0 if self.plan.reads_per_map else self.plan.window.cells * self.raster.info.dtype.itemsize

    @property
    def cells(self) -> tuple[object, ...]:
        """Key of the cells that are loaded. Fields with equal keys can share the cells."""
        if self.members:
            return "sheet", *(each.cells for each in self.members)
        kind = "rgb" if isinstance(self.raster.coloring, RgbBands) else ""
        return raster_key(self.config), kind, self.plan.window, self.plan.reads_per_map, self.plan.fingerprint


def raster_key(config: Config) -> str:
    """Return a text that is equal for settings that draw the same raster."""
    steps = [repr(step) for step in config.prepare]
    return config.raster.model_dump_json(exclude=_NOT_CELLS) + (repr((steps, config.raster.inputs)) if steps else "")


def by_raster(fields: Sequence[Field]) -> list[Field]:
    """Return fields in their order, but fields that draw the same raster one after the other."""
    rasters: dict[str, list[Field]] = {}
    for each in fields:
        rasters.setdefault(raster_key(each.config), []).append(each)
    return [each for same in rasters.values() for each in same]


def in_groups(opened: Iterable[OpenedField], config: Config) -> Iterator[list[OpenedField]]:
    """Yield fields in groups whose cells fit into the memory budget together.

    Parameters
    ----------
    opened : iterable of OpenedField
        The fields. They are opened as late as possible.
    config : Config
        The settings of the run.
    """
    memory = None if config.run.memory == "auto" else config.run.memory
    budget, size, group = min(GROUP_BYTES, memory_budget(memory)), 0, list[OpenedField]()
    keys: set[object] = set()
    for each in opened:
        is_new = each.cells not in keys
        own = each.size if is_new else 0
        if group and is_new and (size + own > budget or len(keys) >= _MAX_FIELDS):
            yield group
            size, group, keys = 0, [], set()
        group.append(each)
        keys.add(each.cells)
        size += own
    if group:
        yield group


@dataclass
class FieldLoader:
    """Load fields one after the other. The vector layers are loaded once for each CRS of the maps."""

    regions: Sequence[Region]
    layers: tuple[Layer, ...] = ()
    """Layers that are loaded: of an earlier run, then of the fields of this run."""
    _products: set[str] = field(default_factory=set)
    """Products of which a field was loaded."""

    def load(self, group: Sequence[OpenedField]) -> Iterator[tuple[OpenedField, SharedData | RegionplotError]]:
        """Yield each field of a group with its data, or with the reason why it cannot be loaded."""
        users = Counter(each.cells for each in group)
        kept: dict[object, LoadedCells] = {}
        for each in group:
            try:
                data = self._load(each, users, kept)
            except RegionplotError as error:
                yield each, error
                continue
            self._keep_layers(data)
            yield each, data

    def _load(
        self, opened: OpenedField, users: Counter[tuple[object, ...]], kept: dict[object, LoadedCells]
    ) -> SharedData:
        """Load a field. If its raster is replaced while it is read, load the new raster."""
        for _ in range(_ATTEMPTS):
            try:
                cells = self._cells(opened, users, kept)
                return self._load_with(opened, cells)
            except RasterReplacedError:
                again = OpenedField.of(opened.field, opened.config, self.regions)
                opened = replace(again, plan=replace(again.plan, series=opened.plan.series))
        return self._load_with(opened, self._cells(opened, users, kept))

    def _cells(
        self, opened: OpenedField, users: Counter[tuple[object, ...]], kept: dict[object, LoadedCells]
    ) -> LoadedCells | None:
        """Return the cells of a field that other fields of the group share, or None if no other field shares them."""
        key = opened.cells
        if users[key] < 2:
            return None
        if key not in kept:
            loaded = opened.raster.load_values(opened.plan)
            kept[key] = loaded if opened.plan.series is None else replace(loaded, series=None)
        return opened.raster.coded(kept[key], opened.plan)

    def _load_with(self, opened: OpenedField, cells: LoadedCells | None) -> SharedData:
        is_first = opened.field.product not in self._products
        self._products.add(opened.field.product)
        return SharedData.load(
            opened.config,
            self.regions if is_first else None,  # warn only once of layers outside of all maps
            opened.plan,
            self.layers,
            raster=opened.raster,
            cells=cells,
        )

    def _keep_layers(self, data: SharedData) -> None:
        known = {id(layer) for layer in self.layers}
        self.layers += tuple(layer for layer in data.layers if id(layer) not in known)
