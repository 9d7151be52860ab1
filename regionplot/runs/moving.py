"""Place moving regions at the times of their maps, before the jobs are sent to workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from regionplot.errors import RegionError
from regionplot.runs.jobs import Job


def have_moving_regions(jobs: Sequence[Job]) -> bool:
    """Return True if a region moves with a track."""
    return any(job.region.track is not None for job in jobs)


def placed_jobs(jobs: Sequence[Job], time: object) -> list[Job]:
    """Return jobs whose regions are at their places at a time.

    If the place of a region is not known, its job keeps the track with the reason. Drawing the map then fails.

    Parameters
    ----------
    jobs : sequence of Job
        The jobs of one field.
    time : datetime or object
        Time for which the field is valid. An object of another type: the time is not known.
    """
    return [_placed(job, time) for job in jobs]


def _placed(job: Job, time: object) -> Job:
    track = job.region.track
    if track is None:
        return job
    try:
        return replace(job, region=job.region.at(time))
    except RegionError as error:
        return replace(job, region=replace(job.region, track=replace(track, problem=str(error))))
