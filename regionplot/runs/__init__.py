"""Run a whole table of regions: check, draw, publish the maps, and report."""
