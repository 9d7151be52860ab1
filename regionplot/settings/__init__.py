"""Settings: one section per module, read from TOML and validated."""
