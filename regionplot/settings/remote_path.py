"""Paths of remote objects, such as `s3://bucket/snow.tif`. Their texts never contain a signature or a password."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

from regionplot.text import without_secrets

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # Python 3.11 allows only subclasses of the class for this system

_SCHEMES = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/"}
"""GDAL's file system for each scheme of object storage."""
_WEB = ("http", "https")
_ADDRESS = re.compile(rf"({'|'.join([*_SCHEMES, *_WEB])}):/{{1,2}}(?=[^/])", re.ASCII | re.IGNORECASE)
_UPWARD = re.compile(r"/\.\.(?=[/?#]|$)")
ROOT_METADATA = ("zarr.json", ".zmetadata", ".zgroup")
"""Objects that a Zarr store can begin with. The first of them that exists is read."""
_KEPT = "%/:=&?~#+!$,;'@()*[]"
"""Characters of an address that are not encoded."""
_SIGNING = re.compile(
    r"x-(amz|goog)-.*|awsaccesskeyid|googleaccessid|expires|signature|key-pair-id|policy|.*token.*"
    r"|s[eiprtv]|sig|spr|ske|sks|skt|skv|skoid|sktid",
    re.IGNORECASE,
)
"""Names of the parameters of a query that sign an address. They change with each signature of the same object."""


class RemotePath(_Path):
    """The address of an object in object storage or on a web server. Create it with `RemotePath.of`.

    The text of the path, which messages, manifests and digests use, has neither the query of the address nor a
    password. GDAL gets the whole address (`gdal_name`). A pickled path holds the whole address.
    """

    _address = ""
    """The whole address. Empty for folders and other paths that are derived from this path."""
    _shown = ""

    @classmethod
    def of(cls, address: str) -> RemotePath:
        """Return the path of an address.

        Parameters
        ----------
        address : str
            An address (`s3://`, `gs://`, `az://`, `https://` or `http://`), or GDAL's name of it (`/vsis3/`, `/vsigs/`,
            `/vsiaz/` or `/vsicurl/`).

        Raises
        ------
        ValueError
            If it is none of these.

        Examples
        --------
        >>> path = RemotePath.of("https://example.org/snow.tif?Expires=1&Signature=abc")
        >>> str(path), path.suffix
        ('https://example.org/snow.tif', '.tif')
        """
        whole = _as_address(address)
        shown = without_secrets(whole).removesuffix("?...") + _mark_of(whole)
        path = cls(shown.partition("#")[0])
        path._address, path._shown = whole, shown
        return path

    @property
    def gdal_name(self) -> str:
        """GDAL's name of the object. It can contain a signature."""
        scheme, _, rest = self._address.partition("://")
        return f"{_SCHEMES[scheme]}{rest}" if scheme in _SCHEMES else f"/vsicurl/{self._address}"

    def __str__(self) -> str:
        return self._shown or super().__str__()

    def __fspath__(self) -> str:
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[Callable[[str], Path], tuple[str]]:
        return (RemotePath.of if self._address else Path), (self._address or str(self),)

    def as_posix(self) -> str:
        """Return the text of the path."""
        return str(self)

    def exists(self, **_: Any) -> bool:
        """Return True, because only the server knows. The first request reports a missing object."""
        return True

    def is_file(self, **_: Any) -> bool:
        """Return True. See `exists`."""
        return True

    def below(self, key: str) -> RemotePath:
        """Return the path of an object below this path, such as a chunk of a Zarr store. The query stays.

        Examples
        --------
        >>> RemotePath.of("https://example.org/snow.zarr?sig=x").below("zarr.json").gdal_name
        '/vsicurl/https://example.org/snow.zarr/zarr.json?sig=x'
        """
        is_web = self._address.startswith(_WEB)
        place, mark, query = self._address.partition("?") if is_web else (self._address, "", "")
        return RemotePath.of(f"{place.rstrip('/')}/{quote(key, safe='/') if is_web else key}{mark}{query}")

    def joined(self, reference: str) -> str:
        """Return the address of an object that another object names relative to itself. The query is left out.

        Examples
        --------
        >>> RemotePath.of("s3://bucket/a/item.json").joined("../b/snow.tif")
        's3://bucket/b/snow.tif'
        """
        scheme, _, rest = self._address.partition(":")
        target = urljoin(f"http:{rest}", reference)  # `urljoin` does not know the schemes of object storage
        return f"{scheme}:{target.partition(':')[2]}" if target.startswith("http:") else target

    @property
    def is_store(self) -> bool:
        """True if the path is that of a Zarr store or of references in Parquet, which consist of many objects."""
        return self.suffix.lower() in (".zarr", ".parq", ".parquet")

    def stat(self, **_: Any) -> Any:
        """Return size, time and ETag of the object. This asks the server each time.

        The facts about a Zarr store are those about the metadata of all its variables, or of its root.

        Raises
        ------
        OSError
            If there is no such object, or the server does not answer.
        """
        from regionplot.system.remote_objects import stat_first, stat_object  # noqa: PLC0415 (imports GDAL)

        if self.is_store:
            return stat_first([self.below(key).gdal_name for key in ROOT_METADATA])
        return stat_object(self.gdal_name)

    def open(self, *_: Any, **__: Any) -> Any:
        """Return a file object that reads ranges of bytes.

        Raises
        ------
        OSError
            If there is no such object, or the server does not answer.
        """
        from regionplot.system.remote_objects import open_object  # noqa: PLC0415 (imports GDAL)

        return open_object(self.gdal_name)


def is_remote(path: object) -> bool:
    """Return True if a path is the address of a remote object."""
    return isinstance(path, RemotePath)


def is_address(text: str) -> bool:
    """Return True if a text is an address that `RemotePath` can name.

    Examples
    --------
    >>> is_address("s3://bucket/snow.tif"), is_address("/vsizip/snow.zip"), is_address("s3.tif")
    (True, False, False)
    """
    try:
        _as_address(text)
    except ValueError:
        return False
    return True


def _as_address(text: str) -> str:
    """Return an address with its scheme in lower case, and without GDAL's prefix."""
    for scheme, prefix in _SCHEMES.items():
        if text.startswith(prefix):
            text = f"{scheme}://{text.removeprefix(prefix)}"
    text = text.removeprefix("/vsicurl/")
    found = _ADDRESS.match(text)
    if found is None or not text.isprintable() or _UPWARD.search(text):
        raise ValueError("not an address of object storage or of a web server")
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme in _WEB:
        urlsplit(f"{scheme}://{rest}")  # raises ValueError if the host is not valid
        return f"{scheme}://{quote(rest, safe=_KEPT)}"
    if not all(rest.partition("/")[::2]):
        raise ValueError("an address in object storage has a bucket and a key")
    return f"{scheme}://{rest}"


def _mark_of(address: str) -> str:
    """Return a mark for the parameters of a query that choose the object. A signature changes no mark."""
    if not address.startswith(_WEB):
        return ""
    parameters = [item for item in parse_qsl(urlsplit(address).query) if not _SIGNING.fullmatch(item[0])]
    return f"#{hashlib.sha256(repr(parameters).encode()).hexdigest()[:8]}" if parameters else ""
