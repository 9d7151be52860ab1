"""Draw maps. This is the only package that draws with matplotlib."""
