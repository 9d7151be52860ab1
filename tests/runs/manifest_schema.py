"""Validate manifests with the schema in docs. The schema itself is checked once per process, not for each manifest."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.validators import validator_for


@cache
def _validator() -> Any:
    schema = json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    kind = validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def check_manifest(document: object) -> None:
    """Raise the most relevant error of a document that is not a valid manifest."""
    error = jsonschema.exceptions.best_match(_validator().iter_errors(document))
    if error is not None:
        raise error
