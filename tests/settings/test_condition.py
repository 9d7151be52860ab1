"""Conditions over statistics: what they mean, and what is refused."""

from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionplot.errors import ConfigError
from regionplot.settings.condition import parse_condition

VALUES = {"count": 100, "valid": 0.5, "min": -3.0, "max": 26.5, "mean": 4.0, "p5": -2.0, "p90": 20.0, "p100": 26.5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max > 25", True),
        ("max>25", True),
        ("max > 26.5", False),
        ("max >= 26.5 and min < 0", True),
        ("not max > 25 or mean == 4", True),
        ("not (max > 25 or mean == 4)", False),
        ("0 < mean < max", True),
        ("0 < mean < 2", False),
        ("max - min > 29.4", True),
        ("-min * 2 >= 6", True),
        ("p90 > 15 and p5 != 0 and p100 == max", True),
        ("count / 0 > 1 or count / 0 <= 1", False),
        ("1e1 <= count", True),
        ("valid >= .5 and count == 100", True),
        ("  max > +25  ", True),
    ],
)
def test_a_condition_has_the_meaning_of_arithmetic(text, expected):
    assert parse_condition(text).holds(VALUES) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a condition"),
        ("max >", "is not a condition"),
        ("max = 25", "is not a condition"),
        ("max > 25 and", "is not a condition"),
        ("max; min", "is not a condition"),
        ("max > 25\nmin > 1", "is not a condition"),
        ("max", "is a number; compare it"),
        ("max + 1", "is a number; compare it"),
        ("-max", "is a number; compare it"),
        ("not max", "is a number; compare it"),
        ("max > 25 and min", "'min' is a number"),
        ("1 < 2", "does not depend on the data"),
        ("True", "is a number"),
        ("max > True", "'True' is not a number"),
        ("max > 'a'", "'a' is not a number"),
        ("max > 1j", "is not a number"),
        ("max > 1e999", "too large"),
        ("max > " + "9" * 400, "too large"),
        ("maximum > 25", "there is no 'maximum'; use count, valid, min, max, mean, and percentiles such as p90"),
        ("p101 > 25", "there is no 'p101'"),
        ("p999 > 25", "there is no 'p999'"),
        ("p05 > 25", "there is no 'p05'"),
        ("p\u0663 > 25", "there is no 'p\u0663'"),
        ("(max > 1) > 0", "cannot be used as a number"),
        ("(max > 25) & (min > 1)", "write and, or, not instead"),
        ("~(max > 25)", "write and, or, not instead"),
        ("max ** 9 > 1", "is not allowed"),
        ("max % 2 > 1", "is not allowed"),
        ("max in [1]", "is not allowed|true or false"),
        ("max is 1", "is not allowed|true or false"),
        ("max.real > 1", "is not allowed"),
        ("values[0] > 1", "is not allowed"),
        ("abs(max) > 1", "is not allowed"),
        ("__import__('os').system('true') > 1", "is not allowed"),
        ("(lambda: max)() > 1", "is not allowed"),
        ("max > (min := 3)", "is not allowed"),
        ("[max for max in ()] > 1", "is not allowed"),
        ("max > 25 if min > 1 else min > 2", "is not allowed"),
        ("f'{max}' > 1", "is not allowed"),
        ("not " * 40 + "max > 1", "nested too deeply"),
        ("(" * 300 + "max" + ")" * 300 + " > 1", "is not a condition"),
        ("-" * 60 + "max > 1", "nested too deeply"),
        ("max > 1" + " and max > 1" * 100, "too long"),
        ("max > \0 1", "is not a condition"),
    ],
)
def test_all_else_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_condition(text)


@given(st.text(alphabet="maxinpv09.()<>=! andort+-*/_[]'\"", max_size=30))
def test_any_text_is_a_condition_or_refused(text):
    try:
        condition = parse_condition(text)
    except ValueError:
        return
    assert condition.names <= {"count", "valid", "min", "max", "mean"} | {f"p{n}" for n in range(101)}
    condition.holds(dict.fromkeys(condition.names, math.nan))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"when": "top > 1"}, r"\[publish\] when: .*there is no 'top'"),
        ({"when": 25}, r"\[publish\] when: must be text in quotes"),
        ({"min_valid": 50}, r"\[publish\] min_valid: must be less than or equal to 1"),
        ({"min_valid": -0.1}, r"\[publish\] min_valid"),
        ({"min_value": 3, "max_value": 2}, r"\[publish\].*min_value \(3\) is larger than max_value"),
        ({"max_value": math.inf}, r"\[publish\] max_value: must be a finite number"),
        ({"blank": True}, r"\[publish\] blank: must be 'allow' or 'hold'"),
        ({"repeat": "hold"}, r"\[publish\] repeat: .*repeated"),
    ],
)
def test_wrong_settings_name_their_key(table, message, make_config):
    with pytest.raises(ConfigError, match=message):
        make_config(publish=table)


def test_settings_with_a_condition_can_be_sent_to_workers(make_config):
    config = make_config(publish={"when": "p90 > 25", "min_valid": 0.5})
    again = pickle.loads(pickle.dumps(config)).publish
    assert again == config.publish
    assert again.condition.percentages == (90,)
