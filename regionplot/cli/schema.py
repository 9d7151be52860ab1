"""Define `regionplot schema`: print the JSON Schema of the settings."""

from __future__ import annotations

import click


@click.command()
def schema() -> int:
    """Print the JSON Schema of regionplot.toml, with the layers and steps of installed plug-ins."""
    from regionplot.settings.schema import schema_text  # noqa: PLC0415 (so that --help is fast)

    click.echo(schema_text(), nl=False)
    return 0
