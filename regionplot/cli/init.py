"""Define `regionplot init`: write a sample settings file and a sample table of regions."""

from __future__ import annotations

from pathlib import Path

import click

from regionplot.errors import ConfigError

_STARTER = Path(__file__).parent / "starter"
_SCHEMA = Path(__file__).parents[1] / "settings" / "regionplot.schema.json"


@click.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init(directory: Path) -> int:
    """Write a commented regionplot.toml and regions.csv to start from."""
    sources = [_SCHEMA, *sorted(_STARTER.iterdir())]
    targets = [directory / source.name for source in sources]
    taken = [str(target) for target in targets if target.exists()]
    if taken:
        raise ConfigError(f"{' and '.join(taken)}: existing files are not overwritten; choose another folder")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for source, target in zip(sources, targets, strict=True):
            target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror or error}") from None
    click.echo(f"Wrote {' and '.join(map(str, targets))}.\nNow: regionplot {directory / 'regions.csv'}")
    return 0
