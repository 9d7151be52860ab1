"""The geometry of a map sheet: boxes, and what a panel shows. No matplotlib."""
