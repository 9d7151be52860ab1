"""A worker that inherits no data frees its sheet after each map. Its maps are those of other workers."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.canvases import Canvases
from regionplot.runs.jobs import Job
from regionplot.runs.task import RenderTask
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.load import check_inputs
from regionplot.shared.slot import forget_shared_data, share_with_workers

REGIONS = [Region("east", Extent(-84.5, -75.3, 33.8, 36.7)), Region("west", Extent(-120, -110, 33.8, 40))]


@pytest.mark.parametrize("colors", [{"levels": [0, 500, 1500]}, {}], ids=["palette", "rgb"])
def test_a_worker_without_inherited_data_frees_its_sheet_after_each_map(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, colors: dict[str, Any]
) -> None:
    sheets: list[weakref.ref[Any]] = []
    found = Canvases._found

    def watched(self: Canvases, *arguments: Any) -> Any:
        canvas = found(self, *arguments)
        sheets.append(weakref.ref(canvas))
        return canvas

    monkeypatch.setattr(Canvases, "_found", watched)
    sample = {"raster": {"path": "sample:relief"}, "colors": colors, "run": {"cache": False}}
    config = make_config(**sample, map={"size": (200, 150), "style": "plain"})
    plan = check_inputs(config, REGIONS)

    def draw(folder: str) -> list[bytes]:
        task = RenderTask(config, "run", plan, len(REGIONS))
        task.start_worker()
        jobs = [Job(region, str(config.output.directory / folder / f"{region.name}.png")) for region in REGIONS]
        jobs[0].target.parent.mkdir(parents=True)
        maps = [task(job).path.read_bytes() for job in jobs]
        gc.collect()  # figures hold reference cycles
        lives.append(sum(sheet() is not None for sheet in sheets))
        return maps

    lives: list[int] = []
    forget_shared_data()
    alone = draw("alone")
    sheets.clear()
    with share_with_workers(SharedData.load(config, plan=plan)):
        assert draw("inherited") == alone
    forget_shared_data()
    assert lives[0] == 0
    assert lives[1] > 0
