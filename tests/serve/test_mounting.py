"""The application in a program of one's own: its start, its addresses below a prefix, and renewed inputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from service_client import PLAIN_TABLES, columns, write_raster
from starlette.applications import Starlette
from starlette.routing import Mount

from regionplot.errors import ConfigError, RegionsError
from regionplot.serve import create_app, local

TABLE = "name,west,east,south,north\nnorth,-100,-96,41,44\n"
VALUE = "/value?lon=-99.95&lat=42"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(local, "_POLL_SECONDS", 0.02)
    monkeypatch.setattr("regionplot.serve.inputs._SETTLE", 0.05)
    write_raster(tmp_path / "columns.tif", columns())
    (tmp_path / "regions.csv").write_text(TABLE)
    return tmp_path


def app_of(folder: Path) -> Any:
    tables = {**PLAIN_TABLES, "raster": {"path": folder / "columns.tif", "settle": 0}, "serve": {"root_path": "/proxy"}}
    return create_app(tables, folder / "regions.csv")


def talk(app: Any, client: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    async def both() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://maps.test") as own:
            await client(own)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(both())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(500):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the application did not get there")


async def is_ready(client: httpx.AsyncClient, start: str) -> bool:
    answer = await client.get(f"{start}/ready")
    assert answer.status_code in (200, 503)
    assert answer.status_code == 200 or answer.headers["retry-after"]
    return answer.status_code == 200


@pytest.mark.parametrize("start", ["/maps", "/a/b c"])
def test_links_name_the_path_under_which_the_application_is_mounted(folder: Path, start: str) -> None:
    outer = Starlette(routes=[Mount(start, app_of(folder))])
    shown = start.replace(" ", "%20")

    async def client(own: httpx.AsyncClient) -> None:
        await until(lambda: is_ready(own, start))
        assert (await own.get(f"{start}{VALUE}")).json()["value"] == 0.0
        capabilities = await own.get(f"{start}/wms?request=GetCapabilities")
        assert f'xlink:href="http://maps.test/proxy{shown}/wms?"' in capabilities.text
        assert f"http://maps.test/proxy{shown}/wmts?" in (await own.get(f"{start}/wmts?request=GetCapabilities")).text
        name = (await own.get(f"{start}/catalog")).json()["products"][0]["name"]
        tiles = (await own.get(f"{start}/tiles/{name}.json")).json()["tiles"][0]
        assert tiles.startswith(f"http://maps.test/proxy{shown}/tiles/")
        assert (await own.get(tiles.replace("/proxy", "", 1).format(z=3, x=1, y=2))).status_code == 200
        links = (await own.get(f"{start}/ogc/")).json()["links"]
        assert all(link["href"].startswith(f"http://maps.test/proxy{shown}/ogc/") for link in links)
        for link in links:
            assert (await own.get(link["href"].replace("/proxy", "", 1))).status_code == 200, link
        assert (await own.get(f"{start}/ogc/api")).json()["servers"] == [{"url": f"/proxy{shown}/ogc"}]
        assert (await own.get(f"{start}/")).headers["content-type"].startswith("text/html")
        assert (await own.get(f"{start}/regions/north.png")).status_code == 200

    talk(outer, client)


def test_replaced_inputs_are_used_and_broken_ones_are_not(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def client(own: httpx.AsyncClient) -> None:
        async def value_is(expected: float) -> bool:
            return (await own.get(VALUE)).json()["value"] == expected

        async def regions_are(*names: str) -> bool:
            return [each["name"] for each in (await own.get("/regions")).json()["regions"]] == list(names)

        await until(lambda: is_ready(own, ""))
        run = (await own.get("/ready")).json()["run"]
        write_raster(folder / "new.tif", np.full((40, 40), 7.0)).rename(folder / "columns.tif")
        await until(lambda: value_is(7))
        assert (await own.get(f"/v/{run}{VALUE}")).json()["value"] == 0.0, "the old data stay for some seconds"
        (folder / "regions.csv").write_text(TABLE + "south,-100,-96,40,41\n")
        await until(lambda: regions_are("north", "south"))
        (folder / "columns.tif").write_bytes(b"II*\0 no raster")
        for _ in range(100):
            await asyncio.sleep(0.02)
            if "columns.tif" in caplog.text:
                break
        assert "columns.tif" in caplog.text
        assert await value_is(7)

    talk(app_of(folder), client)


def test_an_application_that_gets_a_start_event_is_ready_then(folder: Path) -> None:
    app = app_of(folder)

    @asynccontextmanager
    async def started() -> AsyncIterator[None]:
        messages: asyncio.Queue[Any] = asyncio.Queue()
        sent: asyncio.Queue[Any] = asyncio.Queue()
        running = asyncio.ensure_future(app({"type": "lifespan"}, messages.get, sent.put))
        for kind in ("startup", "shutdown"):
            await messages.put({"type": f"lifespan.{kind}"})
            assert (await sent.get())["type"] == f"lifespan.{kind}.complete"
            if kind == "startup":
                yield
        await running

    async def client(own: httpx.AsyncClient) -> None:
        async with started():
            assert (await own.get(VALUE)).status_code == 200

    talk(app, client)


def test_faults_of_settings_and_tables_are_reported_at_once(folder: Path) -> None:
    (folder / "regions.csv").write_text("name,west\na,1\n")
    with pytest.raises(RegionsError):
        app_of(folder)
    with pytest.raises(ConfigError):
        create_app(folder / "nothing.toml")
