"""Rasters are opened in one module and written in another; maps are drawn without xarray."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from warm_start import WarmProcess

import regionplot
from regionplot.errors import RasterError
from regionplot.inputs.gdal import opened
from regionplot.inputs.netcdf import opened_netcdf

PACKAGE = Path(regionplot.__file__).parent
OPENERS = {"inputs/gdal.py", "blocks/new_raster.py"}
XARRAY = {"inputs/dataarray.py", "inputs/array.py", "inputs/memory.py", "inputs/zarr.py", "xarray.py"}


def opens_a_raster(source: str) -> bool:
    """Return True if code calls `rasterio.open`, or imports `open` from rasterio. See `inputs.gdal.import_rasterio`."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {name for node in nodes for name in _names_of_rasterio(node)}
    return any(_is_open(node, names) for node in nodes)


def _names_of_rasterio(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (name.asname or "rasterio" for name in node.names if name.name.partition(".")[0] == "rasterio")
    if isinstance(node, ast.Assign) and "import_rasterio" in ast.unparse(node.value):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_open(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "rasterio" and "open" in {name.name for name in node.names}
    is_attribute = isinstance(node, ast.Attribute) and node.attr == "open"
    return is_attribute and isinstance(node.value, ast.Name) and node.value.id in names


def imports_xarray(source: str) -> bool:
    """Return True if code imports xarray or rioxarray, except for type checkers."""
    names = {name.partition(".")[0] for name in _imports(ast.parse(source))}
    return not names.isdisjoint({"xarray", "rioxarray"})


def _imports(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (name.name for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module or ""
        yield from _imports(child)


def modules_with(word: str) -> dict[str, str]:
    """Return the source of each module that contains a word. Parsing all modules would take a second."""
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    return {name: source for name, source in sources.items() if word in source}


def test_rasters_are_opened_in_one_module_and_created_in_another() -> None:
    assert {name for name, source in modules_with("rasterio").items() if opens_a_raster(source)} == OPENERS


def test_xarray_is_imported_where_arrays_are_converted_and_nowhere_else() -> None:
    assert {name for name, source in modules_with("xarray").items() if imports_xarray(source)} == XARRAY


@pytest.mark.parametrize(
    "source",
    [
        "import rasterio\nwith rasterio.open(path) as file: pass",
        "import rasterio\ndef read():\n    opener = rasterio.open",
        "from rasterio import open",
        "def read():\n    import rasterio as rio\n    return rio.open(path)",
    ],
)
def test_another_module_that_opens_rasters_is_found(source: str) -> None:
    assert opens_a_raster(source)
    assert not opens_a_raster("import rasterio\nrasterio.shutil.copy(a, b)\npath.open()")


@pytest.mark.parametrize(
    "source",
    ["import xarray as xr", "def late():\n    import rioxarray", "from xarray.core import x", "if a: import xarray"],
)
def test_another_module_that_imports_xarray_is_found(source: str) -> None:
    assert imports_xarray(source)
    assert not imports_xarray("if TYPE_CHECKING:\n    import xarray as xr")


RUN = """
import sys
import regionplot
config = regionplot.read_config({"raster": {"path": "sample:relief"}, "map": {"size": [300, 200]},
                                 "output": {"directory": sys.argv[1]}, "run": {"start_method": "serial"}})
region = regionplot.Region("nc", regionplot.Extent(-84.5, -75.3, 33.8, 36.7))
report = regionplot.render_regions([region], config)
assert len(report.drawn) == 1
assert not {"xarray", "rioxarray"} & set(sys.modules), "imported by a run"
shared = regionplot.SharedData.load(config)
assert not {"xarray", "rioxarray"} & set(sys.modules), "imported by SharedData.load"
assert shared.raster.rio.crs.to_epsg() == 4326 and shared.raster is shared.raster
"""


@pytest.mark.slow
def test_a_run_imports_no_xarray(light_process: WarmProcess, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(RUN)
    with light_process.start(tmp_path, tmp_path / "maps", script=script) as run:
        _, errors = run.communicate(timeout=100)
    assert run.returncode == 0, errors


@pytest.mark.skipif(sys.platform != "linux", reason="finds the library in /proc")
@pytest.mark.parametrize("first", ["rasterio", "netCDF4"])
def test_hdf5_prints_no_errors_of_a_damaged_file(first, tmp_path, capfd):
    """The library prints 20 lines or more to stderr, for each thread and each copy of the library."""
    path = tmp_path / "grid.nc"
    cells = np.random.default_rng(1).normal(size=(60, 80)).astype("f4")
    with netCDF4.Dataset(path, "w") as file:
        for name, length in (("lat", 60), ("lon", 80)):
            file.createDimension(name, length)
            axis = file.createVariable(name, "f8", (name,))
            axis.units = {"lat": "degrees_north", "lon": "degrees_east"}[name]
            axis[:] = 10 + np.arange(length)
        file.createVariable("snow", "f4", ("lat", "lon"), zlib=True, chunksizes=(60, 80))[:] = cells
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(2000) + content[len(content) // 2 + 2000 :])

    def read():
        if first == "netCDF4":
            with pytest.raises(RasterError), opened_netcdf(path) as dataset:
                dataset["snow"][:]
        with pytest.raises(RasterError), opened(path, f'NETCDF:"{path}":snow') as dataset:
            dataset.read(1)

    read()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(read).result()
    assert capfd.readouterr().err == ""


def test_the_cure_for_the_format_cdf5_is_named(tmp_path: Path) -> None:
    """The file is also damaged, because some builds of GDAL read the format."""
    (tmp_path / "grid.nc").write_bytes(b"CDF\x05" + bytes([255] * 60))
    cure = "convert the file: nccopy -k nc4 grid.nc copy.nc"
    with pytest.raises(RasterError, match=cure), opened(tmp_path / "grid.nc"):
        pass
