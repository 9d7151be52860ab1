"""Collect the outcomes of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from regionplot.executors.base import Outcome
from regionplot.runs.jobs import Job

if TYPE_CHECKING:
    from regionplot.blocks.report import BlockObserver


class Observer(Protocol):
    """Who wants to see a run as it goes, such as a progress bar."""

    def preparing(self) -> BlockObserver | None:
        """Return an observer of the blocks, before the raster is prepared."""

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """The first job is about to be done."""

    def finished(self, outcome: Outcome[Job]) -> None:
        """One job has come to its end."""


class NoObserver:
    """Nobody watches."""

    def preparing(self) -> BlockObserver | None:
        """See `Observer`."""
        return None

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """See `Observer`."""

    def finished(self, outcome: Outcome[Job]) -> None:
        """See `Observer`."""


STATES = ("rendered", "unchanged", "skipped", "failed", "not run")


NOT_RUN = "not run"
"""The cause of failure of a map whose turn did not come."""


def state_of(outcome: Outcome[Job]) -> str:
    """Which of `STATES` a map is in."""
    if outcome.failure is not None:
        return "not run" if outcome.failure.cause == NOT_RUN else "failed"
    return str(outcome.value.state)


@dataclass(frozen=True)
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
    """Seconds of the whole run by stage: `check`, `load`, `draw`."""

    @property
    def drawn(self) -> list[Outcome[Job]]:
        """The maps that were written."""
        return self.in_state("rendered")

    @property
    def unchanged(self) -> list[Outcome[Job]]:
        """The maps that stand as they were, because nothing that they depend on is new."""
        return self.in_state("unchanged")

    @property
    def skipped(self) -> list[Outcome[Job]]:
        """The maps that were not to be written, for want of data."""
        return self.in_state("skipped")

    @property
    def failed(self) -> list[Outcome[Job]]:
        """The maps that are missing, be it that their turn did not come."""
        return [outcome for outcome in self.outcomes if not outcome.ok]

    def in_state(self, state: str) -> list[Outcome[Job]]:
        """The outcomes in one of `STATES`."""
        return [outcome for outcome in self.outcomes if state_of(outcome) == state]

    def counts(self) -> dict[str, int]:
        """How many maps are in each of `STATES`."""
        found = Counter(map(state_of, self.outcomes))
        return {state: found[state] for state in STATES}

    @property
    def exit_code(self) -> int:
        """0 if all went well, 1 if some regions failed."""
        return 1 if self.failed else 0

    def __str__(self) -> str:
        counts = self.counts()
        drawn = counts["rendered"]
        parts = [f"{drawn} map{'' if drawn == 1 else 's'} drawn"]
        empty = sum(outcome.value.no_data for outcome in self.drawn)
        parts += [f"{empty} without data"] if empty else []
        parts += [f"{counts[state]} {state}" for state in STATES[1:] if counts[state]]
        return f"{', '.join(parts)} in {self.seconds:.1f} s"
