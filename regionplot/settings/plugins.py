"""Check the settings of plug-ins: layers and raster steps.

The registry gives the class for a name. Only plug-ins that the settings name are imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SerializationInfo, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from regionplot.registry import LAYERS, STEPS
from regionplot.settings.base import LayerSettings

STEP = "step"
"""The key of a `[[prepare]]` table that names the step."""
UNKNOWN_STEP = "unknown_step"
_Layers = dict[str, tuple[LayerSettings, ...]]
_typed_dict: Any = TypedDict  # mypy accepts only literal keys


def layer_settings(name: str) -> type[LayerSettings]:
    """Return the settings class of a layer: the attribute `Settings` of its class, or the class itself.

    Raises
    ------
    KeyError
        If there is no such layer.
    """
    layer = LAYERS[name]
    settings: type[LayerSettings] = getattr(layer, "Settings", layer)
    return settings


def step_settings(name: object) -> type | None:
    """Return the class of a step: a pydantic model or a pydantic dataclass. Return None if there is no such step."""
    return STEPS[name] if isinstance(name, str) and name in STEPS else None


def fields_of(settings: type) -> Mapping[str, FieldInfo]:
    """Return the fields of a settings class by name. Other classes have no fields."""
    if issubclass(settings, BaseModel):
        return settings.model_fields
    fields: Mapping[str, FieldInfo] = getattr(settings, "__pydantic_fields__", {})
    return fields


def parse_layers(tables: Mapping[str, Any]) -> _Layers:
    """Check the tables of all layers.

    Parameters
    ----------
    tables : mapping
        Table or array of tables by name of the layer. Settings that are already checked are returned unchanged.

    Raises
    ------
    ValidationError
        If tables have faults or layers are unknown. Each fault is one error.
    """
    checker = _layers_checker(tuple((name, layer_settings(name)) for name in tables if name in LAYERS))
    layers = checker.validate_python(tables)
    return {name: settings for name, settings in layers.items() if settings}


@lru_cache(maxsize=32)
def _layers_checker(settings: tuple[tuple[str, type[LayerSettings]], ...]) -> TypeAdapter[_Layers]:
    """Return the checker of tables of some layers. It takes a millisecond to make, several times longer than a check.

    Parameters
    ----------
    settings : tuple
        Pairs of the name of a layer and its settings class.
    """
    shape = _typed_dict("Layers", {name: _tables_type(cls) for name, cls in settings})
    shape.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(shape)


def dump_layers(layers: Mapping[str, tuple[LayerSettings, ...]], info: SerializationInfo) -> dict[str, Any]:
    """Return layers as the tables that `parse_layers` reads."""
    tables = {name: [settings.model_dump(mode=info.mode) for settings in items] for name, items in layers.items()}
    return {name: dumped if layers[name][0].is_array else dumped[0] for name, dumped in tables.items()}


def parse_step(table: Any) -> object:
    """Check one `[[prepare]]` table.

    Parameters
    ----------
    table : mapping or object
        A table with the key `step`. A step that is already checked is returned unchanged.

    Raises
    ------
    ValidationError
        If the table has faults. Each fault is one error.
    PydanticCustomError
        If there is no such step.
    """
    name = table.get(STEP) if isinstance(table, Mapping) else getattr(table, STEP, None)
    step = step_settings(name)
    if step is None:
        raise PydanticCustomError(UNKNOWN_STEP, "{problem}", {"problem": _unknown_step_message(name)})
    if isinstance(table, step):
        return table
    keys = {key: value for key, value in table.items() if key != STEP or STEP in fields_of(step)}
    return step(**keys)  # a strict pydantic dataclass accepts no mapping


def dump_step(step: object, info: SerializationInfo) -> dict[str, Any]:
    """Return a step as the table that `parse_step` reads."""
    mode: Any = info.mode
    return {STEP: getattr(step, STEP), **TypeAdapter(type(step)).dump_python(step, mode=mode)}


def _tables_type(settings: type[LayerSettings]) -> Any:
    if settings.is_array:
        return Annotated[tuple[settings, ...], Field(strict=False)]  # type: ignore[valid-type]
    return Annotated[settings, AfterValidator(lambda layer: (layer,))]


def _unknown_step_message(name: object) -> str:
    steps = ", ".join(STEPS)
    return f"step is missing; use one of {steps}" if name is None else f"there is no step {name!r}; use one of {steps}"
