"""Read rasters and vector files. Only this package opens them."""
