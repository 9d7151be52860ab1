"""Programs of other packages, run by this package."""
