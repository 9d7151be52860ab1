"""Read VRT files if the settings allow it, and refuse VRT files that would make GDAL open other files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from regionplot.errors import RasterError, RasterReplacedError
from regionplot.inputs import virtual as module
from regionplot.inputs.describe import open_source
from regionplot.inputs.reading import fingerprint_of
from regionplot.inputs.source import read_window
from regionplot.prepare.run import prepared
from regionplot.settings.loading import read_config
from regionplot.settings.raster import RasterSettings
from regionplot.system import vrt as parser

VALUES = np.arange(20, dtype=np.int16).reshape(4, 5)
PLACE = "<GeoTransform>-100, 0.5, 0, 49, 0, -0.5</GeoTransform>"
SRS = '<SRS dataAxisToSRSAxisMapping="2,1">EPSG:4326</SRS>'
BAND = '<VRTRasterBand dataType="Int16" band="1">{}</VRTRasterBand>'


def source(name: str, start: int = 0, columns: int = 5, more: str = "", relative: int = 1) -> str:
    rectangle = f'yOff="0" xSize="{columns}" ySize="4"'
    return (
        f'<ComplexSource><SourceFilename relativeToVRT="{relative}">{name}</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="0" {rectangle}/><DstRect xOff="{start}" {rectangle}/>{more}</ComplexSource>'
    )


def vrt(band: str, head: str = SRS + PLACE, more: str = "") -> str:
    content = head + BAND.format(f"<NoDataValue>-1</NoDataValue>{band}") + more
    return f'<VRTDataset rasterXSize="5" rasterYSize="4">{content}</VRTDataset>'


@pytest.fixture
def write(tmp_path: Path, write_raster: Any) -> Callable[[str], Path]:
    """Write a VRT beside a folder `t` with the sources: the halves `w.tif` and `e.tif`, and the whole `all.tif`."""
    folder = tmp_path / "v" / "t"
    folder.mkdir(parents=True)
    for name, values in (("w", VALUES[:, :2]), ("e", VALUES[:, 2:]), ("all", VALUES)):
        write_raster(values).rename(folder / f"{name}.tif")

    def written(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "v" / "a.vrt"
        path.write_text(text, encoding)
        return path

    return written


HALVES = source("t/w.tif", 0, 2) + source("t/e.tif", 2, 3)


def settings(path: Path, **keys: Any) -> RasterSettings:
    return RasterSettings(path=str(path), allow_vrt=True, **keys)


def values_of(path: Path) -> Any:
    opened = open_source(settings(path))
    return read_window(opened, opened.describe().geometry.full_window)[0]


def test_the_sources_are_read_as_one_raster(write: Any, tmp_path: Path) -> None:
    path = write(vrt(HALVES))
    assert np.array_equal(values_of(path), VALUES)
    assert open_source(settings(path)).describe().geometry.crs.to_epsg() == 4326
    absolute = source(str(tmp_path / "v" / "t" / "all.tif"), relative=0, more="<ScaleRatio>2</ScaleRatio>")
    assert np.array_equal(values_of(write(vrt(absolute))), VALUES * 2)


@pytest.mark.usefixtures("write")
def test_a_vrt_that_gdal_writes_has_the_values_of_its_source(tmp_path: Path) -> None:
    whole, path = tmp_path / "v" / "t" / "all.tif", tmp_path / "v" / "a.vrt"
    with rasterio.open(whole, "r+") as dataset:
        dataset.write_mask(VALUES > 3)
        dataset.set_band_unit(1, "mm")
        dataset.update_tags(1, STATISTICS_MEAN="7")
    rasterio.shutil.copy(whole, path, driver="VRT")
    one, other = (open_source(settings(each)) for each in (path, whole))
    window = other.describe().geometry.full_window
    assert np.array_equal(read_window(one, window)[0], read_window(other, window)[0], equal_nan=True)
    assert np.isnan(read_window(one, window)[0][0, :4]).all()
    assert one.describe().units == "mm"


def test_a_changed_source_is_a_new_raster(write: Any, write_raster: Any, tmp_path: Path) -> None:
    path = write(vrt(HALVES))
    checked = settings(path)
    assert pickle.loads(pickle.dumps(checked)).path.stat() == checked.path.stat()
    before, opened = fingerprint_of(checked.path), open_source(checked)
    write_raster(VALUES[:, 2:] + 5).replace(tmp_path / "v" / "t" / "e.tif")
    assert fingerprint_of(checked.path) != before
    with pytest.raises(RasterReplacedError):
        read_window(opened, opened.describe().geometry.full_window)
    assert np.array_equal(values_of(path)[:, 2:], VALUES[:, 2:] + 5)
    found = checked.pattern.find()
    assert found is not None
    assert fingerprint_of(found) == fingerprint_of(checked.path)  # also while a watcher waits


def test_a_link_to_another_source_is_a_new_raster(write: Any, tmp_path: Path) -> None:
    link = tmp_path / "v" / "latest.tif"
    link.symlink_to("t/all.tif")
    path = settings(write(vrt(source("latest.tif")))).path
    before = fingerprint_of(path)
    link.unlink()
    assert fingerprint_of(path) != before
    link.symlink_to("t/e.tif")
    assert fingerprint_of(path) != before


def test_a_changed_source_gives_new_maps(write: Any, write_raster: Any, run_command: Callable[..., Any]) -> None:
    folder = write(vrt(HALVES)).parent
    (folder / "regions.csv").write_text("name,west,east,south,north\na,-100,-98,47,49\nb,-99,-97.5,47,49\n")
    (folder / "regionplot.toml").write_text(
        '[raster]\npath = "a.vrt"\nallow_vrt = true\n[map]\nsize = [120, 100]\n[run]\nstart_method = "serial"\n'
    )
    for state in ("2 maps drawn", "2 unchanged", "2 maps drawn"):
        done = run_command(folder, "regions.csv")
        assert done.returncode == 0, done.stderr
        assert state in done.stdout
        if state == "2 unchanged":
            write_raster(VALUES[:, 2:] + 5).replace(folder / "t" / "e.tif")


def test_a_vrt_is_refused_unless_it_is_allowed(write: Any) -> None:
    with pytest.raises(RasterError, match=r"a.vrt: an XML file.* allow_vrt = true in \[raster\]"):
        open_source(RasterSettings(path=str(write(vrt(HALVES)))))


GOOD = source("t/all.tif")
REFUSED = {
    "address": (vrt(source("http://127.0.0.1:9/a.tif")), "is not the path of a local file"),
    "GDAL path": (vrt(source("/vsicurl/http://127.0.0.1:9/a.tif", relative=0)), "is not the path of a local file"),
    "relative GDAL path": (vrt(source("/vsizip/a.zip/a.tif")), "is not the path of a local file"),
    "subdataset": (vrt(source("GTIFF_DIR:1:t/all.tif", relative=0)), "is not the path of a local file"),
    "inline VRT": (vrt(source("&lt;VRTDataset/&gt;", relative=0)), "is not the path of a local file"),
    "parent folder": (vrt(source("../secret.tif")), "is not below the folder"),
    "absolute path": (vrt(source("/etc/passwd", relative=0)), "is not below the folder"),
    "relative to no folder": (vrt(source("t/all.tif", relative=0)), "is relative to no folder"),
    "link": (vrt(source("link.tif")), "is not below the folder"),
    "missing": (vrt(source("t/none.tif")), "'t/none.tif' is not a file"),
    "itself": (vrt(source("a.vrt")), "its source a.vrt is a VRT, too"),
    "no raster": (vrt(source("t/text.tif")), "text.tif: cannot be read as a raster"),
    "CSV grid": (vrt(source("t/grid.asc")), "grid.asc is not a GeoTIFF"),
    "overviews elsewhere": (vrt(source("t/tagged.tif")), "tagged.tif: its metadata refer to another file"),
    "no source": (vrt(""), "it has no <SimpleSource>"),
    "open options": (vrt(source("t/all.tif", more="<OpenOptions/>")), "<OpenOptions> in <ComplexSource>"),
    "kernel": (vrt(GOOD.replace("ComplexSource", "KernelFilteredSource")), "<KernelFilteredSource>"),
    "averaged": (vrt(GOOD.replace("ComplexSource", "AveragedSource")), "<AveragedSource>"),
    "derived band": (vrt(GOOD).replace("band=", 'subClass="VRTDerivedRasterBand" band='), "attribute 'subClass'"),
    "raw band": (vrt(GOOD).replace("band=", 'subClass="VRTRawRasterBand" band='), "attribute 'subClass'"),
    "pixel function": (vrt(GOOD + "<PixelFunctionType>min</PixelFunctionType>"), "<PixelFunctionType>"),
    "Python": (vrt(GOOD + "<PixelFunctionCode>import os</PixelFunctionCode>"), "<PixelFunctionCode>"),
    "overview": (vrt(GOOD + "<Overview><SourceFilename>a.tif</SourceFilename></Overview>"), "<Overview>"),
    "warped": (vrt(GOOD).replace("<VRTDataset", '<VRTDataset subClass="VRTWarpedDataset"'), "attribute 'subClass'"),
    "warp options": (vrt(GOOD, more="<GDALWarpOptions/>"), "<GDALWarpOptions>"),
    "groups": (vrt(GOOD, more="<Group name='a'/>"), "<Group>"),
    "metadata": (vrt(GOOD, more='<Metadata domain="OVERVIEWS"/>'), "domain 'OVERVIEWS'"),
    "path as a number": (vrt(source("t/all.tif", more="<LUT>/etc/passwd</LUT>")), "<LUT> has a value"),
    "not a number": (vrt(GOOD.replace('xOff="0"', 'xOff="nan"')), "a value that is not a number"),
    "CRS of a file": (vrt(GOOD, head=f"<SRS>/etc/passwd</SRS>{PLACE}"), "<SRS>"),
    "CRS with a grid": (vrt(GOOD, head=f"<SRS>+proj=longlat +nadgrids=/etc/passwd</SRS>{PLACE}"), "<SRS>"),
    "entities": ('<!DOCTYPE a [<!ENTITY b "c">]>' + vrt(GOOD), "a document type or entities"),
    "nested masks": (vrt("<MaskBand><VRTRasterBand>" * 90 + "</VRTRasterBand></MaskBand>" * 90), "nested too deeply"),
    "no dataset": ("<WMS/>", "<WMS> is not allowed"),
    "cut": (vrt(GOOD)[:-9], "is not valid XML"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_elements_and_files_are_refused(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text, message = REFUSED[name]
    path = write(text)
    folder = path.parent / "t"
    (tmp_path / "secret.tif").write_bytes((folder / "all.tif").read_bytes())
    (path.parent / "link.tif").symlink_to(tmp_path / "secret.tif")
    (folder / "text.tif").write_text("no raster")
    (folder / "grid.asc").write_text("ncols 1\nnrows 1\nxllcorner 0\nyllcorner 0\ncellsize 1\n5\n")
    with rasterio.open(folder / "e.tif", "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE="/etc/passwd")
    (folder / "e.tif").rename(folder / "tagged.tif")
    monkeypatch.setattr(module.ElementTree, "tostring", lambda _: pytest.fail("GDAL would open the VRT"))
    with pytest.raises(RasterError) as caught:
        open_source(settings(path))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_the_encoding_and_the_size_are_limited(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RasterError, match="is not valid XML"):
        open_source(settings(write(vrt(GOOD), "utf-16")))
    monkeypatch.setattr(parser, "_MAX_SOURCES", 1)
    with pytest.raises(RasterError, match="it has 2 sources, more than 1"):
        open_source(settings(write(vrt(HALVES))))
    monkeypatch.setattr(parser, "MAX_BYTES", 100)
    with pytest.raises(RasterError, match="larger than 100 bytes"):
        open_source(settings(write(vrt(HALVES))))


def test_steps_are_refused(write: Any) -> None:
    path = write(vrt(HALVES))
    config = read_config({"raster": {"path": str(path), "allow_vrt": True}, "prepare": [{"step": "focal"}]})
    with pytest.raises(RasterError, match=r"a.vrt: the steps of \[\[prepare\]\] read neither addresses nor VRT files"):
        prepared(config)
