"""Draw maps from kerchunk references."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from range_server import RangeServer
from zarr_stores import COLUMNS, ROWS, VALUES, dataset, values_of, write_cog

from regionplot.errors import RasterError, RasterReplacedError
from regionplot.geo.grid import Window
from regionplot.inputs import references_parquet
from regionplot.inputs.describe import open_source
from regionplot.settings.raster import RasterSettings

pytestmark = pytest.mark.usefixtures("short_pauses")

pytest.importorskip("zarr", minversion="3")
h5py = pytest.importorskip("h5py")
CHUNK = (8, 10)


def write_hdf5(path: Path, values: Any = VALUES) -> dict[str, tuple[int, int]]:
    """Write a compressed dataset, and return offset and size of each chunk by its key."""
    with h5py.File(path, "w") as file:
        found = file.create_dataset("snow", data=values, chunks=CHUNK, compression="gzip", shuffle=True).id
        chunks = [found.get_chunk_info(number) for number in range(found.get_num_chunks())]
    places = ((np.array(each.chunk_offset) // CHUNK, each) for each in chunks)
    return {f"snow/{row}.{column}": (each.byte_offset, each.size) for (row, column), each in places}


def references(folder: Path, url: str = "snow.h5", **changes: Any) -> dict[str, Any]:
    """Return references to the chunks of an HDF5 file. The coordinates are in the references."""
    filters = [{"id": "shuffle", "elementsize": 4}, {"id": "zlib", "level": 4}]
    array = {"zarr_format": 2, "order": "C", "dtype": "<f4", "compressor": None, "filters": filters}
    array |= {"shape": [ROWS, COLUMNS], "chunks": list(CHUNK), "fill_value": "NaN"}
    found: dict[str, Any] = {
        ".zgroup": '{"zarr_format": 2}',
        "snow/.zarray": json.dumps(array),
        "snow/.zattrs": json.dumps({"_ARRAY_DIMENSIONS": ["y", "x"], "units": "kg m-2"}),
    }
    data = dataset()
    for name, kind in (("y", "latitude"), ("x", "longitude")):
        axis = data[name].to_numpy()
        own = {**array, "dtype": "<f8", "filters": None, "shape": [axis.size], "chunks": [axis.size]}
        found[f"{name}/.zarray"] = json.dumps(own)
        found[f"{name}/.zattrs"] = json.dumps({"_ARRAY_DIMENSIONS": [name], "standard_name": kind})
        found[f"{name}/0"] = "base64:" + base64.b64encode(axis.tobytes()).decode()
    found |= {key: [url, *place] for key, place in write_hdf5(folder / "snow.h5").items()}
    return {**found, **changes}


def save(folder: Path, document: Any) -> Path:
    path = folder / "refs.json"
    path.write_text(json.dumps(document))
    return path


def test_references_and_a_cog_give_the_same_pixels(tmp_path: Path, run_command: Callable[..., Any]) -> None:
    save(tmp_path, {"version": 1, "refs": references(tmp_path)})
    write_cog(tmp_path)
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-109,-99,42,48\n")
    more = '[map]\nstyle = "plain"\nsize = [240, 200]\n[colors]\nlabel = "snow"\nlevels = [0, 900, 1800, 2400]\n'
    images = []
    for name in ("refs.json", "snow.tif"):
        text = f'[raster]\npath = "{name}"\nallow_references = true\n{more}[run]\nstart_method = "serial"\n'
        (tmp_path / "regionplot.toml").write_text(text)
        done = run_command(tmp_path, "regions.csv", "-o", name[:4])
        assert done.returncode == 0, done.stderr
        images.append(np.asarray(Image.open(tmp_path / name[:4] / "a.png").convert("RGB")))
    assert np.array_equal(images[0], images[1])
    (tmp_path / "regionplot.toml").write_text(f'[raster]\npath = "refs.json"\n{more}')
    refused = run_command(tmp_path, "regions.csv", "--start-method", "serial")
    assert "refs.json: kerchunk references name other files" in refused.stderr
    assert "allow_references = true" in refused.stderr
    assert refused.returncode == 3


@pytest.mark.parametrize("form", ["version 0", "templates", "file:", "objects"])
def test_all_forms_of_references_are_read(tmp_path: Path, form: str) -> None:
    if form == "version 0":
        document: dict[str, Any] = references(tmp_path)
    elif form == "templates":
        document = {"version": 1, "templates": {"u": "snow"}, "refs": references(tmp_path, "{{u}}.h5")}
    elif form == "file:":
        document = references(tmp_path, f"file://{tmp_path}/snow.h5")
    else:
        document = references(tmp_path)
        document |= {key: json.loads(value) for key, value in document.items() if ".z" in key}
    assert np.array_equal(values_of(save(tmp_path, document), allow_references=True), VALUES, equal_nan=True)


def test_a_missing_chunk_is_missing_data(tmp_path: Path) -> None:
    document = references(tmp_path)
    del document["snow/1.2"]
    found = values_of(save(tmp_path, document), allow_references=True)
    assert np.isnan(found[8:16, 20:30]).all()
    assert np.isnan(found).sum() == 81


def write_parquet(folder: Path, refs: dict[str, Any], record_size: int = 7) -> Path:
    """Write references to tables of a few chunks each."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = folder / "refs.parq"
    metadata = {key: json.loads(value) for key, value in refs.items() if ".z" in key}
    rows: dict[str, dict[int, Any]] = {}
    for key, value in refs.items():
        if key not in metadata:
            name, _, place = key.rpartition("/")
            number = np.ravel_multi_index(tuple(map(int, place.split("."))), (5, 6)) if name == "snow" else 0
            is_inline = isinstance(value, str)
            row = (None, 0, 0, base64.b64decode(value[7:])) if is_inline else (*value, None)
            rows.setdefault(f"{name}/refs.{number // record_size}.parq", {})[int(number) % record_size] = row
    for key, found in rows.items():
        columns = zip(*(found.get(row, (None, 0, 0, None)) for row in range(record_size)), strict=True)
        (path / key).parent.mkdir(parents=True, exist_ok=True)
        table = dict(zip(("path", "offset", "size", "raw"), map(list, columns), strict=True))
        table["path"] = pyarrow.array(table["path"], pyarrow.string()).dictionary_encode()
        parquet.write_table(pyarrow.table(table), path / key)
    (path / ".zmetadata").write_text(json.dumps({"metadata": metadata, "record_size": record_size}))
    return path


def test_references_in_parquet_are_read(tmp_path: Path, server: RangeServer) -> None:
    refs = references(tmp_path)
    del refs["snow/1.2"]
    folder = write_parquet(tmp_path, refs)
    expected = VALUES.copy()
    expected[8:16, 20:30] = np.nan
    assert np.array_equal(values_of(folder, allow_references=True), expected, equal_nan=True)
    with pytest.raises(RasterError, match="allow_references = true"):
        values_of(folder)
    for file in (each for each in folder.rglob("*") if each.is_file()):
        server.objects[f"/refs.parq/{file.relative_to(folder).as_posix()}"] = file.read_bytes()
    server.objects["/snow.h5"] = (tmp_path / "snow.h5").read_bytes()
    found = values_of(f"{server.url}/refs.parq", allow_references=True, allow_remote=True)
    assert np.array_equal(found, expected, equal_nan=True)


def test_damaged_references_in_parquet_are_reported(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path, references(tmp_path, **{"snow/1.2": ["../snow.h5", 3, 4]}))
    with pytest.raises(
        RasterError, match=r"refs.parq: cannot be read: the references are not read: .*not below the fold"
    ):
        values_of(folder, allow_references=True)
    (folder / "snow" / "refs.1.parq").write_bytes(b"PAR1")
    with pytest.raises(RasterError, match=r"refs.parq: cannot be read: snow/refs.1.parq"):
        values_of(folder, allow_references=True)
    metadata = json.loads((folder / ".zmetadata").read_text())
    for changes in ({"record_size": 0}, {"record_size": "7"}, {"metadata": 1}):
        (folder / ".zmetadata").write_text(json.dumps({**metadata, **changes}))
        with pytest.raises(RasterError, match="not a folder of kerchunk references"):
            values_of(folder, allow_references=True)


def test_tables_of_other_kinds_are_reported(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path, references(tmp_path))
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    tables = {"a path is not a text": {"path": [["snow.h5"]]}, "neither the column path nor raw": {"name": ["snow.h5"]}}
    for problem, columns in tables.items():
        parquet.write_table(pyarrow.table(columns), folder / "snow" / "refs.0.parq")
        with pytest.raises(RasterError, match=f"refs.parq: cannot be read: .*{problem}"):
            values_of(folder, allow_references=True)
    (folder / ".zmetadata").write_text((folder / ".zmetadata").read_text().replace('"shape": [', '"shape": [1e999, '))
    with pytest.raises(RasterError, match="the shape of an array is damaged"):
        values_of(folder, allow_references=True)


def test_tables_of_references_are_limited_and_hold_equal_texts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_parquet(tmp_path, references(tmp_path))
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    text = pyarrow.array(["x" * 100_000])
    names = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 50, pyarrow.int32()), text)
    parquet.write_table(pyarrow.table({"path": names}), folder / "snow" / "refs.0.parq", store_schema=False)
    assert references_parquet.read_table(folder, "snow/refs.0.parq").nbytes < 200_000
    monkeypatch.setattr(references_parquet, "MAX_UNPACKED", 50_000)
    with pytest.raises(RasterError, match=r"refs.parq: cannot be read: snow/refs.0.parq: .*too large"):
        values_of(folder, allow_references=True)


def test_only_the_bytes_of_a_window_are_read_from_a_remote_file(tmp_path: Path, server: RangeServer) -> None:
    refs = references(tmp_path, f"{server.url}/data/snow.h5?sig=TOPSECRET")
    path = save(
        tmp_path,
        {key: [v[0], v[1] + 10**6, v[2]] if "." in key[1:] and isinstance(v, list) else v for key, v in refs.items()},
    )
    server.objects["/data/snow.h5"] = bytes(10**6) + (tmp_path / "snow.h5").read_bytes()
    with pytest.raises(RasterError, match="--allow-remote") as raised:
        values_of(path, allow_references=True)
    assert "TOPSECRET" not in str(raised.value)
    source = open_source(RasterSettings(path=path, allow_references=True, allow_remote=True))
    assert np.array_equal(source.read(Window(9, 17, 6, 9), (6, 9), "nearest"), VALUES[9:15, 17:26], equal_nan=True)
    assert server.sent < 40_000


def test_a_lost_server_is_an_error(tmp_path: Path, server: RangeServer) -> None:
    path = save(tmp_path, references(tmp_path, f"{server.url}/lost/snow.h5?sig=TOPSECRET"))
    source = open_source(RasterSettings(path=path, allow_references=True, allow_remote=True))
    server.is_cut = True
    with pytest.raises(RasterError, match=r"refs.json: cannot be read: ") as failed:
        source.read(Window(25, 40, 6, 9), (6, 9), "nearest")
    assert "TOPSECRET" not in str(failed.value)


def test_a_missing_remote_file_is_an_error(tmp_path: Path, server: RangeServer) -> None:
    path = save(tmp_path, references(tmp_path, f"{server.url}/none.h5"))
    with pytest.raises(RasterError, match=r"there is no such object: http.*none.h5"):
        values_of(path, allow_references=True, allow_remote=True)


def test_remote_references_name_remote_files_only(tmp_path: Path, server: RangeServer) -> None:
    server.objects["/a/refs.json"] = json.dumps(references(tmp_path, "../b/snow.h5")).encode()
    server.objects["/b/snow.h5"] = (tmp_path / "snow.h5").read_bytes()
    address, allowed = f"{server.url}/a/refs.json", {"allow_references": True, "allow_remote": True}
    assert np.array_equal(values_of(address, **allowed), VALUES, equal_nan=True)
    server.objects["/a/refs.json"] = json.dumps(references(tmp_path, "file:///etc/passwd")).encode()
    with pytest.raises(RasterError, match="they name file:///etc/passwd, which is not read"):
        values_of(address, **allowed)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("../outside.h5", "not below the folder of refs.json"),
        ("/etc/passwd", "not below the folder of refs.json"),
        ("link.h5", "not below the folder of refs.json"),
        ("file:///etc/passwd", "not below the folder of refs.json"),
        ("zip://a::s3://bucket/a.zip", "not read"),
        ("ftp://example.org/a", "not read"),
        ("/vsicurl/file:///etc/passwd", "not read"),
        ("s3://bucket/a.h5", "--allow-remote"),
        ("gcs://bucket/a.h5", "gs://bucket/a.h5; allow remote"),
        ("none.h5", "no such file"),
        ("{{f(a='b')}}.h5", "templates with arguments"),
    ],
)
def test_files_in_other_places_are_refused(tmp_path: Path, url: str, problem: str) -> None:
    (tmp_path / "outside.h5").write_bytes(b"1234")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "link.h5").symlink_to(tmp_path / "outside.h5")
    path = save(folder, references(folder, **{"snow/0.0": [url, 0, 4]}))
    with pytest.raises(RasterError, match=f"refs.json: the references are not read: .*{problem}"):
        values_of(path, allow_references=True)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "neither references of kerchunk nor a STAC item"),
        ({"type": "FeatureCollection", "features": []}, "neither references of kerchunk nor a STAC item"),
        ({"refs": 1}, "neither references"),
        ({".zgroup": "{}", "a/0": ["snow.h5", -1, 4]}, "'a/0' is damaged: its offset and size"),
        ({".zgroup": "{}", "a/0": ["snow.h5", 1.5, True]}, "'a/0' is damaged: its offset and size"),
        ({".zgroup": "{}", "a/0": ["snow.h5", 1]}, "'a/0' is damaged: it must have a file"),
        ({".zgroup": "{}", "a/0": [None]}, "'a/0' is damaged"),
        ({".zgroup": "{}", "a/0": 3}, "'a/0' is damaged"),
        ({".zgroup": "{}", "a/0": "base64:x"}, "'a/0' is damaged"),
        ({"refs": {".zgroup": "{}"}, "gen": [{}]}, "generated references"),
        ({"refs": {".zgroup": "{}", "a/0": ["{{u}}" * 2000]}, "templates": {"u": "x"}}, "more than 8,192 characters"),
        ({"refs": {".zgroup": "{}", "a/0": ["{{u}}"]}, "templates": {"u": "x" * 9000}}, "more than 8,192 characters"),
        ({".zgroup": "{", "a/0": "x"}, "the metadata are damaged"),
        ({".zgroup": '{"zarr_format": 2}'}, "there is no variable|several variables|cannot be read"),
    ],
)
def test_damaged_references_are_reported(tmp_path: Path, document: Any, problem: str) -> None:
    with pytest.raises(RasterError, match=rf"refs.json: .*({problem})"):
        values_of(save(tmp_path, document), allow_references=True)


@pytest.mark.parametrize("content", ['{"type": "FeatureCollection", "features": []}', '{"name": 1', "", "[1]"])
def test_other_json_files_are_named_as_such(tmp_path: Path, content: str) -> None:
    (tmp_path / "regions.json").write_text(content)
    with pytest.raises(RasterError, match=r"regions.json: not read as a raster: the (file|JSON) "):
        values_of(tmp_path / "regions.json")


def test_a_codec_that_can_run_code_is_refused(tmp_path: Path) -> None:
    document = references(tmp_path)
    array = json.loads(document["snow/.zarray"])
    document["snow/.zarray"] = json.dumps({**array, "filters": [{"id": "pickle"}]})
    with pytest.raises(RasterError, match="the codec 'pickle' is not allowed"):
        values_of(save(tmp_path, document), allow_references=True)


def test_a_replaced_file_is_detected(tmp_path: Path) -> None:
    source = open_source(RasterSettings(path=save(tmp_path, references(tmp_path)), allow_references=True))
    write_hdf5(tmp_path / "snow.h5", VALUES + 1)
    with pytest.raises(RasterReplacedError, match="input changed"):
        source.read(Window(0, 0, 4, 4), (4, 4), "nearest")
