"""Runs: many regions in, published maps and a report out."""
