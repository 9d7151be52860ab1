"""A map service on shared data: regions, maps of any box, tiles, values and WMS over HTTP.

::

    parent: watches the inputs, supervises, one thread, no data
     ├─ front: Starlette on uvicorn, no data ──── jobs ────► worker ─► image in shared memory
     ├─ generation 1: loads the data, forks ──► workers        ▲
     └─ generation 2: the updated data, forks ──► workers ─────┘ from the next request on

`create_app` returns an ASGI application for a program that mounts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regionplot.serve.local import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Import `create_app` on first use, so that importing a module of this package does not import Starlette."""
    if name == "create_app":
        from regionplot.serve.local import create_app  # noqa: PLC0415

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
