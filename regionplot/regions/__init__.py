"""Read the table of regions."""
