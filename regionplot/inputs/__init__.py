"""Read rasters and vectors. The only package that opens input files."""
