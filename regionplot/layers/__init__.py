"""Layers: everything that is drawn on a map, one module per layer. They do not use matplotlib."""
