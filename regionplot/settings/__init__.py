"""Read settings from TOML and check them. Each section has a module of its own."""
