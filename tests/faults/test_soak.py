"""Run a short soak: runs are killed at random moments while their raster is replaced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_no_map_is_ever_wrong_incomplete_or_missing() -> None:
    script = Path(__file__).parents[1] / "soak.py"
    result = subprocess.run(
        [sys.executable, script, "--runs", "6", "--warm"], capture_output=True, text=True, timeout=110
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "wrong maps seen: 0" in result.stdout
