"""Put products or times side by side on one sheet.

::

    [sheet] panels = [["forecast", "analysis"]] ─► fields of products and times ─► sheets, one for each time
                                                                                     └─► settings of each panel

Each panel has settings of its own, with the size of its part of the sheet. A panel is loaded and drawn like a map of
this size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from regionplot.errors import ConfigError, Place, Problem
from regionplot.geo.region import Region
from regionplot.layers.base import Layer
from regionplot.registry import WRITERS
from regionplot.settings.base import Section
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.fields import Field
from regionplot.shared.load import StartCells
from regionplot.shared.plan import LoadPlan
from regionplot.sheet.layout import Page
from regionplot.writers.base import make_writer

_TITLE, _TITLE_OF_PRODUCT = "{quantity}", "{product}: {quantity}"


@dataclass(frozen=True)
class PanelGrid:
    """The parts of a sheet: a heading, and equal panels in rows and columns. Sizes are in pixels."""

    size: tuple[int, int]
    """Width and height of the sheet."""
    heading: int
    """Height of the heading."""
    panel: tuple[int, int]
    """Width and height of a panel, with its title and color bar."""

    @classmethod
    def of(cls, config: Config, rows: int, columns: int) -> PanelGrid:
        """Return the parts of a sheet. All are even, so that texts are rounded to pixels as on a map of its own."""
        width, height = config.map.size
        heading = _even(Page(config).pixels(config.sheet.title_height))
        heading += (height - heading) % 2
        return cls((width, height), heading, (_even(width // columns), _even((height - heading) // rows)))

    def offset(self, row: int, column: int) -> tuple[int, int]:
        """Return the pixels from the lower left corner of the sheet to that of a panel."""
        width, height = self.panel
        return column * width, self.size[1] - self.heading - (row + 1) * height


def _even(pixels: int) -> int:
    return pixels // 2 * 2


def sheets_of(config: Config, fields: Sequence[Field]) -> list[Field]:
    """Return the sheets of a run: one for each time that all panels without a time of their own have.

    Parameters
    ----------
    config : Config
        The settings of the run, with `[sheet] panels`.
    fields : sequence of Field
        The fields of all products and times.

    Raises
    ------
    ConfigError
        If a panel names an unknown product or time, or the format shows only one panel.
    """
    assert config.sheet.panels is not None, "the sheet has panels"
    if getattr(make_writer(config.output), "shows_panel_only", False):
        message = 'a sheet with panels cannot be cut to one panel; set area = "sheet" in [output.geotiff]'
        raise ConfigError(Problem(message, config.places.locate(Place(section="output", key="filename"))))
    known: dict[str, dict[datetime | None, Field]] = {}
    for each in fields:
        known.setdefault(each.product, {})[each.time] = each
    rows = [[_choices(name, known, config) for name in row] for row in config.sheet.panels]
    many = [choices for row in rows for choices in row if len(choices) > 1]
    common = set.intersection(*({*choices} for choices in many)) if many else set()
    times: list[datetime | None] = [*sorted(time for time in common if time is not None)] if many else [None]
    return [_sheet(config, [[_at(choices, time) for choices in row] for row in rows], time) for time in times]


def _choices(
    name: str, known: Mapping[str, Mapping[datetime | None, Field]], config: Config
) -> Mapping[datetime | None, Field]:
    """Return the fields that a panel can show, by time."""
    if name in known:
        return known[name]
    product, _, time = name.rpartition("/")
    found = known.get(product, {})
    chosen = [each for number, each in enumerate(found.values()) if time in (each.time_text, str(number))]
    if chosen:
        return {chosen[0].time: chosen[0]}
    names = [each.name if each.product else each.time_text for fields in known.values() for each in fields.values()]
    message = (
        f"there is no product or time {name!r}; use one of {', '.join(dict.fromkeys([*filter(None, known), *names]))}"
    )
    raise ConfigError(Problem(message, config.places.locate(Place(section="sheet", key="panels"))))


def _at(choices: Mapping[datetime | None, Field], time: datetime | None) -> Field:
    return next(iter(choices.values())) if len(choices) == 1 else choices[time]


def _sheet(config: Config, rows: Sequence[Sequence[Field]], time: datetime | None) -> Field:
    """Return one sheet. A panel whose raster cannot be found is the problem of the sheet."""
    grid = PanelGrid.of(config, len(rows), max(map(len, rows)))
    members = tuple(tuple(replace(each, config=_panel_config(config, each, grid)) for each in row) for row in rows)
    flat = [each for row in members for each in row]
    facts: dict[str, object] = {"product": ""} if time is None else {"product": "", "time": time}
    own = _with_file_name(config, time).model_copy(update={"raster": flat[0].config.raster})
    own = own.with_products({}).with_facts(facts).with_panels([[each.config for each in row] for row in members])
    problem = next((each.problem for each in flat if each.problem), None)
    return Field(own, "", time, problem=problem, members=members)


def _with_file_name(config: Config, time: datetime | None) -> Config:
    if time is None or "filename" in config.output.model_fields_set:
        return config.model_copy()
    name = "{time:%Y%m%dT%H%M}/" + config.output.filename
    return config.model_copy(update={"output": config.output.model_copy(update={"filename": name})})


def _panel_config(sheet: Config, field: Field, grid: PanelGrid) -> Config:
    """Return the settings of one panel: those of its field, with the size of a panel and a title of its own."""
    own, given = field.config, sheet.sheet.panel_title
    usual = _TITLE_OF_PRODUCT if field.product and own.raster.minus is None else _TITLE
    title = own.map.title if own.map.title != sheet.map.title else given or usual
    update: dict[str, Any] = {
        "map": own.map.model_copy(update={"size": grid.panel, "title": title, "subtitle": ""}),
        "sheet": own.sheet.model_copy(update={"panels": None}),
        "output": own.output.model_copy(update={"filename": "{name}.png", "formats": {"png": _rgb_settings()}}),
    }
    return own.model_copy(update=update)


def _rgb_settings() -> Section:
    settings: Section = WRITERS["png"].Settings(mode="rgb")
    return settings


def load_sheet(
    config: Config,
    regions: Sequence[Region] | None,
    plan: LoadPlan | None,
    layers: Sequence[Layer],
    start_cells: StartCells,
) -> SharedData:
    """Load the data of all panels of a sheet. Return the data of the first panel, with those of all panels.

    Parameters
    ----------
    config : Config
        The settings of the sheet, with those of its panels.
    regions, plan, layers, start_cells
        As for `SharedData.load`.

    Raises
    ------
    InputError, ConfigError
        As for `SharedData.load`.
    """
    plans = iter(plan.panels if plan is not None else ())
    known, rows = list(layers), list[tuple[SharedData, ...]]()
    for row in config.panels:
        found = []
        for own in row:
            found.append(SharedData.load(own, regions, next(plans, None), known, start_cells=start_cells))
            known += found[-1].layers
        rows.append(tuple(found))
    return combined(config, rows)


def combined(config: Config, rows: Sequence[Sequence[SharedData]]) -> SharedData:
    """Return the data of a sheet."""
    flat = list(_flat(rows))
    plan = replace(flat[0].plan, panels=tuple(each.plan for each in flat))
    return replace(flat[0], config=config, plan=plan, panels=tuple(map(tuple, rows)))


def _flat(rows: Sequence[Sequence[SharedData]]) -> Iterator[SharedData]:
    return (each for row in rows for each in row)
