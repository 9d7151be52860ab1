"""Define the base class of observers of jobs, such as progress bars."""

from __future__ import annotations

from typing import Generic

from regionplot.executors.base import J, Outcome


class JobObserver(Generic[J]):
    """Base class of observers. The methods do nothing. A subclass overrides the methods that it needs."""

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """Receive the number of jobs and workers, before the first job starts.

        Parameters
        ----------
        jobs, workers : int
            Number of jobs and of workers. 0 jobs means that the number is not known.
        start_method : str
            Name of the executor, such as `fork`.
        """

    def finished(self, outcome: Outcome[J]) -> None:
        """Receive the outcome of one job."""
