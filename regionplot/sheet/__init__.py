"""One map sheet: its layout, the view of a region, and the marks of layers. It does not use matplotlib."""
