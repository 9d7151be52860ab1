"""File names stay inside the output folder, and files are written atomically."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regionplot.errors import NoSpaceError, OutputError, RegionplotError
from regionplot.runs.filenames import file_name
from regionplot.runs.store import checksum, has_content, prepare_directory, write_file
from regionplot.system import failpoints
from regionplot.system.files import new_run
from regionplot.text import TemplateError

RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
MAP = bytes(range(256)) * 40


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
        ("{name}.png", "दिल्ली", "दिल्ली.png"),
        ("{name}.png", "கொழும்பு", "கொழும்பு.png"),
        ("{name}.png", "เชียงใหม่", "เชียงใหม่.png"),
        ("{name}.png", "ཐིམ་ཕུ", "ཐིམ_ཕུ.png"),
        ("{name}/map.png", "..", "_/map.png"),
        ("a/{name}/../b.png", "nul", "a/_nul/b.png"),
        ("/{name}.png", "x", "x.png"),
    ],
)
def test_names_become_safe(template: str, name: str, expected: str) -> None:
    assert file_name(template, {"name": name}) == expected


MARKS = [("कि", "की"), ("தி", "தீ"), ("กิ", "กี"), ("ကိ", "ကီ"), ("ខិ", "ខី"), ("ba\u0331", "ba\u0332")]
SYMBOLS = [("😀", "😎"), ("👍🏻", "👍🏿"), ("≥5", "≤5"), ("€", "£")]


@pytest.mark.parametrize("pair", [*MARKS, *SYMBOLS])
def test_names_that_differ_in_a_vowel_sign_mark_or_symbol_get_different_files(pair: tuple[str, str]) -> None:
    first, second = (file_name("{name}.png", {"name": name}) for name in pair)
    assert first != second
    assert "_" not in first + second


@pytest.mark.slow
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


def test_long_names_that_differ_only_at_their_end_stay_different() -> None:
    names = {file_name("{name}.png", {"name": "x" * 300 + str(number)}) for number in range(50)}
    assert len(names) == 50


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(TemplateError, match="there is no field 'state'; the fields are: name"):
        file_name("{state}.png", {"name": "x"})


def test_the_output_folder_is_created_and_left_empty(tmp_path: Path) -> None:
    prepare_directory(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())


def test_an_output_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/maps: maps cannot be written there: Not a directory") as caught:
        prepare_directory(tmp_path / "file" / "maps")
    assert caught.value.exit_code == 2


def test_a_file_is_written_into_a_new_folder_with_its_checksum(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "map.pdf"
    sha256 = write_file(target, MAP, new_run(), within=tmp_path)
    assert target.read_bytes() == MAP
    assert sha256 == checksum(MAP)
    assert has_content(target, len(MAP), sha256)
    assert list(target.parent.iterdir()) == [target]


def test_the_longest_file_name_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / file_name("{name}.png", {"name": "é" * 300})
    write_file(target, MAP, new_run())
    assert target.exists()


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_file_has_the_permissions_that_the_umask_allows(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_file(tmp_path / "map.png", MAP, new_run())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "map.png").stat().st_mode) == 0o666 & ~umask


def fail(error: Exception) -> Callable[[str, str], None]:
    """Return a hook that raises an error when the file is about to be written."""

    def hook(phase: str, _: str) -> None:
        if phase == "save":
            raise error

    return hook


def spoil(folder: Path) -> Callable[[str, str], None]:
    """Return a hook that truncates the temporary file before it is read back."""

    def hook(phase: str, _: str) -> None:
        if phase == "verify":
            (temporary,) = folder.glob(".*.tmp")
            os.truncate(temporary, len(MAP) - 1)

    return hook


@pytest.mark.parametrize("suffix", ["png", "webp", "pdf", "svg"])
@pytest.mark.parametrize("fault", ["no space", "cut"])
def test_a_failed_write_keeps_the_old_file_and_leaves_no_temporary(tmp_path: Path, fault: str, suffix: str) -> None:
    target = tmp_path / f"map.{suffix}"
    target.write_bytes(b"old map")
    hook = fail(OSError(errno.ENOSPC, "No space left on device")) if fault == "no space" else spoil(tmp_path)
    kind = NoSpaceError if fault == "no space" else RegionplotError
    with failpoints.install(hook), pytest.raises(kind, match=rf"map\.{suffix}: cannot be written: ") as caught:
        write_file(target, MAP, new_run())
    assert ("No space left on device (ENOSPC)" if fault == "no space" else "does not contain the bytes") in str(
        caught.value
    )
    assert target.read_bytes() == b"old map"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_full_quota_and_file_size_limit_are_no_space_errors(tmp_path: Path, number: int) -> None:
    with failpoints.install(fail(OSError(number, "full"))), pytest.raises(NoSpaceError):
        write_file(tmp_path / "map.png", MAP, new_run())


def test_a_folder_in_the_place_of_the_file_is_an_error_and_leaves_no_temporary(tmp_path: Path) -> None:
    (tmp_path / "map.png").mkdir()
    with pytest.raises(RegionplotError, match=r"map\.png: cannot be written: Is a directory"):
        write_file(tmp_path / "map.png", MAP, new_run())
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("in the way")
    with pytest.raises(RegionplotError, match="cannot be written"):
        write_file(tmp_path / "maps" / "map.png", MAP, new_run())


def test_a_link_planted_as_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".map.png.run.tmp").symlink_to(victim)
    write_file(tmp_path / "map.png", MAP, "run")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "map.png").is_symlink()


def test_the_temporary_file_of_a_dead_worker_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".map.png.run.tmp").write_bytes(b"half an image")
    write_file(tmp_path / "map.png", MAP, "run")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


@pytest.mark.parametrize("harm", ["cut", "longer", "other byte", "link", "fifo", "folder", "missing"])
def test_has_content_is_true_only_for_the_same_file(tmp_path: Path, harm: str) -> None:
    target = tmp_path / "map.svg"
    sha256 = write_file(target, MAP, new_run())
    target.rename(tmp_path / "moved")
    if harm == "link":
        target.symlink_to("moved")
    elif harm == "fifo":
        os.mkfifo(target)
    elif harm == "folder":
        target.mkdir()
    elif harm != "missing":
        target.write_bytes({"cut": MAP[:-1], "longer": MAP + b"x", "other byte": b"x" + MAP[1:]}[harm])
    try:
        assert not has_content(target, len(MAP), sha256)
    except OSError:
        assert harm in ("link", "folder", "missing")
    assert has_content(tmp_path / "moved", len(MAP), sha256)
    assert not has_content(tmp_path / "moved", len(MAP) - 1, sha256)
