"""Color scales: from values to colors."""
