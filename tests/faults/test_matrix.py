"""Check that each row of the fault table names a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(r"^\| (\d+) \|.*\| (`.*`) \|$", (ROOT / "docs" / "reliability.md").read_text(), re.MULTILINE)


def test_the_fault_table_has_all_rows() -> None:
    assert [int(number) for number, _ in ROWS] == list(range(1, len(ROWS) + 1))
    assert len(ROWS) >= 48


@pytest.mark.parametrize(("number", "proofs"), ROWS)
def test_the_tests_named_in_a_row_exist(number: str, proofs: str) -> None:
    for proof in re.findall(r"`([^`]+)`", proofs):
        file, _, name = proof.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"row {number}: {proof}"
