"""Encode pictures as files, one format per module."""
