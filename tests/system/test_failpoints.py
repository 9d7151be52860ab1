"""Test the hook that injects faults in tests."""

from __future__ import annotations

import pytest

from regionplot.system import failpoints


def test_without_a_hook_nothing_happens():
    failpoints.failpoint("draw", "colorado")


def test_hook_is_called_at_each_phase_until_it_is_removed():
    seen = []

    def hook(phase, name):
        seen.append((phase, name))
        if phase == "save":
            raise OSError("full")

    with failpoints.install(hook):
        failpoints.failpoint("draw", "colorado")
        with pytest.raises(OSError, match="full"):
            failpoints.failpoint("save", "colorado.png")
    failpoints.failpoint("verify", "colorado.png")
    assert seen == [("draw", "colorado"), ("save", "colorado.png")]


def test_inner_hook_replaces_the_outer_hook_until_it_is_removed():
    seen = []
    with failpoints.install(lambda *_: seen.append("outer")):
        with failpoints.install(lambda *_: seen.append("inner")):
            failpoints.failpoint("draw")
        failpoints.failpoint("draw")
    assert seen == ["inner", "outer"]


def test_hook_is_called_in_the_order_of_the_phases(make_config):
    from regionplot.geo.extent import Extent
    from regionplot.geo.region import Region
    from regionplot.runs.run import render_regions

    seen = []
    config = make_config(map={"size": [300, 200]}, run={"start_method": "serial"})
    with failpoints.install(lambda phase, name: seen.append((phase, name))):
        render_regions([Region("east", Extent(-84.5, -75.3, 33.8, 36.7))], config)
    image = [(phase, "east.png") for phase in ("save", "verify", "replace")]
    read = [("read", "relief.tif"), ("cells", "relief.tif")]
    assert seen == [*read, ("start", "east"), ("draw", "east"), *image, ("report", "")]
