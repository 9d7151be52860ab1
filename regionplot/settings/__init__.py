"""Read settings from TOML and check them. Each section has its own module."""
