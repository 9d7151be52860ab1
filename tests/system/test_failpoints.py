"""The hook by which tests make things go wrong; outside of tests there is none."""

from __future__ import annotations

import pytest

from regionplot.system import failpoints


def test_nothing_happens_without_a_hook():
    assert failpoints._hook is None
    failpoints.failpoint("draw", "colorado")


def test_hook_is_told_each_phase_raises_there_and_goes():
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


def test_phases_of_a_run_come_in_order(make_config):
    from regionplot.geo.extent import Extent
    from regionplot.geo.region import Region
    from regionplot.runs.run import render_regions

    seen = []
    config = make_config(map={"size": [300, 200]}, run={"start_method": "serial"})
    with failpoints.install(lambda phase, name: seen.append((phase, name))):
        render_regions([Region("east", Extent(-84.5, -75.3, 33.8, 36.7))], config)
    image = [(phase, "east.png") for phase in ("save", "verify", "replace")]
    assert seen == [("read", "relief.tif"), ("start", "east"), ("draw", "east"), *image, ("report", "")]
