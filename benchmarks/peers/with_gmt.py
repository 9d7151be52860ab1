"""Draw with GMT in modern mode, through its C interface. Each process has one session, as in PyGMT.

A script of `gmt` commands would start nine programs for each map. Their startup takes longer than their work.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO

from task import Map, Task, fork, run

PREPARED = "gmt"
EXTERNAL_SESSION, COMMAND = 2, 0
PAD = 2


def prepare(task: Task, _folder: Path) -> None:
    """Write the cells as an uncompressed NetCDF file, the lines as numbers, and the classes as a color table."""
    folder = Path(task.raster).with_name(PREPARED)
    folder.mkdir(exist_ok=True)
    gmt("grdconvert", task.raster, f"-G{folder}/cells.grd=nf", "--IO_NC4_DEFLATION_LEVEL=0")
    for layer in task.layers:
        with (folder / f"{layer['name']}.bin").open("wb") as file:
            gmt("convert", layer["path"], "-bo2d", stdout=file)
    classes = zip(pairwise(task.levels), task.colors, strict=True)
    rows = [f"{low}\t{color}\t{high}\t{color}" for (low, high), color in classes]
    ends = [f"B\t{task.colors[0]}", f"F\t{task.colors[-1]}", f"N\t{task.background}"]
    (folder / "classes.cpt").write_text("\n".join([*rows, *ends, ""]), encoding="utf-8")


def gmt(*arguments: str, stdout: IO[bytes] | int = subprocess.PIPE) -> str:
    """Run a module of GMT as a program. Return its output."""
    return str(subprocess.run(["gmt", *arguments], check=True, stdout=stdout, text=True).stdout).strip()


def modules(task: Task, one: Map, prepared: Path) -> Iterator[tuple[str, str]]:
    """Yield the modules that draw a map, each with its arguments."""
    left, top, width, height = (side / task.dpi for side in task.panel)
    sheet = [side / task.dpi for side in task.sheet]
    xmin, ymin, xmax, ymax = one.panel
    yield "begin", ""
    yield "figure", f"{one.name} png A0,E{task.dpi},Qg4,Qt4"
    yield "set", f"PS_MEDIA {sheet[0]}ix{sheet[1]}i FONT_ANNOT_PRIMARY 9p FONT_TITLE 14p MAP_FRAME_PEN 0.8p"
    yield "set", "PS_PAGE_ORIENTATION portrait MAP_TITLE_OFFSET 2p MAP_TICK_LENGTH 3p"
    panel = f"-R{xmin}/{xmax}/{ymin}/{ymax} -JX{width}i/{height}i -Xf{left}i -Yf{sheet[1] - top - height}i"
    yield "grdimage", f"{prepared}/cells.grd {panel} -C{prepared}/classes.cpt -nn"
    for layer in task.layers:
        yield "plot", f"{prepared}/{layer['name']}.bin -bi2d -W{layer['points']}p"
    yield "basemap", f'-B0 -B+t"{one.title}"'
    yield "colorbar", f"-Dx0.1i/-0.04i+w{width - 0.2}i/0.09i+h -C{prepared}/classes.cpt -L0"
    yield "end", ""


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
def say(_file: int, text: bytes) -> int:
    """Print a message of GMT. Skip messages about libgmt.so, which only libgmt-dev of Debian contains."""
    return 0 if b"shared core library" in text else sys.stderr.write(text.decode())


def draw(task: Task, folder: Path) -> None:
    """Draw all maps."""
    prepared = Path(task.raster).with_name(PREPARED)

    def draw_some(maps: list[Map]) -> None:
        os.chdir(folder)
        os.environ.update(GMT_USERDIR=str(prepared), GMT_SESSION_NAME=str(os.getpid()))
        library = ctypes.CDLL(ctypes.util.find_library("gmt"))
        library.GMT_Create_Session.restype = ctypes.c_void_p
        session = ctypes.c_void_p(library.GMT_Create_Session(b"peer", PAD, EXTERNAL_SESSION, say))
        for one in maps:
            for module, arguments in modules(task, one, prepared):
                if library.GMT_Call_Module(session, module.encode(), COMMAND, arguments.encode()):
                    raise SystemExit(f"gmt {module} {arguments}")
        library.GMT_Destroy_Session(session)

    fork(task, draw_some)


run(draw, prepare)
