"""Compare a script with its port to `[map] draw`: ``python benchmarks/drawing.py``; `--help` lists the options.

The script is `baseline.py`. `own_plots.py` holds its plot twice: ported to shared data, and unchanged. All three draw
the same maps, one after the other. The pictures are compared.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from inputs import LAYERS, Inputs, make_inputs, parse_size
from measure import Measured, measure
from PIL import Image

_FOLDER = Path(__file__).parent
_MEGABYTE = 2**20
_VISIBLE = 96
"""Difference of a color channel that the edges of lines do not reach, except where the script draws a border twice."""


def write_settings(inputs: Inputs, size: tuple[int, int], name: str) -> Path:
    """Write the settings of a function beside a copy of its module."""
    for module in ("own_plots.py", "inputs.py"):
        shutil.copy(_FOLDER / module, inputs.folder)
    text = inputs.config("same").read_text(encoding="utf-8")
    load = 'load = "own_plots:load"\n' if name == "unchanged" else ""
    raster = f'path = "{inputs.raster(size).name}"'
    lines = [raster if line.startswith('path = "snow_') else line for line in text.splitlines()]
    text = "\n".join(lines).replace(
        'projection = "raster"', f'projection = "LambertConformal"\ndraw = "own_plots:{name}"\n{load}'
    )
    path = inputs.folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def run(command: list[str]) -> Measured:
    """Run a command. Exit if the command fails."""
    measured = measure(command)
    if measured.exit_code:
        sys.exit(f"exit code {measured.exit_code}: {' '.join(command)}")
    return measured


def difference(folder: Path, other: Path) -> float:
    """Return the largest fraction of pixels of a map that differ visibly."""
    found = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as one, Image.open(other / path.name) as two:
            pixels = [np.asarray(image.convert("RGB")).astype(int) for image in (one, two)]
        found.append(float((abs(pixels[0] - pixels[1]).max(axis=2) > _VISIBLE).mean()))
    return max(found)


def main() -> None:
    """Measure the script and the functions, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=Path, help="folder that keeps the inputs")
    parser.add_argument("--size", type=parse_size, default=(5000, 3400))
    parser.add_argument("--maps", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="tiny inputs, takes seconds")
    options = parser.parse_args()
    size, maps, layers, sheet = options.size, options.maps, list(LAYERS), (1400, 900)
    if options.small:
        size, maps, layers, sheet = (400, 272), 2, ["states"], (320, 220)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.inputs or Path(scratch) / "inputs"
        inputs = make_inputs(folder, [size], [maps], layers, sheet)
        table, drawn = inputs.table(maps), {name: Path(scratch) / name for name in ("script", "ported", "unchanged")}
        script = [
            sys.executable,
            str(_FOLDER / "baseline.py"),
            *map(str, (table, inputs.raster(size), drawn["script"])),
        ]
        script += [*map(str, inputs.layers), "--workers", str(options.workers), "--sheet", *map(str, sheet)]
        commands = {"script": script}
        for name in ("ported", "unchanged"):
            settings = write_settings(inputs, size, name)
            command = [sys.executable, "-m", "regionplot", "-q", "--force", str(table), "--config", str(settings)]
            commands[name] = [*command, "--output", str(drawn[name]), "--workers", str(options.workers)]
        measured = {name: run(command) for name, command in commands.items()}
        print(f"{'':>10} {'wall s':>8} {'CPU s':>8} {'MB':>6} {'CPU ratio':>10} {'differs':>9}")
        for name, found in measured.items():
            ratio, differs = measured["script"].cpu / found.cpu, difference(drawn["script"], drawn[name])
            memory = found.pss / _MEGABYTE
            print(f"{name:>10} {found.wall:8.1f} {found.cpu:8.1f} {memory:6.0f} {ratio:10.1f} {differs:9.2%}")


if __name__ == "__main__":
    main()
