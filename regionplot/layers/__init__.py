"""Layers: everything that is drawn on a map, one file each. No matplotlib."""
