"""The version of regionplot."""

__version__ = "0.1.0"
