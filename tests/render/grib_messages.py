"""Read GRIB messages with eccodes in another process.

eccodes offers the symbols of its SQLite and PROJ to all libraries that are loaded later. GDAL and Python's `sqlite3`
then use parts of two versions of SQLite. In the process of the tests, reading a GeoPackage hung for this reason.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

_KEYS = (
    "name", "units", "level", "typeOfLevel", "dataDate", "dataTime", "validityDate", "validityTime", "Ni", "Nj",
    "jScansPositively", "bitmapPresent", "missingValue", "gridType", "shapeOfTheEarth",
)  # fmt: skip


def read_messages(path: Path) -> tuple[dict[str, Any], ...]:
    """Return the keys and values of each message that the tests need."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        return pool.submit(_read, path).result()


def _read(path: Path) -> tuple[dict[str, Any], ...]:
    import eccodes

    found = []
    with path.open("rb") as file:
        while (message := eccodes.codes_grib_new_from_file(file)) is not None:
            facts = {key: eccodes.codes_get(message, key) for key in _KEYS if eccodes.codes_is_defined(message, key)}
            if facts["gridType"] == "regular_ll":
                for end in ("First", "Last"):
                    for axis in ("latitude", "longitude"):
                        key = f"{axis}Of{end}GridPointInDegrees"
                        facts[f"{axis}{end}"] = eccodes.codes_get(message, key)
            facts["values"] = eccodes.codes_get_values(message)
            eccodes.codes_release(message)
            found.append(facts)
    return tuple(found)
