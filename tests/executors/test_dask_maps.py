"""Draw maps on dask clusters. The maps are those of other executors."""

from __future__ import annotations

import json
from pathlib import Path

import dask_process

_RUNS = """
import json, sys
from pathlib import Path
import distributed
import regionplot
def forbid():
    from regionplot.runs import gather, sidecars, store, task
    def fail(*arguments, **options):
        raise AssertionError("a worker has written")
    gather.exists = lambda path: False  # the worker sees no file of the client
    store.write_file = sidecars.write_sidecars = task.write_sidecars = task.reuse_previous_map = fail
folder = Path(sys.argv[1])
products = {"warm": {"colors": {"colormap": "magma"}}, "cold": {"colors": {"colormap": "viridis"}}}
options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
    states = []
    for name, sections in [("one", {}), ("two", {"products": products})]:
        for round in range(3):
            for method in ("serial", "dask"):
                output = {"directory": folder / f"{name}-{method}", "world_file": True, "publish": "runs"}
                config = regionplot.read_config({
                    "raster": {"path": "sample:relief"}, "map": {"style": "plain", "size": [120, 100]},
                    "output": output, "run": {"start_method": method}, **sections,
                })
                if method == "dask":
                    client.run(forbid)
                    if round == 1:
                        next((output["directory"] / "latest").rglob("*.png")).write_bytes(b"damaged")
                options = {"client": client} if method == "dask" else {}
                report = regionplot.render_regions(folder / "regions.csv", config, **options)
                if method == "dask":
                    states.append([len(report.drawn), len(report.unchanged), len(report.failed)])
print(json.dumps(states))
"""


def test_maps_and_products_of_workers_without_the_output_folder_are_those_of_a_usual_run(tmp_path: Path) -> None:
    """The second run finds a damaged map."""
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-84.5,-75.3,33.8,36.7\nb,-124,-114,33,42\n")
    states = json.loads(dask_process.run_script(_RUNS, tmp_path))
    assert states == [[2, 0, 0], [1, 1, 0], [0, 2, 0], [4, 0, 0], [1, 3, 0], [0, 4, 0]]
    for name, count in (("one", 2), ("two", 4)):
        found = []
        for method in ("serial", "dask"):
            latest = tmp_path / f"{name}-{method}" / "latest"
            files = [path for path in latest.rglob("*") if path.is_file() and path.suffix not in (".json", "")]
            found.append({str(path.relative_to(latest)): path.read_bytes() for path in files})
        assert found[0] == found[1]
        assert len([file for file in found[0] if file.endswith(".png")]) == count < len(found[0])


_WARM = """
import json, sys
from pathlib import Path
import distributed
import regionplot
def count():
    from regionplot.shared.data import SharedData
    load = SharedData.load
    def counted(*arguments, **options):
        Path(folder, "loads").open("a").write("x")
        return load(*arguments, **options)
    SharedData.load = counted
def lose_memory():
    from regionplot.executors import dask_task
    dask_task.available_memory = lambda: 0
folder = sys.argv[1]
def draw(name, **sections):
    config = regionplot.read_config({
        "raster": {"path": "sample:relief"}, "map": {"style": "plain", "size": [120, 100]},
        "output": {"directory": Path(folder, name)}, **({"products": sections} if sections else {}),
    })
    report = regionplot.render_regions(Path(folder, "regions.csv"), config, client=client)
    assert len(report.drawn) == 2 * max(1, len(sections)), report
    loads.append(len(Path(folder, "loads").read_text()))
options, loads = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}, []
with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
    client.run(count)
    draw("first")
    draw("second")
    draw("third", a={}, b={})
    draw("fourth", a={}, b={})
    client.run(lose_memory)
    draw("fifth", a={}, b={})
    draw("sixth", a={}, b={})
print(json.dumps(loads))
"""


def test_workers_keep_the_data_for_later_runs_while_memory_is_available(tmp_path: Path) -> None:
    """The runs differ only in their output folder. At the end of the fifth run, little memory is available."""
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-84.5,-75.3,33.8,36.7\nb,-124,-114,33,42\n")
    assert json.loads(dask_process.run_script(_WARM, tmp_path)) == [1, 1, 3, 3, 3, 5]
