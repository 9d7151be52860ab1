"""Check a GeoPackage before GDAL opens it. GDAL executes the SQL in the views of a GeoPackage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.errors import FeaturesError
from regionplot.geo.crs_paths import path_in_crs
from regionplot.inputs.crs_texts import refuse_reference

if TYPE_CHECKING:
    import sqlite3

_OWN_TABLES = "gpkg_"
"""Start of the names of the tables that describe the layers."""
_HARMLESS = (
    "abs acos asin atan atan2 avg ceil ceiling coalesce cos count degrees exp floor ifnull iif instr length like "
    "ln log lower ltrim max min mod nullif pi pow power radians round row_number rtrim sign sin sqrt "
    "substr substring sum tan total trim typeof upper"
)
"""Names of the functions of SQLite that a layer may call. They open no file and need little memory."""


def companions(path: Path) -> tuple[Path, ...]:
    """Return the paths of the files that SQLite reads in addition to a database: its write-ahead log and journal.

    If the path is a symbolic link, these files are beside the file that it names.
    """
    real = path.resolve() if path.is_symlink() else path
    return tuple(real.with_name(real.name + suffix) for suffix in ("-wal", "-journal"))


def check_tables(path: Path, content: bytes | None = None) -> None:
    """Refuse a GeoPackage whose own tables are views or virtual tables, because GDAL would execute their SQL.

    Also refuse a CRS that names another file.

    Parameters
    ----------
    path : Path
        The file.
    content : bytes, optional
        Content of the GeoPackage, if it is a member of an archive.

    Raises
    ------
    FeaturesError
        If the file is damaged or one of these tables is not an ordinary table.
    """
    with _database(path, content) as database:
        for kind, name, sql in database.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
            if str(name).casefold().startswith(_OWN_TABLES) and kind in ("table", "view") and not _is_plain(kind, sql):
                raise FeaturesError(
                    f"{path}: cannot be read as a GeoPackage: its table {name} is not an ordinary table"
                )
        for row in database.execute("SELECT * FROM gpkg_spatial_ref_sys"):
            for text in row:
                refuse_reference(path, path_in_crs(text) if isinstance(text, str) else None)


def names_beside_views(path: Path, content: bytes | None = None) -> list[str]:
    """Return the names of the layers with geometries, or nothing if none of the layers is a view.

    GDAL executes the SQL of all views when it lists the layers. The SQL of a view can run forever.

    Parameters
    ----------
    path : Path
        The file.
    content : bytes, optional
        Content of the GeoPackage, if it is a member of an archive.

    Raises
    ------
    FeaturesError
        If the file is damaged.
    """
    with _database(path, content) as database:
        found = database.execute(
            "SELECT c.table_name, m.type FROM gpkg_geometry_columns g "
            "JOIN gpkg_contents c ON lower(c.table_name) = lower(g.table_name) "
            "JOIN sqlite_master m ON lower(m.name) = lower(c.table_name) AND m.type IN ('table', 'view') "
            "WHERE c.data_type = 'features'"
        ).fetchall()
    return [str(name) for name, _ in found] if any(kind == "view" for _, kind in found) else []


def check_layer_table(path: Path, layer: str, content: bytes | None = None) -> None:
    """Refuse a virtual table, a recursive view, and a view that calls functions other than the harmless functions.

    Parameters
    ----------
    path : Path
        The file.
    layer : str
        Name of the layer.
    content : bytes, optional
        Content of the GeoPackage, if it is a member of an archive.

    Raises
    ------
    FeaturesError
        If the layer is refused.
    """
    import sqlite3  # noqa: PLC0415 (only GeoPackages need it)

    with _database(path, content) as database:
        found = database.execute(
            "SELECT type, sql FROM sqlite_master WHERE lower(name) = lower(?) AND type IN ('table', 'view')", (layer,)
        ).fetchone()
        if found is None:  # GDAL reports the missing layer
            return
        cure = "save the layer as a table"
        if str(found[1]).upper().startswith("CREATE VIRTUAL"):
            raise FeaturesError(f"{path}: the layer {layer!r} is a virtual table, which is not read; {cure}")
        database.set_authorizer(_authorize)
        try:
            database.execute('EXPLAIN SELECT * FROM "{}"'.format(layer.replace('"', '""'))).fetchall()
        except sqlite3.Error as error:
            raise FeaturesError(
                f"{path}: the layer {layer!r} is a view with SQL that is not allowed ({error}); {cure}"
            ) from None


def _is_plain(kind: str, sql: str) -> bool:
    return kind == "table" and not sql.upper().startswith("CREATE VIRTUAL")


def _authorize(action: int, _first: str | None, function: str | None, *_: object) -> int:
    """Deny recursion and all functions that are not in the list of harmless functions. Allow everything else."""
    import sqlite3  # noqa: PLC0415 (only GeoPackages need it)

    if action == sqlite3.SQLITE_RECURSIVE:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and str(function).casefold() not in _HARMLESS.split():
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


@contextmanager
def _database(path: Path, content: bytes | None) -> Iterator[sqlite3.Connection]:
    """Open a database for reading, and convert SQLite's errors to a FeaturesError."""
    import sqlite3  # noqa: PLC0415 (only GeoPackages need it)

    try:
        with closing(_connect(path, content)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            yield database
    except sqlite3.Error as error:
        raise FeaturesError(f"{path}: cannot be read as a GeoPackage: {error}{_advice(path)}") from None


def _advice(path: Path) -> str:
    """Return what to do if another file beside the database can be the reason for an error."""
    found = [companion.name for companion in companions(path) if companion.exists()]
    if not found:
        return ""
    return f"; {' and '.join(found)} beside it can be of another file: if no program has it open, move it away"


def _connect(path: Path, content: bytes | None) -> sqlite3.Connection:
    import sqlite3  # noqa: PLC0415 (only GeoPackages need it)

    if content is not None:
        database = sqlite3.connect(":memory:")
        database.deserialize(content)
        return database
    # SQLite neither locks nor writes an immutable file. It then ignores the write-ahead log.
    is_complete = not any(companion.exists() for companion in companions(path))
    mode = "immutable=1" if is_complete else "mode=ro"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
