"""Read remote objects with GDAL's file systems, and count the requests and bytes of this process.

rasterio has no functions for this, so GDAL's C functions are called. GDAL may read only the object that is named
(`CPL_VSIL_CURL_ALLOWED_FILENAME`), so no file can make it ask for another address.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import io
import json
import os
import stat
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple

from regionplot.system.network import NetworkUse

_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",  # a COG has its header and the places of its tiles there
    "CPL_VSIL_NETWORK_STATS_ENABLED": "YES",
}


class RemoteStat(NamedTuple):
    """The facts about a remote object that `system.files.Fingerprint` compares."""

    st_size: int
    st_mtime_ns: int
    """Time of the last change, which the server states, in nanoseconds. 0 if it is unknown."""
    st_ino: int
    """Number that stands for the ETag. 0 if the server states none."""
    st_dev: int = 0
    st_ctime_ns: int = 0
    st_mode: int = stat.S_IFREG | 0o444

    @property
    def st_mtime(self) -> float:
        """Time of the last change in seconds."""
        return self.st_mtime_ns / 1e9


def remote_options(name: str) -> dict[str, str]:
    """Return the GDAL options with which GDAL may read a remote object, and only this object.

    Parameters
    ----------
    name : str
        GDAL's name of the object.
    """
    _clear_before_fork()
    return {**_OPTIONS, "CPL_VSIL_CURL_ALLOWED_FILENAME": name, "GDAL_HTTP_PROXY": _proxy(), **_endpoint()}


def _proxy() -> str:
    names = ("GDAL_HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "http_proxy", "ALL_PROXY")
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _endpoint() -> dict[str, str]:
    """Return GDAL's options for the S3 server that the variables of Amazon's own programs name."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint or "AWS_S3_ENDPOINT" in os.environ:
        return {}
    scheme, _, host = endpoint.rpartition("://")
    secure = "NO" if scheme == "http" else "YES"
    return {"AWS_S3_ENDPOINT": host.rstrip("/"), "AWS_HTTPS": secure, "AWS_VIRTUAL_HOSTING": "FALSE"}


@cache
def _clear_before_fork() -> None:
    """Close connections before each fork, because two processes cannot share a connection."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_library().VSICurlClearCache)


@cache
def _library() -> Any:
    """Return GDAL's library, which rasterio has loaded."""
    import rasterio._base  # noqa: PLC0415 (imports GDAL)

    library = ctypes.CDLL(rasterio._base.__file__)
    text, pointer, size, number = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "VSIGetFileMetadata": (pointer, [text, text, pointer]),
        "CSLFetchNameValue": (text, [pointer, text]),
        "CSLDestroy": (None, [pointer]),
        "VSICurlClearCache": (None, []),
        "VSICurlPartialClearCache": (None, [text]),
        "VSIFOpenL": (pointer, [text, text]),
        "VSIFReadL": (size, [pointer, size, size, pointer]),
        "VSIFSeekL": (ctypes.c_int, [pointer, number, ctypes.c_int]),
        "VSIFTellL": (number, [pointer]),
        "VSIFCloseL": (ctypes.c_int, [pointer]),
        "VSINetworkStatsGetAsSerializedJSON": (pointer, [pointer]),
        "VSIFree": (None, [pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _env(name: str) -> Any:
    import rasterio  # noqa: PLC0415 (imports GDAL)

    return rasterio.Env(**remote_options(name))


def network_use() -> NetworkUse:
    """Return the requests and bytes of this process since its start, including those of a process that forked it."""
    library = _library()
    address = library.VSINetworkStatsGetAsSerializedJSON(None)
    try:
        methods = json.loads(ctypes.string_at(address) if address else b"{}").get("methods", {})
    finally:
        library.VSIFree(address)
    counts, sizes = ([each.get(key, 0) for each in methods.values()] for key in ("count", "downloaded_bytes"))
    return NetworkUse(sum(counts), sum(sizes))


def stat_object(name: str) -> RemoteStat:
    """Return size, time and ETag of an object. The server is asked each time.

    Parameters
    ----------
    name : str
        GDAL's name of the object.

    Raises
    ------
    OSError
        If there is no such object, or the server does not answer.
    """
    library, encoded = _library(), name.encode()
    with _env(name):
        library.VSICurlPartialClearCache(encoded)
        headers = library.VSIGetFileMetadata(encoded, b"HEADERS", None)
        if not headers:
            raise _not_found()
        try:
            size, time_text, tag = (_header(headers, key) for key in ("Content-Length", "Last-Modified", "ETag"))
        finally:
            library.CSLDestroy(headers)
    changed = 0
    with suppress(TypeError, ValueError):
        changed = int(parsedate_to_datetime(time_text).timestamp() * 1e9)
    number = int.from_bytes(hashlib.sha256(tag.encode()).digest()[:8], "little") if tag else 0
    return RemoteStat(int(size) if size.isdecimal() else 0, changed, number)


def _header(headers: Any, key: str) -> str:
    found = _library().CSLFetchNameValue(headers, key.encode())  # the case of the key does not matter
    return found.decode("latin-1").strip() if found else ""


def _not_found() -> OSError:
    return FileNotFoundError(
        errno.ENOENT,
        "there is no such object, these credentials may not read it, or the server does not answer",
    )


class _Reader(io.RawIOBase):
    """A file object that reads an object."""

    def __init__(self, name: str) -> None:
        self._name, self._library = name, _library()
        with _env(name):
            self._handle = self._library.VSIFOpenL(name.encode(), b"rb")
        if not self._handle:
            raise _not_found()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        with _env(self._name):
            self._library.VSIFSeekL(self._handle, offset, whence)
            return int(self._library.VSIFTellL(self._handle))

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        target = (ctypes.c_char * len(view)).from_buffer(view)
        with _env(self._name):
            return int(self._library.VSIFReadL(target, 1, len(view), self._handle))

    def close(self) -> None:
        if not self.closed and getattr(self, "_handle", None):
            self._library.VSIFCloseL(self._handle)
        super().close()


def open_object(name: str) -> io.BufferedReader:
    """Return a file object that reads ranges of an object.

    Parameters
    ----------
    name : str
        GDAL's name of the object.

    Raises
    ------
    OSError
        If there is no such object, or the server does not answer.
    """
    return io.BufferedReader(_Reader(name))
