"""File names stay in the output folder; images appear whole or not at all."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from regionplot.errors import OutputError, RegionplotError
from regionplot.runs.filenames import file_name
from regionplot.runs.store import prepare_directory, write_png
from regionplot.system.files import new_run
from regionplot.text import TemplateError
from regionplot.writers.png import DIGEST, read_digest

RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
PIXELS = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("{name}.png", "01001", "01001.png"),
        ("{name}.png", "São Tomé", "São Tomé.png"),
        ("{name}.png", "../../etc/passwd", "_.._etc_passwd.png"),
        ("{name}.png", "/etc/passwd", "_etc_passwd.png"),
        ("{name}.png", "..\\x", "_x.png"),
        ("{name}.png", "-rf", "rf.png"),
        ("{name}.png", "-", "_.png"),
        ("at_{name}.png", "-84.5", "at_-84.5.png"),
        ("{name}.png", ".hidden", "hidden.png"),
        ("{name}.png", "", "_.png"),
        ("{name}.png", "CON", "_CON.png"),
        ("{name}.png", "a\0b\nc\u202ed", "a_b_c_d.png"),
        ("{name}.png", "e\u0301", "\u00e9.png"),
        ("{name}/map.png", "..", "_/map.png"),
        ("a/{name}/../b.png", "nul", "a/_nul/b.png"),
        ("/{name}.png", "x", "x.png"),
    ],
)
def test_names_become_harmless(template: str, name: str, expected: str) -> None:
    assert file_name(template, {"name": name}) == expected


@pytest.mark.parametrize("template", ["{name}.png", "{name}/{other}.png", "maps/{other}-{name}.png"])
@given(st.text(max_size=400), st.text(max_size=400))
@example("x" * 300, "y." + "z" * 300)
@example("é" * 300, "com1")
@example("a" * 200 + ". .", "\ud800")
def test_any_text_gives_a_path_inside_the_folder(template: str, name: str, other: str) -> None:
    result = file_name(template, {"name": name, "other": other})
    assert result.endswith(".png")
    folder = Path("/maps")
    assert Path(os.path.normpath(folder / result)).is_relative_to(folder)
    assert len(result.split("/")) == template.count("/") + 1
    for part in result.split("/"):
        assert 0 < len(part.encode()) <= 200, "with the affixes of a temporary file it must be within 255 bytes"
        assert part[0] not in ".- "
        assert part[-1] not in ". "
        assert part.isprintable()
        assert not set(part) & set('\\/:*?"<>|\0')
        assert not RESERVED.fullmatch(part)


def test_long_names_that_differ_only_at_their_end_stay_apart() -> None:
    names = {file_name("{name}.png", {"name": "x" * 300 + str(number)}) for number in range(50)}
    assert len(names) == 50


def test_a_field_that_is_not_there_is_named() -> None:
    with pytest.raises(TemplateError, match="there is no field 'state'; there are: name"):
        file_name("{state}.png", {"name": "x"})


def test_the_output_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    prepare_directory(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())


def test_an_output_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/maps: maps cannot be written there: Not a directory") as caught:
        prepare_directory(tmp_path / "file" / "maps")
    assert caught.value.exit_code == 2


def test_an_image_reads_back_pixel_by_pixel_with_its_text(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "map.png"
    size = write_png(target, PIXELS, new_run(), {"Title": "Höhe", "Software": "regionplot"}, within=tmp_path)
    assert size == target.stat().st_size
    with Image.open(target) as image:
        np.testing.assert_array_equal(np.asarray(image), PIXELS)
        assert image.text == {"Title": "Höhe", "Software": "regionplot"}  # type: ignore[attr-defined]
    assert list(target.parent.iterdir()) == [target]


def test_the_longest_file_name_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / file_name("{name}.png", {"name": "é" * 300})
    assert write_png(target, PIXELS, new_run(), {}) > 0
    assert target.exists()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_an_image_is_readable_to_whom_the_umask_says(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_png(tmp_path / "map.png", PIXELS, new_run(), {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "map.png").stat().st_mode) == 0o666 & ~umask


def test_the_same_pixels_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, PIXELS, new_run(), {"Title": "x"})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def no_space(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def half_a_file(_: object, file, *__: object, **___: object) -> None:
    file.write(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x04")


@pytest.mark.parametrize("save", [no_space, half_a_file])
def test_a_failed_write_keeps_the_old_image_and_leaves_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save
) -> None:
    target = tmp_path / "map.png"
    write_png(target, PIXELS, new_run(), {})
    before = target.read_bytes()
    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(RegionplotError, match=r"map\.png: cannot be written: ") as caught:
        write_png(target, PIXELS * 0, new_run(), {})
    assert save is not no_space or "No space left on device" in str(caught.value)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_target_that_is_a_folder_is_an_error_and_leaves_no_temporary(tmp_path: Path) -> None:
    (tmp_path / "map.png").mkdir()
    with pytest.raises(RegionplotError, match=r"map\.png: cannot be written: Is a directory"):
        write_png(tmp_path / "map.png", PIXELS, new_run(), {})
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_a_folder_that_became_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("in the way")
    with pytest.raises(RegionplotError, match="cannot be written"):
        write_png(tmp_path / "maps" / "map.png", PIXELS, new_run(), {})


def test_a_symlink_planted_as_the_temporary_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".map.png.run.tmp").symlink_to(victim)
    write_png(tmp_path / "map.png", PIXELS, "run", {})
    assert victim.read_text() == "precious"
    assert not (tmp_path / "map.png").is_symlink()


def test_the_temporary_of_a_worker_that_died_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".map.png.run.tmp").write_bytes(b"half an image")
    write_png(tmp_path / "map.png", PIXELS, "run", {})
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_a_map_tells_its_digest_while_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "map.png"
    write_png(target, PIXELS, new_run(), {DIGEST: "abc"})
    assert read_digest(target) == "abc"
    whole = target.read_bytes()
    target.write_bytes(whole[:-20])
    assert read_digest(target) is None
    target.write_bytes(whole.replace(b"IDAT", b"IDAT\1", 1))
    assert read_digest(target) is None


def test_what_is_no_map_of_ours_tells_no_digest(tmp_path: Path) -> None:
    target, link = tmp_path / "map.png", tmp_path / "link.png"
    assert read_digest(target) is None
    target.write_text("no image")
    assert read_digest(target) is None
    write_png(target, PIXELS, new_run(), {})
    assert read_digest(target) is None
    write_png(target, PIXELS, new_run(), {DIGEST: "abc"})
    link.symlink_to(target)
    assert read_digest(link) is None
