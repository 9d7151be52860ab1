"""Define `Config`: all settings of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from regionplot.registry import LAYERS
from regionplot.settings.base import LayerSettings, Section
from regionplot.settings.colors import ColorSettings
from regionplot.settings.map import MapSettings
from regionplot.settings.output import OutputSettings
from regionplot.settings.places import Places
from regionplot.settings.plugins import (
    STEP,
    dump_layers,
    dump_step,
    layer_settings,
    parse_layers,
    parse_step,
    step_settings,
)
from regionplot.settings.publish import PublishSettings
from regionplot.settings.raster import RasterSettings
from regionplot.settings.regions import RegionSettings
from regionplot.settings.run import RunSettings
from regionplot.settings.serve import ServeSettings
from regionplot.settings.sheet import SheetSettings
from regionplot.settings.statistics import StatisticsSettings

PRODUCTS = "products"
"""Name of the table of products. Each product is a table of sections, like a settings file."""
LAYER_TABLES = "(layers)"
"""Key that holds the tables of all layers while they are checked. The locations of their errors start with this key."""


class Config(Section):
    """All settings of a run, checked. `read_config` creates it.

    A config is frozen and can be pickled. Workers that cannot inherit the data load the files that their copy of the
    config names.

    The default sections are made without validation, because pydantic would build a validator for each of them. This
    takes 10 ms in each start of the command.
    """

    raster: RasterSettings
    prepare: Annotated[
        tuple[Annotated[Any, PlainValidator(parse_step), PlainSerializer(dump_step)], ...], Field(strict=False)
    ] = ()
    """Steps that derive the raster to draw from the input raster, in order."""
    map: MapSettings = MapSettings.model_construct()
    sheet: SheetSettings = SheetSettings.model_construct()
    colors: ColorSettings = ColorSettings.model_construct()
    layers: Annotated[
        dict[str, tuple[LayerSettings, ...]], PlainValidator(parse_layers), PlainSerializer(dump_layers)
    ] = Field(default_factory=dict, validation_alias=LAYER_TABLES)
    """Settings of the layers that have a table, by name. In TOML and in `model_dump`, each name is a top-level key."""
    regions: RegionSettings = RegionSettings.model_construct()
    publish: PublishSettings = PublishSettings.model_construct()
    statistics: StatisticsSettings = StatisticsSettings.model_construct()
    output: OutputSettings = OutputSettings.model_construct()
    run: RunSettings = RunSettings.model_construct()
    serve: ServeSettings = ServeSettings.model_construct()
    _places: Places = PrivateAttr(default_factory=Places)
    _products: dict[str, Config] = PrivateAttr(default_factory=dict)
    _panels: tuple[tuple[Config, ...], ...] = PrivateAttr(default=())
    _difference: tuple[str, str] | None = PrivateAttr(default=None)
    _facts: dict[str, object] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _collect_layers(cls, tables: Any) -> Any:
        if not isinstance(tables, Mapping):
            return tables
        sections = {name: tables[name] for name in tables if name in _SECTIONS}
        layers = {name: tables[name] for name in tables if name not in _SECTIONS}
        return {**sections, LAYER_TABLES: _with_clip(sections, layers)}

    @model_validator(mode="after")
    def _check_inputs_are_used(self) -> Config:
        if self.raster.inputs and not self.prepare:
            raise ValueError(
                "[raster] inputs are for [[prepare]] steps, but there is no step; add a step or remove the inputs"
            )
        if self.raster.minus is not None and self.prepare:
            raise ValueError("[raster] minus and [[prepare]] exclude each other; use the step expression")
        return self

    @property
    def places(self) -> Places:
        """The settings file, and the lines of the settings."""
        return self._places

    def with_places(self, places: Places) -> Config:
        """Store the settings file in this config, and return the config."""
        self._places = places
        return self

    @property
    def products(self) -> Mapping[str, Config]:
        """The settings of each product, by name: these settings with the `[products.NAME]` tables applied.

        Empty if the settings have no products. The raster of a product may not exist.
        """
        return self._products

    def with_products(self, products: Mapping[str, Config]) -> Config:
        """Store the settings of products in this config, and return the config."""
        self._products = dict(products)
        return self

    @property
    def difference(self) -> tuple[str, str] | None:
        """Names of two products, if the raster is that of the first product minus that of the second."""
        return self._difference

    def with_difference(self, products: tuple[str, str] | None) -> Config:
        """Store the names of two products in this config, and return the config."""
        self._difference = products
        return self

    @property
    def panels(self) -> tuple[tuple[Config, ...], ...]:
        """The settings of each panel of a sheet, row by row. Empty if the sheet shows one map."""
        return self._panels

    def with_panels(self, rows: Sequence[Sequence[Config]]) -> Config:
        """Store the settings of panels in this config, and return the config."""
        self._panels = tuple(map(tuple, rows))
        return self

    @property
    def facts(self) -> Mapping[str, object]:
        """Facts about the field of these settings: `product`, and `time` if it is not in the raster's file.

        Titles and file names can show these values. They take precedence over the metadata of the raster.
        """
        return self._facts

    def with_facts(self, facts: Mapping[str, object]) -> Config:
        """Store the facts about a field in this config, and return the config."""
        self._facts = dict(facts)
        return self

    @property
    def has_fields(self) -> bool:
        """True if a run draws several products, times or panels, or must find out at its start which time it draws."""
        return bool(self._products) or self.raster.is_series or self.sheet.panels is not None

    @property
    def needs_values(self) -> bool:
        """True if the values of cells must be loaded, not only their classes."""
        return bool(self.map.functions) or self.publish.is_active or self.statistics.is_active

    @property
    def has_functions(self) -> bool:
        """True if functions of the user draw maps, or add to maps, in these settings or in a product."""
        return any(own.map.functions for own in (self, *self._products.values()))

    @model_serializer(mode="wrap")
    def _with_layers_as_tables(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        sections: dict[str, Any] = dump(self)
        layers: dict[str, Any] = sections.pop("layers", {})
        return {**sections, **layers}


_SECTIONS: dict[str, Any] = {name: field.annotation for name, field in Config.model_fields.items() if name != "layers"}


def _with_clip(sections: Mapping[str, Any], layers: dict[str, Any]) -> dict[str, Any]:
    """Return the tables of layers with the table `focus`, if `[regions] clip` asks for it."""
    regions, page, focus = sections.get("regions"), sections.get("map"), layers.get("focus", {})
    clip = regions.get("clip") if isinstance(regions, Mapping) else getattr(regions, "clip", None)
    if clip not in ("polygon", "fade") or not isinstance(focus, Mapping):
        return layers
    paper = page.get("background", "white") if isinstance(page, Mapping) else getattr(page, "background", "white")
    outside = {"outside": paper} if clip == "polygon" else {}
    return {**layers, "focus": {**outside, **focus}}


def section_names() -> list[str]:
    """Return the names of all tables of settings: built-in sections, then layers. `products` is not one of them."""
    return [*_SECTIONS, *LAYERS]


def settings_of(name: str, table: object) -> type | None:
    """Return the class that checks a table, or None if the name or the step is unknown.

    Parameters
    ----------
    name : str
        Name of the section or layer, such as `map`, `features` or `output.png`.
    table : object
        The table. For `prepare`, the key `step` selects the class.
    """
    if name == "prepare":
        return step_settings(table.get(STEP)) if isinstance(table, Mapping) else None
    if name.startswith("output."):
        return type(OutputSettings().settings_of(name.removeprefix("output.")))
    section: type | None = _SECTIONS.get(name)
    return layer_settings(name) if section is None and name in LAYERS else section
