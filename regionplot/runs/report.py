"""Collect the outcomes of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.executors.base import Outcome
from regionplot.executors.observer import JobObserver
from regionplot.runs.jobs import Job
from regionplot.system.network import NetworkUse

if TYPE_CHECKING:
    from regionplot.blocks.report import BlockObserver
    from regionplot.runs.task import RenderTask


class Observer(JobObserver[Job]):
    """Base class of observers of a run, such as a progress bar. Its methods do nothing."""

    def preparing(self) -> BlockObserver | None:
        """Return an observer of the blocks that the raster steps process, or None. Called before the steps run."""
        return None

    def drawn(self, task: RenderTask) -> None:
        """Receive the task that drew maps, after all maps are drawn. Its data are still loaded."""


STATES = ("rendered", "unchanged", "skipped", "failed", "not run")
NOT_RUN = "not run"
"""Failure cause of a map that was not started."""


def state_of(outcome: Outcome[Job]) -> str:
    """Return the state of a map. `STATES` lists the possible states."""
    if outcome.failure is not None:
        return "not run" if outcome.failure.cause == NOT_RUN else "failed"
    return str(outcome.value.state)


@dataclass(frozen=True, repr=False)
class RunReport:
    """The outcomes of a run, in the order of the regions.

    Examples
    --------
    >>> str(RunReport((), 0.5, "fork", 1))
    '0 maps drawn in 0.5 s'
    """

    outcomes: Sequence[Outcome[Job]]
    seconds: float
    """Wall time of the whole run."""
    start_method: str
    workers: int
    stages: Mapping[str, float] = field(default_factory=dict)
    """Wall time in seconds by stage of the run: `check`, `load`, `draw`."""
    problems: Sequence[str] = ()
    """Errors that do not belong to a single region, such as a manifest that cannot be written."""
    leftovers: Sequence[Path] = ()
    """Maps of an earlier run whose regions are no longer in the table."""
    removed: Sequence[Path] = ()
    """Leftovers that this run has removed."""
    network: NetworkUse | None = None
    """Requests and bytes of the run, of all its processes. None if the raster is a local file."""
    uploaded: str = ""
    """What was written to object storage, for a message. Empty if the maps stay in the output folder."""

    @property
    def drawn(self) -> list[Outcome[Job]]:
        """Maps that were written."""
        return self.in_state("rendered")

    @property
    def unchanged(self) -> list[Outcome[Job]]:
        """Maps of an earlier run that were kept."""
        return self.in_state("unchanged")

    @property
    def skipped(self) -> list[Outcome[Job]]:
        """Maps that were not drawn: regions without data, or without an event (`when` in `[publish]`)."""
        return self.in_state("skipped")

    @property
    def failed(self) -> list[Outcome[Job]]:
        """Maps that failed, including maps that were not started."""
        return [outcome for outcome in self.outcomes if not outcome.ok]

    def in_state(self, state: str) -> list[Outcome[Job]]:
        """Return the outcomes of the maps in a state. `STATES` lists the possible states."""
        return [outcome for outcome in self.outcomes if state_of(outcome) == state]

    def counts(self) -> dict[str, int]:
        """Return the number of maps in each state of `STATES`."""
        found = Counter(map(state_of, self.outcomes))
        return {state: found[state] for state in STATES}

    @property
    def exit_code(self) -> int:
        """Exit code. 0: all maps are up to date. 1: regions failed, or there are `problems`.

        If all maps failed because of the rasters or the settings of their products, the exit code of the error: 3 or 2.
        """
        failures = [outcome.failure for outcome in self.failed if outcome.failure]
        if failures and len(failures) == len(self.outcomes) and all(failure.group for failure in failures):
            return min(failure.exit_code for failure in failures)
        return 1 if failures or self.problems else 0

    def __repr__(self) -> str:
        """Return the summary, the start method and the number of workers."""
        return f"<RunReport: {self}, {self.workers} x {self.start_method}>"

    def __str__(self) -> str:
        """Return the numbers of maps in each state, and the time."""
        counts = self.counts()
        drawn = counts["rendered"]
        parts = [f"{drawn} map{'' if drawn == 1 else 's'} drawn"]
        empty = sum(outcome.value.no_data for outcome in self.drawn)
        parts += [f"{empty} without data"] if empty else []
        parts += [f"{counts[state]} {state}" for state in STATES[1:] if counts[state]]
        parts += [f"{len(self.removed)} removed"] if self.removed else []
        return f"{', '.join(parts)} in {self.seconds:.1f} s"
