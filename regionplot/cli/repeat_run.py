"""Draw the maps of a known run from a new raster, and keep the record of the run up to date."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from regionplot.cli.known_runs import scope_of, show_inputs
from regionplot.cli.logs import counted_warnings
from regionplot.cli.request import Request
from regionplot.cli.session import Session
from regionplot.inputs.statement import can_be_stated, statement_from
from regionplot.inputs.strips import MAX_READERS
from regionplot.runs.child_cells import ChildCells
from regionplot.runs.known import KnownRun, write_known_run
from regionplot.runs.known_drawing import read_known_drawing
from regionplot.runs.record import Redraw
from regionplot.runs.report import RunReport
from regionplot.system.files import Fingerprint
from regionplot.system.signals import interrupts_held

if TYPE_CHECKING:
    from regionplot.executors.base import Task
    from regionplot.runs.jobs import Job


def repeat(request: Request, session: Session, name: str, known: KnownRun) -> RunReport | None:
    """Draw the maps of a known run. Return None if a full run is needed.

    Parameters
    ----------
    request : Request
        Options of the command.
    session : Session
        Receives the events of the run.
    name : str
        Name of the record.
    known : KnownRun
        A run whose inputs are unchanged, except for the cells of the raster.
    """
    drawing = read_known_drawing(known.drawing)
    if drawing is None:
        return None
    with interrupts_held():
        is_plain = can_be_stated(drawing.profile)
        child = ChildCells.started(drawing.wanted_cells, MAX_READERS, drawing.memory) if is_plain else None
        from regionplot.runs.certainty import is_up_to_date, with_certain_raster  # noqa: PLC0415 (after the child starts)
        from regionplot.runs.repeat import repeated_run  # noqa: PLC0415

    def make_usual(run: str, fingerprint: Fingerprint | None) -> Task[Job]:
        from regionplot.runs.task import task_without_data  # noqa: PLC0415 (imports all libraries)

        return task_without_data(request.config(), [each.region for each in known.maps], run, fingerprint)

    began, marks = time.time(), known.inputs.marks()
    redraw = Redraw.ALL if request.force else Redraw.CHANGED
    scope = scope_of(request)
    with (
        counted_warnings() as warnings,
        nullcontext() if child is None else statement_from(child.statement),
        repeated_run(known, drawing, child, scope, redraw, make_usual) as run,
    ):
        if run is None:
            return None
        show_inputs(known, request, session)
        report = run.finish(session)
    if is_up_to_date(report) and not warnings.count and known.inputs.marks() == marks:
        certain = with_certain_raster(marks, str(known.facts.raster), began)
        write_known_run(name, known.after(report.outcomes, certain))
    return session.with_wait(report)
