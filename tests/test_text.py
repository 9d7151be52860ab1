"""Templates accept plain fields and short formats only."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionplot.text import TemplateError, fields_of, render

NOON = datetime(2025, 2, 6, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("template", "fields", "text"),
    [
        ("plain", {}, "plain"),
        ("{name}", {"name": "x"}, "x"),
        ("{{{name}}}", {"name": "x"}, "{x}"),
        ("{full name}", {"full name": "x"}, "x"),
        ("{Höhe}", {"Höhe": "x"}, "x"),
        ("{n:,d}", {"n": "1234567"}, "1,234,567"),
        ("{n:.1f}", {"n": "2.25"}, "2.2"),
        ("{n:05d}", {"n": 42}, "00042"),
        ("{n:>5}|", {"n": "ab"}, "   ab|"),
        ("{time}", {"time": NOON}, "2025-02-06 12:00 UTC"),
        ("{time:%d %b %Y, %H:%M}", {"time": NOON}, "06 Feb 2025, 12:00"),
    ],
)
def test_fields_are_filled_in(template: str, fields: dict[str, object], text: str) -> None:
    assert render(template, fields) == text


ATTACKS = [
    "{x.__class__}", "{x[0]}", "{x!r}", "{x:>300000000}", "{x:{x}}", "{}", "{0}", "{x", "x}", "{:d}",
    "{x.__init__.__globals__}", "{x!s:>9}", "{x:" + "%Y" * 40 + "}",
]  # fmt: skip


@pytest.mark.parametrize("template", ATTACKS)
def test_attacks_are_rejected_when_read_and_when_filled_in(template: str) -> None:
    with pytest.raises(TemplateError):
        fields_of(template)
    with pytest.raises(TemplateError):
        render(template, {"x": "secret", "0": "zero", "": "nothing"})


@pytest.mark.parametrize(
    ("template", "value", "message"),
    [
        ("{y}", "a", r"no field 'y'; the fields are: x"),
        ("{x:d}", "abc", "does not fit the format 'd'"),
        ("{x:d}", "1.5", "does not fit the format 'd'"),
        ("{x:%H}", "12", "is for times"),
        ("{x:.999f}", "12", "is for times"),
    ],
)
def test_values_that_do_not_fit_are_reported(template: str, value: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        render(template, {"x": value})


def test_fields_of_lists_names_in_order() -> None:
    assert fields_of("{b} {{no}} {a:d} {b}") == ["b", "a", "b"]


@given(st.text())
def test_text_with_doubled_braces_is_returned_unchanged(text: str) -> None:
    assert render(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(st.text(alphabet="{}x:!.[]0%>d_ ", max_size=30))
def test_a_template_is_filled_in_or_rejected_and_the_text_stays_short(template: str) -> None:
    with suppress(TemplateError):
        assert len(render(template, {"x": "7"})) < 300
