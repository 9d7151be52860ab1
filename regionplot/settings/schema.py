"""Generate the JSON Schema of regionplot.toml. Editors check and complete settings with it.

The schema is draft 4, the version that taplo supports best. Descriptions are the docstrings of classes and fields.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter

from regionplot.registry import LAYERS, STEPS, WRITERS
from regionplot.settings.config import PRODUCTS, Config, section_names, settings_of
from regionplot.settings.field import FieldSettings
from regionplot.settings.output import FORMATS, OutputSettings
from regionplot.settings.plugins import STEP, fields_of, layer_settings
from regionplot.settings.raster import RasterSettings

_DRAFT = "http://json-schema.org/draft-04/schema#"
_REF = "#/definitions/{model}"
Schema = dict[str, Any]
_NAMES = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
_DIFFERENCE = {**_NAMES, "description": "Names of two products. This product is the first minus the second."}
_PRODUCTS = {
    "type": "object",
    "description": "Tables of settings that override those of the file for one product.",
    "additionalProperties": {"type": "object", "properties": {"difference": _DIFFERENCE}},
}
"""Schema of `[products.NAME]`. The sections of a product are not described, because each of its keys is optional."""


def config_schema() -> Schema:
    """Return the JSON Schema of regionplot.toml, with the layers and steps of all installed packages."""
    definitions: Schema = {}
    properties = {name: _section(name, definitions) for name in section_names()}
    schema = {
        "$schema": _DRAFT,
        "description": "Settings of regionplot.",
        "type": "object",
        "properties": {**properties, PRODUCTS: _PRODUCTS},
        "required": ["raster"],
        "additionalProperties": False,
        "definitions": definitions,
    }
    overlays = {name: each for name, each in definitions.items() if name != RasterSettings.__name__}
    definitions |= {name: _with_names_of_products(each) for name, each in overlays.items()}
    draft4: Schema = _as_draft4(schema)
    return draft4


def _with_names_of_products(schema: Any) -> Any:
    """Return a schema in which a raster of an overlay can also be the name of a product."""
    if isinstance(schema, list):
        return [_with_names_of_products(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("$ref") == _REF.format(model=FieldSettings.__name__):
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**rest, "anyOf": [{"$ref": schema["$ref"]}, {"type": "string", "pattern": "^product:"}]}
    return {key: _with_names_of_products(value) for key, value in schema.items()}


def schema_text() -> str:
    """Return the JSON Schema of regionplot.toml as text."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"


def _section(name: str, definitions: Schema) -> Schema:
    """Return the schema of one table or array of tables. Add the schemas of its classes to the definitions."""
    if name == "prepare":
        steps = [_step(step, definitions) for step in STEPS]
        return {"type": "array", "items": {"anyOf": steps}, "description": _docstrings(Config)["prepare"]}
    settings = settings_of(name, {})
    if settings is None:
        raise KeyError(name)
    table = _table(settings, definitions)
    if settings is OutputSettings:
        _add_formats(definitions[settings.__name__]["properties"], definitions)
    return {"type": "array", "items": table} if name in LAYERS and layer_settings(name).is_array else table


def _add_formats(properties: Schema, definitions: Schema) -> None:
    """Add the `[output.NAME]` tables to the properties of `[output]`."""
    del properties[FORMATS]
    properties |= {name: _table(WRITERS[name].Settings, definitions) for name in WRITERS}


def _step(name: str, definitions: Schema) -> Schema:
    """Return the schema of one kind of raster step, with its name."""
    own: Schema = {}
    _table(STEPS[name], own)
    step = own.pop(STEPS[name].__name__)
    definitions |= own
    fields = {key: schema for key, schema in step["properties"].items() if key != STEP}
    kind = {"enum": [name], "description": "Kind of the step."}
    required = [STEP, *(key for key in step.get("required", ()) if key != STEP)]
    return {**step, "properties": {STEP: kind, **fields}, "required": required}


def _table(settings: type, definitions: Schema) -> Schema:
    """Return a reference to the schema of a settings class."""
    schema = TypeAdapter(settings).json_schema(ref_template=_REF)
    own = {**schema.pop("$defs", {}), settings.__name__: schema}
    classes = {found.__name__: found for found in _classes(settings)}
    definitions |= {name: _described(found, classes.get(name)) for name, found in own.items()}
    return {"$ref": _REF.format(model=settings.__name__)}


def _classes(settings: type) -> list[type]:
    """Return a settings class and the classes of the tables inside its tables."""
    inner = (annotation for field in fields_of(settings).values() for annotation in _types_in(field.annotation))
    return [settings, *(found for kind in inner for found in _classes(kind))]


def _types_in(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and fields_of(annotation):
        return [annotation]
    return [found for part in get_args(annotation) for found in _types_in(part)]


def _described(schema: Schema, settings: type | None) -> Schema:
    """Return a schema with the docstrings of a class and its fields."""
    if settings is None:
        return schema
    docstrings = _docstrings(settings)
    properties = {
        name: {**found, "description": docstrings[name]} if name in docstrings else found
        for name, found in schema.get("properties", {}).items()
    }
    first_paragraph = " ".join((inspect.getdoc(settings) or "").partition("\n\n")[0].split())
    return {**schema, "description": first_paragraph, "properties": properties}


def _docstrings(settings: type) -> dict[str, str]:
    """Return the docstrings of a class's fields.

    pydantic has `use_attribute_docstrings`, but that option parses the source of all classes at each import (50 ms).
    """
    found: dict[str, str] = {}
    for base in reversed([base for base in settings.__mro__ if fields_of(base) and base is not BaseModel]):
        statements = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body  # type: ignore[attr-defined]
        for field, docstring in pairwise(statements):
            match field, docstring:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    return found


def _as_draft4(schema: Any) -> Any:
    """Convert a schema of pydantic from draft 2020-12 to draft 4.

    Titles of fields are removed. The type null is removed because TOML has no null.
    """
    if isinstance(schema, list):
        return [_as_draft4(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    removed = {key for key, value in schema.items() if key == "title" and isinstance(value, str)}
    removed |= {key for key, value in schema.items() if key == "default" and value is None}
    converted = {key: _as_draft4(value) for key, value in schema.items() if key not in removed}
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(converted.get(exclusive), int | float):
            converted |= {limit: converted[exclusive], exclusive: True}
    if "const" in converted and isinstance(schema["const"], str):
        converted["enum"] = [converted.pop("const")]
    if "prefixItems" in converted:
        converted |= {"items": converted.pop("prefixItems"), "additionalItems": False}
    return _without_null(converted)


def _without_null(schema: Schema) -> Schema:
    """Return a schema without the alternative `null`. If a single alternative remains, it is merged into the schema."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if not kinds or kinds == schema["anyOf"]:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**kinds[0], **rest} if len(kinds) == 1 else {**rest, "anyOf": kinds}
