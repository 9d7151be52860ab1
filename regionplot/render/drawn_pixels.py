"""Find the pixels of an image that lines and letters cover."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.writers.picture import Bytes

_WORD = 8
"""Number of pixels that are compared at a time: bytes of a 64-bit word."""
_WORD_BITS = 3
_EACH_BYTE = 0x0101010101010101
"""A word of eight bytes with the value 1."""


def channel_of(pixels: Bytes, channel: int) -> Bytes:
    """Return a copy of a color channel of pixels as one contiguous array, shape (height, width).

    Parameters
    ----------
    pixels : ndarray, shape (height, width, 4)
        The pixels.
    channel : int
        Number of the channel.
    """
    if channel == 0 and sys.byteorder == "little":  # the lowest byte of a pixel; NumPy is faster with whole pixels
        return pixels.view(np.uint32)[..., 0].astype(np.uint8)
    return pixels[..., channel].copy()


def pixels_except(blank: int, values: Bytes) -> tuple[NDArray[np.intp], Bytes]:
    """Return the increasing indices of all pixels without a certain value, and their values.

    Most words of eight pixels are blank. Only the others are searched, so this takes half the time of
    `numpy.flatnonzero`.

    Parameters
    ----------
    blank : int
        The value of the other pixels, from 0 to 255.
    values : ndarray
        Values of the pixels, as one contiguous array.
    """
    flat = values.reshape(-1)
    whole = flat.size // _WORD * _WORD
    words: NDArray[Any] = flat[:whole].view(np.uint64)
    filled = np.flatnonzero(words != blank * _EACH_BYTE)
    candidates = words.take(filled).view(np.uint8)
    found = np.flatnonzero(candidates != blank)
    kept = candidates.take(found)
    filled -= np.arange(filled.size)
    filled <<= _WORD_BITS
    found += filled.take(found >> _WORD_BITS)
    if whole == flat.size:
        return found, kept
    rest = np.flatnonzero(flat[whole:] != blank) + whole
    return np.concatenate([found, rest]), np.concatenate([kept, flat.take(rest)])
