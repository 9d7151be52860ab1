"""An HDF5 file that refers to another file is refused before a library opens it. All other files are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from regionplot.errors import RasterError
from regionplot.inputs.describe import inspect_raster
from regionplot.inputs.hdf5 import check_hdf5
from regionplot.settings.raster import RasterSettings

h5py = pytest.importorskip("h5py")
VERSIONS = ["earliest", ("v108", "v108"), "latest"]


def link(group: Any, other: Path) -> None:
    group["bad"] = h5py.ExternalLink(str(other), "/secret")


def external_values(group: Any, other: Path) -> None:
    group.create_dataset("bad", (10,), "u1", external=[(str(other), 0, 10)])


def virtual_values(group: Any, other: Path) -> None:
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource(str(other), "secret", (10,))
    group.create_virtual_dataset("bad", layout)


REFERENCES: dict[str, tuple[Callable[[Any, Path], None], str]] = {
    "link": (link, "it holds a link to another file, which is not opened: {other}"),
    "external": (external_values, "its values are in another file, which is not opened"),
    "virtual": (virtual_values, "it holds a virtual dataset, whose values are in other files"),
}


CASES = [
    pytest.param(version, *reference, id=f"{version}-{name}")
    for version in VERSIONS
    for name, reference in REFERENCES.items()
    if name != "virtual" or version != VERSIONS[1]  # this version has no virtual datasets
]


@pytest.mark.parametrize(("version", "add", "message"), CASES)
@pytest.mark.parametrize("neighbors", [0, 7, 40, 1500])
@pytest.mark.parametrize("ordered", [False, True], ids=["unordered", "ordered"])
def test_a_reference_to_another_file_is_found(
    tmp_path: Path, version: Any, add: Callable[[Any, Path], None], message: str, neighbors: int, ordered: bool
) -> None:
    other, path = tmp_path / "other.h5", tmp_path / "a.nc"
    with h5py.File(path, "w", libver=version, track_order=ordered) as file:
        group = file.create_group("some/group/inside", track_order=ordered)
        for number in range(neighbors):
            group.create_group(f"{'neighbor' * (number % 5)}{number}")
        add(group, other)
    with pytest.raises(RasterError, match=re.escape(f"{path}: {message.format(other=other)}")):
        inspect_raster(RasterSettings(path=path))


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("members", [0, 1, 9, 300, 3000])
def test_links_within_a_file_are_not_references(tmp_path: Path, version: Any, members: int) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=version, userblock_size=0) as file:
        for number in range(members):
            file.create_dataset(f"{'data' * (number % 4)}{number}", data=[1.0])
        file["soft"] = h5py.SoftLink("/nowhere")
        file["circle"] = file["/"]
        file.attrs["text"] = "/etc/passwd"
        file.create_dataset("chunks", (1000, 1000), "f4", chunks=(10, 10), compression="gzip")
    check_hdf5(path)


def test_netcdf_files_with_many_variables_and_groups_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as file:
        for group in (file, file.createGroup("inner")):
            for name, values in (("lat", np.arange(40.0, 50)), ("lon", np.arange(10.0, 30))):
                group.createDimension(name, values.size)
                axis = group.createVariable(name, "f8", (name,))
                axis[:], axis.units = values, {"lat": "degrees_north", "lon": "degrees_east"}[name]
            for number in range(60):
                group.createVariable(f"v{number}", "f4", ("lat", "lon"), zlib=True)[:] = number
    assert inspect_raster(RasterSettings(path=path, variable="v7")).geometry.height == 10


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_damaged_structure_is_refused_or_read(tmp_path: Path, version: Any) -> None:
    """Damage causes no other error, and the check always ends."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=version) as file:
        for number in range(30):
            file.create_group(f"g{number}")
    content = path.read_bytes()
    random = np.random.default_rng(3)
    for number in range(300):
        damaged = bytearray(content[: random.integers(9, len(content))] if number % 3 == 0 else content)
        for place in random.integers(8, len(damaged), 4):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            check_hdf5(path)
        except RasterError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 (both outcomes are right)
