"""Conditions in SQL are refused if SQL ignores a part of them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from regionplot.errors import ConfigError
from regionplot.settings.loading import read_config
from regionplot.settings.regions import RegionSettings


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("name = 'a'; drop table ok", ";"),
        ("name = 'a';", ";"),
        ("; name = 'a'", ";"),
        ("name = 'a' -- or more", "--"),
        ("pop > 5--\nAND pop < 9", "--"),
        ("name = 'a' /* or */ OR pop > 5", "/*"),
        ("name = 'a' /* or", "/*"),
        ("name = 'a''b'; 'c'", ";"),
        (r"name = 'a\'; 'c'", ";"),
        ('"a;b" = 1; 2', ";"),
        ("[a;b] = 1; 2", ";"),
        ("name = 'a'\0 OR", r"\x00"),
    ],
)
def test_a_separator_outside_of_quotes_is_an_error(text: str, end: str) -> None:
    with pytest.raises(ValidationError, match="ends the condition") as caught:
        RegionSettings(where=text)
    assert f"'{end}' ends" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pop > 1000 AND state = 'CO'",
        "pop - -1 > 5 / 3 * 2",
        "name = 'a;b--c/*d*/'",
        "name = 'it''s; so'",
        """name = '"' OR name = ';"'""",
        '"a--b" = 1 AND [c;d] = 2 AND `e/*f` = 3',
        "name LIKE '%;%'\nOR name IN ('a', 'b')",
        "name = 'a; open",
    ],
)
def test_a_condition_is_taken_unchanged(text: str) -> None:
    assert RegionSettings(where=text).where == text


def test_a_layer_of_features_names_its_key() -> None:
    layer = {"path": "sample:countries", "where": "name = 'a'; x"}
    with pytest.raises(ConfigError, match=r"\[\[features\]\] #1 where: ';' ends the condition.*remove it"):
        read_config({"raster": {"path": "sample:relief"}, "features": [layer]})
