"""What became of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from regionplot.models import Job, Outcome


class Observer(Protocol):
    """Who wants to see a run as it goes, such as a progress bar."""

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """The first job is about to be done."""

    def finished(self, outcome: Outcome[Job]) -> None:
        """One job has come to its end."""


class NoObserver:
    """Nobody watches."""

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """See `Observer`."""

    def finished(self, outcome: Outcome[Job]) -> None:
        """See `Observer`."""


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
        return [outcome for outcome in self.outcomes if outcome.ok and not outcome.value.skipped]

    @property
    def skipped(self) -> list[Outcome[Job]]:
        """The maps that were not to be written, for want of data."""
        return [outcome for outcome in self.outcomes if outcome.ok and outcome.value.skipped]

    @property
    def failed(self) -> list[Outcome[Job]]:
        """The maps that were not."""
        return [outcome for outcome in self.outcomes if not outcome.ok]

    @property
    def exit_code(self) -> int:
        """0 if all went well, 1 if some regions failed."""
        return 1 if self.failed else 0

    def __str__(self) -> str:
        parts = [f"{len(self.drawn)} map{'' if len(self.drawn) == 1 else 's'} drawn"]
        empty = sum(outcome.value.no_data for outcome in self.drawn)
        parts += [f"{empty} without data"] if empty else []
        parts += [f"{len(self.skipped)} without data skipped"] if self.skipped else []
        not_run = sum(outcome.failure is not None and outcome.failure.cause == "not run" for outcome in self.failed)
        parts += [f"{len(self.failed) - not_run} failed"] if len(self.failed) > not_run else []
        parts += [f"{not_run} not run"] if not_run else []
        return f"{', '.join(parts)} in {self.seconds:.1f} s"
