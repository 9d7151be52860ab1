"""Draw maps. The only package that draws with matplotlib."""
