"""Cache the results of functions of coordinate reference systems (CRSs)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import pyproj

P = ParamSpec("P")
R = TypeVar("R")
_HASHES = 64
"""Number of CRSs whose hash is kept."""


class _SameObject:
    """A CRS as a key of a cache. Only the same object is an equal key."""

    __slots__ = ("crs",)

    def __init__(self, crs: pyproj.CRS) -> None:
        self.crs = crs

    def __hash__(self) -> int:
        return id(self.crs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SameObject) and self.crs is other.crs


class _EqualObject(_SameObject):
    """A CRS as a key of a cache. Equal CRSs are equal keys."""

    __slots__ = ()

    def __hash__(self) -> int:
        return _hash_of(_SameObject(self.crs))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _EqualObject) and (self.crs is other.crs or self.crs == other.crs)


@lru_cache(_HASHES)
def _hash_of(key: _SameObject) -> int:
    return hash(key.crs)


def crs_cache(maxsize: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that caches results like `functools.lru_cache`, but finds them faster.

    pyproj writes a CRS as WKT to compute its hash. This takes 0.1 ms, and drawing a map needs about twenty hashes.
    Therefore, the cache first looks for the same objects, and only then for equal CRSs. It keeps the hashes of CRSs.

    Parameters
    ----------
    maxsize : int
        Maximum number of results. The least recently used results are removed.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        call: Callable[..., R] = function

        @lru_cache(maxsize)
        def of_equal(*keys: Any) -> R:
            return call(*(key.crs if isinstance(key, _EqualObject) else key for key in keys))

        @lru_cache(maxsize)
        def of_same(*keys: Any) -> R:
            return of_equal(*(_EqualObject(key.crs) if isinstance(key, _SameObject) else key for key in keys))

        @wraps(function)
        def cached(*arguments: P.args, **named: P.kwargs) -> R:
            assert not named, "arguments are given by position"
            return of_same(*(_SameObject(each) if isinstance(each, pyproj.CRS) else each for each in arguments))

        return cached

    return decorate
