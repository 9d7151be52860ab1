"""The socket on which clients connect."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from regionplot.errors import ConfigError
from regionplot.serve import listening
from regionplot.serve.listening import address, open_listener

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the service needs Linux")


@pytest.mark.parametrize("bind", ["127.0.0.1:0", "[::1]:0"])
def test_a_client_can_connect(bind: str) -> None:
    try:
        listener = open_listener(bind)
    except ConfigError:
        pytest.skip("this machine has no IPv6")
    with listener:
        host, port = listener.getsockname()[:2]
        assert address(listener) == f"http://{'[::1]' if ':' in host else host}:{port}/"
        socket.create_connection((host, port)).close()


def test_an_address_in_use_is_an_error_that_names_the_setting() -> None:
    with open_listener("127.0.0.1:0") as listener:
        with pytest.raises(ConfigError, match=r"(?s)serve.*bind.*in use") as caught:
            open_listener(f"127.0.0.1:{listener.getsockname()[1]}")
        assert "choose another address" in str(caught.value)


@pytest.mark.parametrize("bind", ["256.1.1.1:80", "a b:80", "unix:/no/such/folder/socket"])
def test_an_address_that_cannot_be_used_is_an_error(bind: str) -> None:
    with pytest.raises(ConfigError, match="choose another address"):
        open_listener(bind)


def test_a_socket_that_a_former_process_has_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "maps.socket"
    open_listener(f"unix:{path}").close()
    with open_listener(f"unix:{path}"), pytest.raises(ConfigError, match="in use"):
        open_listener(f"unix:{path}")


def test_a_file_in_the_place_of_the_socket_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "maps.socket").write_text("mine")
    with pytest.raises(ConfigError):
        open_listener(f"unix:{tmp_path / 'maps.socket'}")
    assert (tmp_path / "maps.socket").read_text() == "mine"


@pytest.mark.parametrize(("own", "count", "is_used"), [(0, "1", True), (0, "0", False), (1, "1", False)])
def test_a_socket_of_systemd_is_used(monkeypatch: pytest.MonkeyPatch, own: int, count: str, is_used: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        monkeypatch.setattr(listening, "_FIRST_PASSED", os.dup(passed.fileno()))
        monkeypatch.setenv("LISTEN_PID", str(os.getpid() + own))
        monkeypatch.setenv("LISTEN_FDS", count)
        with open_listener("127.0.0.1:0") as found:
            assert (found.getsockname() == passed.getsockname()) is is_used
        if not is_used:
            os.close(listening._FIRST_PASSED)
