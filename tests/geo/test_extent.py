"""Test the small values: extents, panel grids, regions, jobs and outcomes."""

from __future__ import annotations

import dataclasses
import pickle
from types import MappingProxyType

import numpy as np
import pytest

from regionplot.executors.base import Failure, Outcome
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.region import Region
from regionplot.runs.jobs import Job


def test_an_extent_can_be_measured_resized_and_shifted() -> None:
    extent = Extent(170, 190, -10, 30)
    assert (extent.width, extent.height, extent.center) == (20, 40, (180, 10))
    assert extent.resized(10, 8) == Extent(175, 185, 6, 14)
    assert extent.shifted(-360) == Extent(-190, -170, -10, 30)
    assert str(extent) == "x 170 to 190, y -10 to 30"


@pytest.mark.parametrize("kind", [int, float, np.float64, np.int32, np.float32])
def test_equal_extents_have_equal_texts(kind: type) -> None:
    """Views are cached by equality, and digests contain their texts."""
    assert repr(Extent(*map(kind, (-98, -75, 33, 48)))) == repr(Extent(-98.0, -75.0, 33.0, 48.0))


def test_a_panel_grid_has_the_size_of_its_pixels() -> None:
    grid = PanelGrid(Extent(0, 10, 0, 3), 5, 6)
    assert (grid.pixel_width, grid.pixel_height) == (2.0, 0.5)


def test_the_title_of_a_region_is_its_name_by_default() -> None:
    extent = Extent(0, 1, 0, 1)
    assert Region("06", extent).title == "06"
    assert Region("06", extent, title="California").title == "California"


def test_fields_of_a_region_are_its_columns_name_and_title() -> None:
    region = Region("a", Extent(0, 1, 0, 1), attributes={"pop": "7", "name": "not this"})
    assert dict(region.fields) == {"pop": "7", "name": "a", "title": "a"}


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Region("a", Extent(0, 1, 0, 1)).name = "b"  # type: ignore[misc]


def test_a_job_with_read_only_attributes_pickles_to_few_bytes() -> None:
    """Only the job is sent to a worker for each map."""
    attributes = MappingProxyType({f"column{i}": "some text" for i in range(10)})
    job = Job(Region("a", Extent(0, 1, 0, 1), attributes=attributes, origin="regions.csv:2"), "maps/a.png")
    pickled = pickle.dumps(job)
    assert len(pickled) < 1000
    assert pickle.loads(pickled) == job
    assert hash(pickle.loads(pickled)) == hash(job)


def test_an_outcome_is_ok_unless_it_holds_a_failure() -> None:
    job = Job(Region("a", Extent(0, 1, 0, 1)), "a.png")
    assert Outcome(job, "value").ok
    assert not Outcome(job, failure=Failure("killed", "by SIGKILL")).ok
    assert job.name == "a"
