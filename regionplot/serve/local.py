"""Draw in this process, for tests and for programs that mount the application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from regionplot.geo.region import Region
from regionplot.prepare.run import prepared
from regionplot.regions.table import read_regions
from regionplot.serve.app import make_app
from regionplot.serve.backend import DrawingFailedError, Reply
from regionplot.serve.catalog import Catalog
from regionplot.serve.drawing import Drawer
from regionplot.serve.generation import Generation, load_generation
from regionplot.serve.metatiles import MetatileRequest
from regionplot.serve.parameters import RequestError
from regionplot.serve.request import Drawing
from regionplot.serve.shell import Shell
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config


class LocalSnapshot:
    """A generation that is drawn in one thread of this process.

    Parameters
    ----------
    generation : Generation
        The loaded data.
    """

    def __init__(self, generation: Generation) -> None:
        self.catalog: Catalog = generation.catalog
        self._drawer = Drawer(generation)
        self._pool = ThreadPoolExecutor(1)

    async def draw(self, drawing: Drawing | MetatileRequest) -> Reply:
        """Draw a request in the thread. See `backend.Snapshot`."""
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._pool, self._drawer, drawing)
        except RequestError:
            raise
        except Exception as error:
            raise DrawingFailedError(str(error)) from error
        return Reply(answer.content, answer.media_type, answer.stages, answer.parts)

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(cancel_futures=True)


class LocalBackend:
    """The data of this process. `replace` replaces them by new data."""

    def __init__(self) -> None:
        self.current: LocalSnapshot | None = None

    def replace(self, generation: Generation) -> None:
        """Draw later requests from another generation."""
        previous, self.current = self.current, LocalSnapshot(generation)
        if previous is not None:
            previous.close()

    def find(self, run: str) -> LocalSnapshot | None:
        """Return the generation of a run, if it is in use."""
        return self.current if self.current is not None and self.current.catalog.run == run else None

    def gauges(self) -> Mapping[str, float]:
        """Return the number of workers."""
        return {"workers": 0 if self.current is None else 1}


def create_app(config: Config | Mapping[str, Any] | str | Path, regions: Sequence[Region] | str | Path = ()) -> Shell:
    """Return an ASGI application that draws maps of the data that a config names.

    The data are loaded when the application starts, and drawn in one thread of the process. Use the command
    `regionplot serve` for several workers and for data that are replaced.

    Parameters
    ----------
    config : Config, mapping, str or Path
        Settings, or the path of a settings file in TOML.
    regions : sequence of Region, str or Path
        The regions, or the path of a table of regions.

    Raises
    ------
    ConfigError, RegionsError
        If the settings or the regions cannot be used. An input that cannot be read raises InputError at the start.
    """
    found = config if isinstance(config, Config) else read_config(config)
    table = read_regions(regions, found.regions) if isinstance(regions, str | Path) else regions
    backend = LocalBackend()

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        backend.replace(load_generation(prepared(found) if found.prepare else found, table))
        yield
        if backend.current is not None:
            backend.current.close()

    return make_app(backend, found.serve, lambda _line: None, lifespan)
