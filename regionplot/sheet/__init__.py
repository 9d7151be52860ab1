"""One map sheet: its layout, the view of a region, and the marks that layers draw. No matplotlib."""
