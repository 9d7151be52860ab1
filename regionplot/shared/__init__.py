"""Data that all maps share, loaded once."""
