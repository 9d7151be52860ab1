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
import re
import stat
from collections.abc import Sequence
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


_INGESTED = {"GDAL_INGESTED_BYTES_AT_OPEN": str(2**20)}
"""Object storage returns a small object with the answer to the request for its size."""
_KEY_NOT_FOUND = 8
"""GDAL's number of the error for a missing object in object storage."""
_MISSING = re.compile(r"HTTP response code: (404|410)\b|BlobNotFound|NoSuchKey")
"""Messages of GDAL for a missing object. Other errors, such as lost connections, do not mean that it is missing."""


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
        "VSIFOpenExL": (pointer, [text, text, ctypes.c_int]),
        "VSIErrorReset": (None, []),
        "VSIGetLastErrorNo": (ctypes.c_int, []),
        "VSIGetLastErrorMsg": (text, []),
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


def _env(name: str, **more: str) -> Any:
    import rasterio  # noqa: PLC0415 (imports GDAL)

    return rasterio.Env(**{**remote_options(name), **more})


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


def stat_first(names: Sequence[str]) -> RemoteStat:
    """Return size, time and ETag of the first object that exists.

    Parameters
    ----------
    names : sequence of str
        GDAL's names of objects.

    Raises
    ------
    OSError
        If none of the objects exists, or the server does not answer.
    """
    for name in names[:-1]:
        with suppress(OSError):
            return stat_object(name)
    return stat_object(names[-1])


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


def read_object(name: str, start: int = 0, stop: int | None = None, *, limit: int) -> bytes | None:
    """Read a range of bytes of an object, or all its bytes.

    Parameters
    ----------
    name : str
        GDAL's name of the object.
    start : int
        First byte. A negative number counts from the end.
    stop : int, optional
        Byte after the last one. Default: the size of the object.
    limit : int
        Maximum number of bytes to return.

    Returns
    -------
    bytes or None
        None if the server states that there is no such object.

    Raises
    ------
    OSError
        If the object cannot be read, or more bytes than the limit are asked for.
    """
    library = _library()
    with _env(name, **(_INGESTED if (start, stop) == (0, None) else {})):
        library.VSIErrorReset()
        handle = library.VSIFOpenExL(name.encode(), b"rb", 1)
        if not handle:
            message = (library.VSIGetLastErrorMsg() or b"").decode("utf-8", "replace")
            if library.VSIGetLastErrorNo() == _KEY_NOT_FOUND or _MISSING.search(message):
                return None
            raise OSError(errno.EIO, message or "the server does not answer")
        try:
            return _bytes_of(handle, start, stop, limit)
        finally:
            library.VSIFCloseL(handle)


def _bytes_of(handle: Any, start: int, stop: int | None, limit: int) -> bytes:
    """Return a range of the bytes of an open object."""
    library = _library()
    library.VSIFSeekL(handle, 0, os.SEEK_END)
    size = int(library.VSIFTellL(handle))
    first = max(0, size + start) if start < 0 else min(start, size)
    count = max(0, (size if stop is None else min(stop, size)) - first)
    if count > limit:
        raise OSError(errno.EFBIG, f"the object has {count:,} bytes, more than {limit:,}")
    library.VSIFSeekL(handle, first, os.SEEK_SET)
    buffer = bytearray(count)
    target = (ctypes.c_char * count).from_buffer(buffer)
    if int(library.VSIFReadL(target, 1, count, handle)) != count:
        raise OSError(errno.EIO, "the server ended its answer early, or does not answer")
    del target
    return bytes(buffer)


def forget_objects(name: str) -> None:
    """Remove the kept parts of an object, and of all objects whose names begin with its name and a slash.

    Parameters
    ----------
    name : str
        GDAL's name of the object.
    """
    _library().VSICurlPartialClearCache(name.encode())
