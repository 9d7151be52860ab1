"""Draw in this process, for tests and for programs that mount the application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from regionplot.errors import RasterReplacedError, RegionplotError
from regionplot.geo.region import Region
from regionplot.regions.table import read_regions
from regionplot.serve.app import make_app
from regionplot.serve.backend import BusyError, DrawingFailedError, Reply
from regionplot.serve.catalog import Catalog
from regionplot.serve.drawing import Drawer
from regionplot.serve.generation import Generation, load_generation
from regionplot.serve.inputs import WatchedInputs
from regionplot.serve.metatiles import MetatileRequest
from regionplot.serve.parameters import RequestError
from regionplot.serve.request import Drawing
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config_before_arrival

logger = logging.getLogger(__name__)
_POLL_SECONDS = 0.5


class LocalSnapshot:
    """A generation that is drawn in one thread of this process.

    Parameters
    ----------
    generation : Generation
        The loaded data.
    pool : ThreadPoolExecutor
        The thread.
    """

    def __init__(self, generation: Generation, pool: ThreadPoolExecutor) -> None:
        self.catalog: Catalog = generation.catalog
        self._drawer, self._pool = Drawer(generation), pool
        self._drawings = 0

    async def draw(self, drawing: Drawing | MetatileRequest) -> Reply:
        """Draw a request in the thread. See `backend.Snapshot`."""
        if self._drawings > self.catalog.settings.queue:
            raise BusyError
        self._drawings += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._pool, self._drawer, drawing)
        except RequestError:
            raise
        except (RasterReplacedError, MemoryError):
            raise BusyError(2) from None
        except Exception as error:
            logger.exception("a request failed: %r", drawing)
            raise DrawingFailedError(str(error)) from error
        finally:
            self._drawings -= 1
        return Reply(answer.content, answer.media_type, answer.stages, answer.parts)


class LocalBackend:
    """The data of this process. `replace` replaces them by new data."""

    def __init__(self) -> None:
        self.current: LocalSnapshot | None = None
        self._previous: LocalSnapshot | None = None
        self._pool = ThreadPoolExecutor(1)

    def replace(self, generation: Generation) -> None:
        """Draw later requests from another generation. Requests that wait are drawn from the previous one."""
        self._previous, self.current = self.current, LocalSnapshot(generation, self._pool)

    def forget(self) -> None:
        """Drop the previous generation."""
        self._previous = None

    def find(self, run: str) -> LocalSnapshot | None:
        """Return the generation of a run, if its data are still loaded."""
        return next((each for each in (self.current, self._previous) if each and each.catalog.run == run), None)

    def gauges(self) -> Mapping[str, float]:
        """Return the number of workers."""
        return {"workers": 0 if self.current is None else 1}

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(cancel_futures=True)


class _Renewal:
    """Load the data of some settings, and load them again when an input is replaced.

    Parameters
    ----------
    config : Config
        The settings.
    regions : sequence of Region or Path
        The regions, or their table.
    """

    def __init__(self, config: Config, regions: Sequence[Region] | Path) -> None:
        self.backend = LocalBackend()
        self._config, self._regions = config, regions
        self._inputs = WatchedInputs(config, regions if isinstance(regions, Path) else None)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch the inputs in the running event loop, if this has not begun yet."""
        if self._task is None or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.ensure_future(self._watch())

    def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def load(self) -> Generation:
        """Load the data.

        Raises
        ------
        RegionsError, ConfigError, InputError
            If an input cannot be used.
        """
        regions = self._regions
        table = read_regions(regions, self._config.regions) if isinstance(regions, Path) else regions
        return load_generation(self._config, table)

    def note_inputs(self) -> None:
        """Note the inputs as they are, so that only later changes count."""
        self._inputs.are_renewed()

    async def _watch(self) -> None:
        while True:
            if await asyncio.to_thread(self._inputs.are_renewed):
                await self._renew()
            await asyncio.sleep(_POLL_SECONDS)

    async def _renew(self) -> None:
        """Load new data beside those in use. If this fails, the old data stay in use."""
        try:
            generation = await asyncio.to_thread(self.load)
        except RegionplotError as error:
            for problem in error.problems:
                logger.error("%s", problem)
            return
        self.backend.replace(generation)
        asyncio.get_running_loop().call_later(self._config.serve.keep, self.backend.forget)


def create_app(config: Config | Mapping[str, Any] | str | Path, regions: Sequence[Region] | str | Path = ()) -> Any:
    """Return an ASGI application that draws maps of the data that a config names.

    The data are loaded when the application starts, and again when an input is replaced. They are drawn in one thread
    of the process. If another application mounts this one, the data are loaded at the first request, because mounted
    applications get no start event. Use the command `regionplot serve` for several workers.

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
    found = config if isinstance(config, Config) else read_config_before_arrival(config)
    table = Path(regions) if isinstance(regions, str) else regions
    if isinstance(table, Path):
        read_regions(table, found.regions)
    renewal = _Renewal(found, table)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        renewal.note_inputs()
        renewal.backend.replace(await asyncio.to_thread(renewal.load))
        renewal.start()
        yield
        renewal.stop()
        renewal.backend.close()

    inner = make_app(renewal.backend, found.serve, lambda _line: None, lifespan)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            renewal.start()
        await inner(scope, receive, send)

    return app
