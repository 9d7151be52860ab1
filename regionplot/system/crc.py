"""CRC-32 of bytes. isal computes it ten times as fast as zlib."""

from __future__ import annotations

try:
    from isal.isal_zlib import crc32
except ImportError:  # there is no wheel of isal for this platform
    from zlib import crc32

__all__ = ["crc32"]
