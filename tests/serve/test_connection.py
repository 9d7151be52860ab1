"""Clients that send or read slowly, or send too much, lose their connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

uvicorn = pytest.importorskip("uvicorn")
from regionplot.serve import connection  # noqa: E402
from regionplot.serve.metrics import Metrics  # noqa: E402
from regionplot.serve.shell import Shell  # noqa: E402
from regionplot.settings.serve import ServeSettings  # noqa: E402

LARGE = 8_000_000


async def _app(scope: dict, _receive: object, send: Callable) -> None:
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    size = LARGE if scope["path"] == "/large" else 2
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(size).encode())]})
    await send({"type": "http.response.body", "body": b"x" * size})


def talk(client: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a client against a server with short time limits."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connection, "READ_SECONDS", 0.2)

    async def both() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        shell = Shell(_app, ServeSettings(), Metrics(), lambda _line: None)
        config = uvicorn.Config(
            shell, http=connection.Connection, lifespan="off", log_config=None, timeout_keep_alive=5
        )
        server = uvicorn.Server(config)
        server.capture_signals = lambda: __import__("contextlib").nullcontext()
        running = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1], limit=1024)
        try:
            await client(reader, writer)
        finally:
            writer.close()
            server.should_exit = server.force_exit = True
            await running

    asyncio.run(both())


def test_two_requests_on_one_connection_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"xx"
            await asyncio.sleep(0.3)  # longer than the time for the head, which begins with the next request

    talk(client, monkeypatch)


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_client_that_sends_slowly_is_dropped(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        if start.endswith(b"\r\n\r\n"):  # the second request is slow
            await reader.readuntil(b"xx")
            writer.write(b"GET /")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 3)

    talk(client, monkeypatch)


def test_a_client_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.8)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(LARGE)

    talk(client, monkeypatch)


def test_a_large_head_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(100)))
        assert b" 431 " in await asyncio.wait_for(reader.readline(), 3)

    talk(client, monkeypatch)


def test_a_head_is_bounded_also_while_an_answer_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 0.4)

    talk(client, monkeypatch)


def test_a_request_with_a_body_is_the_last_of_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n" + b"GET / HTTP/1.1\r\n\r\n" * 1000)
        found = await asyncio.wait_for(reader.read(), 3)
        assert found.count(b"HTTP/1.1 200 OK") == 1
        assert b"connection: close" in found

    talk(client, monkeypatch)


def test_too_many_connections_are_told_when_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.Connection, "most", 2)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("peername")[1]
        others = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for stream in (reader, others[-1][0]):
            head = await asyncio.wait_for(stream.readuntil(b"\r\n\r\n"), 3)
            assert b" 503 " in head
            assert b"retry-after: 5" in head
        for _, other in others:
            other.close()

    talk(client, monkeypatch)


def test_slow_clients_are_dropped_if_too_much_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_UNREAD", LARGE)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("peername")[1]
        streams = [(reader, writer), await asyncio.open_connection("127.0.0.1", port, limit=1024)]
        monkeypatch.setattr(connection, "READ_SECONDS", 60)
        for _, own in streams:
            own.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.sleep(0.1)
        await streams[1][0].readexactly(LARGE)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(LARGE)
        streams[1][1].close()

    talk(client, monkeypatch)
