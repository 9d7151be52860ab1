"""Errors carry their problems as data: a message and a place."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from regionplot.errors import ConfigError, Place, Problem, RasterError, RegionplotError, RegionsError, located


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place(), "wrong"),
        (Place(file="a.toml"), "a.toml: wrong"),
        (Place(file="a.toml", line=3), "a.toml:3: wrong"),
        (Place(file="a.toml", section="map", key="size"), "a.toml: [map] size: wrong"),
        (Place(file="a.toml", line=9, section="features", number=2), "a.toml:9: [[features]] #2: wrong"),
        (Place(section="prepare", step=1, step_name="focal"), "[[prepare]] #1 (focal): wrong"),
        (Place(step=1, step_name="focal", key="size"), "step 1 (focal) size: wrong"),
        (Place(option="--focal mean:4", key="size"), "--focal mean:4: size: wrong"),
        (Place(file="a.csv", line=2, column="west"), "a.csv:2: column 'west': wrong"),
        (Place(region="ohio"), "region 'ohio': wrong"),
        (Place(file="a.tif", block="rows 0 to 9"), "a.tif: block of rows 0 to 9: wrong"),
    ],
)
def test_a_problem_is_shown_with_its_place(place: Place, text: str) -> None:
    assert str(Problem("wrong", place)) == text
    assert str(RegionplotError(Problem("wrong", place))) == text


def test_an_error_takes_text_and_problems_and_lists_them_all() -> None:
    error = RegionsError("no rows", Problem("no name", Place(file="a.csv", line=2)))
    assert error.problems == (Problem("no rows"), Problem("no name", Place(file="a.csv", line=2)))
    assert str(error) == "no rows\na.csv:2: no name"


def test_places_add_up_from_the_inside_and_the_inner_one_wins() -> None:
    with pytest.raises(ConfigError) as caught, located(section="prepare", step=9), located(step=2, step_name="focal"):
        raise ConfigError("even", Problem("odd", Place(key="size")))
    first, second = caught.value.problems
    assert first == Problem("even", Place(section="prepare", step=2, step_name="focal"))
    assert second == Problem("odd", replace(first.place, key="size"))


def test_other_errors_and_no_error_pass_unchanged() -> None:
    with pytest.raises(KeyError, match=r"^'size'$"), located(step=2):
        raise KeyError("size")
    with located(step=2):
        pass


def test_the_class_of_an_error_stays_and_its_places_travel_to_other_processes() -> None:
    with pytest.raises(RasterError) as caught, located(file="a.tif"):
        raise RasterError("not a raster")
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is RasterError
    assert error.problems == (Problem("not a raster", Place(file="a.tif")),)


def test_a_place_can_be_replaced_for_another_reader() -> None:
    error = ConfigError(Problem("even", Place(step=1, key="size")), "no such file")
    error.relocate(lambda place: Place(option="--focal 4", key=place.key) if place.step else place)
    assert str(error) == "--focal 4: size: even\nno such file"
