"""Each kind of run imports only the libraries that it uses, and workers inherit what their parent has imported."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from warm_start import WarmProcess

LARGE = {
    "pandas", "pyogrio", "xarray", "rioxarray", "cartopy", "matplotlib.pyplot", "rich", "dask", "distributed", "scipy",
    "netCDF4", "h5py", "numexpr", "pint", "botocore",
}  # fmt: skip
RECORD_IMPORTS = """
import os, sys

class Recorder:
    '''Write the name of each module that a process imports, and whether the process is a child.'''

    file, parent = open(sys.argv.pop(1), "a", buffering=1), os.getpid()

    def find_spec(self, name, path=None, target=None):
        self.file.write(f"{'child' if os.getpid() != self.parent else 'parent'} {name}\\n")

sys.meta_path.insert(0, Recorder())
"""
COMMAND = RECORD_IMPORTS + "from regionplot.cli import commands; sys.exit(commands.run(sys.argv[1:]))"
AT_ONCE = COMMAND.replace(
    "from regionplot.cli",
    "sys.path[0] = ''; from regionplot.runs import identity; identity.MIN_AGE = 0; from regionplot.cli",
)
"""Records also the run of a new file, for a later process with the same `sys.path`."""
FROM_A_FRAME = (
    RECORD_IMPORTS
    + """
import pandas, regionplot
config = regionplot.read_config("regionplot.toml")
regions = regionplot.read_regions(pandas.read_csv(sys.argv[1]))
assert len(regionplot.render_regions(regions, config, force=True).drawn) == 3
sys.exit(0)
"""
)


@dataclass(frozen=True)
class Imports:
    """The modules that a run imports, without the standard library."""

    all: set[str]
    in_children: set[str]
    """Modules that child processes do not inherit, but import themselves."""
    in_parent: set[str]

    @property
    def large(self) -> set[str]:
        """Large libraries. pandas imports numexpr if it is installed."""
        found = self.all & LARGE
        return found - {"numexpr"} if "pandas" in found else found


def draw(
    folder: Path, process: WarmProcess | None, code: str = COMMAND, *, raster="grid.tif", options="",
    arguments=("-q", "--force"), **sections: str,
) -> Imports:  # fmt: skip
    """Draw three maps in a fork of a process, or in a new interpreter."""
    tables = {"colors": "levels = [0, 1000, 2000, 3000]", "map": 'size = [300, 200]\nprojection = "EPSG:5070"'}
    text = f"[raster]\npath = {json.dumps(str(raster))}\n{options}\n[run]\nstart_method = 'fork'\nworkers = 2\n"
    text += "[[features]]\npath = 'layer.shp'\n"
    text += "".join(f"[{name}]\n{lines}\n" for name, lines in {**tables, **sections}.items())
    settings = folder / "regionplot.toml"
    if code is COMMAND or settings.read_text() != text:  # no run is known whose settings were written just now
        settings.write_text(text)
    record = folder / "record"
    record.write_text("")
    arguments = [str(record), "regions.csv", *arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    if process:
        script = folder / "script.py"
        script.write_text(code)
        with process.start(folder, *arguments, script=script, environment=environment) as done:
            _, errors = done.communicate()
    else:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        errors = done.stderr
    assert (done.returncode, errors) == (0, "")
    imports = [line.split() for line in record.read_text().splitlines()]
    found = [(process, name) for process, name in imports if name.partition(".")[0] not in sys.stdlib_module_names]
    children, parent = ({name for process, name in found if process == kind} for kind in ("child", "parent"))
    return Imports(children | parent, children, parent)


@pytest.fixture(scope="module")
def cold(light_process, tmp_path_factory) -> tuple[Path, Imports]:
    """Return a folder with inputs, and the modules that its first run imports. The run caches the vectors."""
    folder: Path = tmp_path_factory.mktemp("imports")
    rows = "a,-95,-70,20,40\nb,-90,-60,10,30\nc,-80,-60,10,20\n"
    (folder / "regions.csv").write_text(f"name,west,east,south,north\n{rows}")
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 50, "width": 60, "crs": "EPSG:4326"}
    with rasterio.open(folder / "grid.tif", "w", transform=Affine(1, 0, -100, 0, -1, 50), **profile) as file:
        file.write(np.arange(3000, dtype=np.float32).reshape(1, 50, 60))
    box = np.array([shapely.to_wkb(shapely.box(-90, 10, -60, 40))], dtype=object)
    pyogrio.raw.write(folder / "layer.shp", box, [np.arange(1)], ["id"], geometry_type="Polygon", crs="EPSG:4326")
    return folder, draw(folder, light_process)


@pytest.fixture
def run(cold: tuple[Path, Imports], light_process: WarmProcess) -> Callable[..., Imports]:
    """Return `draw` for the folder whose vectors, frame and ink are in the cache."""
    return functools.partial(draw, cold[0], light_process)


@pytest.fixture
def fill_cache(cold: tuple[Path, Imports], warm_process: WarmProcess) -> Callable[..., Imports]:
    """Return a function that draws as `run` does, so that the next run finds the cache filled. Imports are done."""
    return functools.partial(draw, cold[0], warm_process)


def test_a_first_run_imports_the_libraries_for_vectors_once(cold: tuple[Path, Imports]) -> None:
    _, imports = cold
    assert (imports.large, imports.in_children) == ({"pandas", "pyogrio"}, set())


def test_a_run_with_vectors_and_ink_in_the_cache_imports_no_library_for_them(run) -> None:
    imports = run()
    assert (imports.large, imports.in_children) == (set(), set())
    assert not uses_matplotlib(imports.all)
    assert run(arguments=["-q"]).all <= imports.all


def test_libraries_do_not_import_what_downloads_files_or_finds_plugins(cold, monkeypatch) -> None:
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "1")  # as `commands.main`
    imports = draw(cold[0], None)
    standard = {line.split()[1] for line in (cold[0] / "record").read_text().splitlines()}
    assert "pathlib" in standard
    assert not standard & {"email", "importlib.metadata", "urllib.request", "ssl"}
    assert "pyproj.transformer" in imports.all
    assert not imports.all & {"pyproj.sync", "pyproj._show_versions"}, "they import urllib.request and email"


def test_a_known_run_imports_click_and_few_modules_of_this_package(cold, fill_cache) -> None:
    fill_cache(AT_ONCE, arguments=["-q"])
    imports = draw(cold[0], None, AT_ONCE, arguments=["-q"])
    packages = {name.partition(".")[0] for name in imports.all}
    assert packages <= {"regionplot", "click", "org", "_distutils_hack"}
    assert not imports.all & {"regionplot.settings.config", "regionplot.regions.table", "regionplot.runs.run"}


def test_a_run_whose_raster_alone_is_new_imports_neither_settings_nor_projections(cold, fill_cache) -> None:
    plain = {"map": 'size = [300, 200]\nprojection = "raster"'}
    interpolated = {"options": "resampling = 'bilinear'"}  # in another CRS
    for sections in (plain, interpolated):
        fill_cache(AT_ONCE, **sections)
        imports = draw(cold[0], None, AT_ONCE, **sections)
        packages = {name.partition(".")[0] for name in imports.all}
        assert {"numpy", "rasterio"} <= packages
        assert "rasterio" not in imports.in_parent
        assert not packages & {"pyproj", "shapely", "pydantic", "matplotlib", "cartopy", "pandas", "pyogrio"}


def test_a_run_with_new_regions_loads_gdal_only_in_the_child_that_reads_the_cells(cold, fill_cache) -> None:
    fill_cache(AT_ONCE)
    table = cold[0] / "regions.csv"
    before = table.read_text()
    try:
        table.write_text(before.replace("b,-90", "b,-91"))
        imports = draw(cold[0], None, AT_ONCE)
    finally:
        table.write_text(before)
    assert "rasterio" in imports.in_children
    assert "rasterio" not in imports.in_parent


def uses_matplotlib(names: set[str]) -> bool:
    """Return True if modules of matplotlib are imported. Finding the folder of the package imports none."""
    return any(name.startswith("matplotlib.") for name in names)


@pytest.mark.parametrize(("name", "needs_matplotlib"), [("b", False), ("ö", True)])
def test_a_new_region_needs_matplotlib_only_for_an_unusual_title(name: str, needs_matplotlib: bool, run, cold) -> None:
    table = cold[0] / "regions.csv"
    before = table.read_text()
    try:
        table.write_text(before.replace("b,-90", f"{name},-91"))
        imports = run()
    finally:
        table.write_text(before)
    assert uses_matplotlib(imports.all) is needs_matplotlib
    assert not imports.in_children


@pytest.mark.parametrize(
    "sections", [{"output": "png.mode = 'rgb'"}, {"colors": ""}, {"colors": "diverging = 1500"}], ids=str
)
def test_rgb_maps_with_a_known_frame_do_not_need_matplotlib(sections: dict[str, str], run, fill_cache) -> None:
    fill_cache(**sections)
    imports = run(**sections)
    assert not uses_matplotlib(imports.all)
    assert not imports.in_children


def test_norms_of_matplotlib_are_imported_before_the_fork(run, fill_cache) -> None:
    fill_cache(colors="norm = 'log'")
    imports = run(colors="norm = 'log'")
    assert "matplotlib.colors" in imports.all
    assert "matplotlib.figure" not in imports.all
    assert not imports.in_children


def test_labels_in_the_panel_import_what_figures_need_before_the_fork(run) -> None:
    imports = run(graticule="position = 'inside'")
    assert "matplotlib.figure" in imports.all
    assert not {name for name in imports.in_children if name != "matplotlib.patheffects"}


def test_a_run_without_the_cache_imports_matplotlib_once(run) -> None:
    imports = run(arguments=["-q", "--force", "--no-cache"])
    assert uses_matplotlib(imports.all)
    assert not imports.in_children


def test_netcdf_needs_only_its_own_library(run, write_netcdf) -> None:
    path = write_netcdf(
        lon=(np.linspace(-100, -41, 60), {"units": "degrees_east"}),
        lat=(np.linspace(50, 1, 50), {"units": "degrees_north"}),
        z=(np.ones((50, 60), np.float32), {}),
    )
    imports = run(raster=path)
    assert (imports.large, imports.in_children) == ({"netCDF4"}, set())


def test_grib_needs_no_library_but_gdal(run, write_raster) -> None:
    path = write_raster(np.ones((50, 60)), name="grid.grib2", driver="GRIB")
    imports = run(raster=path)
    assert (imports.large, imports.in_children) == (set(), set())


def test_true_colors_need_no_further_library(run, write_raster) -> None:
    path = write_raster(np.full((3, 50, 60), 99, np.uint8), name="rgb.tif", photometric="RGB")
    imports = run(raster=path, colors="")
    assert (imports.large, imports.in_children) == (set(), set())


def test_resampling_is_imported_before_the_fork(run) -> None:
    imports = run(options='resampling = "bilinear"')
    assert "rasterio.warp" in imports.all
    assert not uses_matplotlib(imports.all), "the raster does not change the ink"
    assert (imports.large, imports.in_children) == (set(), set())


@pytest.mark.parametrize(("step", "needed"), [("slope", set()), ("focal", {"scipy"})])
def test_raster_steps_import_the_libraries_of_their_own_step(run, step: str, needed: set[str]) -> None:
    prepare = f"[[prepare]]\nstep = '{step}'\n" + ("kind = 'mean'\nsize = 3" if step == "focal" else "")
    assert run(options=prepare).large == needed


def test_a_projection_of_cartopy_needs_cartopy(run, fill_cache) -> None:
    fill_cache(map='projection = "Robinson"')
    assert run(map='projection = "Robinson"').large == {"cartopy"}


def test_a_data_frame_needs_nothing_but_pandas(run) -> None:
    imports = run(FROM_A_FRAME)
    assert (imports.large, imports.in_children) == ({"pandas"}, set())
