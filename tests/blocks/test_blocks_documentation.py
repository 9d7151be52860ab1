"""Every example in docs/blocks.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "blocks.md"


def examples() -> list[tuple[int, str]]:
    """Line and text of the page's Python."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in found]


@pytest.mark.timeout(120, method="signal")  # a thread would make fork unsafe
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_every_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "examples"}
    for line, example in examples():
        exec(compile("\n" * line + example, str(PAGE), "exec"), names)
    assert not list(tmp_path.rglob(".*")), "no temporary is left"


def test_each_system_has_its_examples() -> None:
    text = PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## As in (.*?)\n(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE))
    assert len(sections) == 4
    assert all("```python" in section and "assert" in section for section in sections.values())
