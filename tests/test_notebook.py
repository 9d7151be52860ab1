"""The notebook in the documentation runs as it is."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "docs" / "examples" / "memory.ipynb"


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[Any]]:
    """Execute all cells in a folder, and return their names and the value of the last expression of each cell."""
    pytest.importorskip("geopandas")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    values = []
    for number, cell in enumerate(json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            values.append(_run("".join(cell["source"]), f"<cell {number}>", names))
    return names, values


def _run(source: str, file: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does. Return the value of its last expression, or None."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, file, "exec"), names)
    return eval(compile(ast.Expression(last.value), file, "eval"), names) if isinstance(last, ast.Expr) else None


def test_all_cells_of_the_notebook_run(executed: tuple[dict[str, Any], list[Any]], tmp_path: Path) -> None:
    names, values = executed
    assert any(hasattr(value, "_repr_png_") and value.axes for value in values)
    assert ["plains.png", "lakes.png"] in [value for value in values if isinstance(value, list)]
    assert [outcome.ok for outcome in names["report"].outcomes] == [True, True]
    assert len(names["report"].drawn) == 2
    for name in ("plains", "lakes"):
        with Image.open(tmp_path / "maps" / f"{name}.png") as image:
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        assert image.size == (700, 450)
        assert len(np.unique(pixels, axis=0)) > 20


def test_the_notebook_is_stored_without_results() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
