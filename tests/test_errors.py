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


def test_an_error_lists_all_its_texts_and_problems() -> None:
    error = RegionsError("no rows", Problem("no name", Place(file="a.csv", line=2)))
    assert error.problems == (Problem("no rows"), Problem("no name", Place(file="a.csv", line=2)))
    assert str(error) == "no rows\na.csv:2: no name"


def test_outer_places_add_fields_and_inner_fields_are_kept() -> None:
    with pytest.raises(ConfigError) as caught, located(section="prepare", step=9), located(step=2, step_name="focal"):
        raise ConfigError("even", Problem("odd", Place(key="size")))
    first, second = caught.value.problems
    assert first == Problem("even", Place(section="prepare", step=2, step_name="focal"))
    assert second == Problem("odd", replace(first.place, key="size"))


def test_errors_of_other_classes_are_not_changed() -> None:
    with pytest.raises(KeyError, match=r"^'size'$"), located(step=2):
        raise KeyError("size")
    with located(step=2):
        pass


def test_an_error_keeps_its_class_and_places_when_it_is_pickled() -> None:
    with pytest.raises(RasterError) as caught, located(file="a.tif"):
        raise RasterError("not a raster")
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is RasterError
    assert error.problems == (Problem("not a raster", Place(file="a.tif")),)


def test_the_places_of_an_error_can_be_changed() -> None:
    error = ConfigError(Problem("even", Place(step=1, key="size")), "no such file")
    error.relocate(lambda place: Place(option="--focal 4", key=place.key) if place.step else place)
    assert str(error) == "--focal 4: size: even\nno such file"
