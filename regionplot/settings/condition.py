"""Parse conditions over the statistics of a region, such as `max > 25 and valid > 0.5`.

A condition is parsed into a tree of Python's syntax. Only allowed nodes are evaluated, by the functions of this module.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from regionplot.system.threads import ignored_warnings

STATISTICS = ("count", "valid", "min", "max", "mean")
"""Names in conditions, apart from percentiles."""
_NAMES = f"{', '.join(STATISTICS)}, and percentiles such as p90"
_PERCENTILE = re.compile(r"p([0-9]|[1-9][0-9]|100)")
_MAX_NODES = 200
_MAX_DEPTH = 30
_LONGEST = 60
"""Number of characters of a condition in a message."""
_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_SIGNS: dict[type[ast.unaryop], Callable[[float], float]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}


class _RefusedError(Exception):
    """Part of a condition that is not allowed."""


@dataclass(frozen=True)
class Condition:
    """A condition over the statistics of a region. It is true or false.

    Examples
    --------
    >>> condition = parse_condition("max > 25 and not p10 > 0")
    >>> sorted(condition.names), condition.percentages
    (['max', 'p10'], (10,))
    >>> condition.holds({"max": 26, "p10": 0})
    True
    """

    text: str
    names: frozenset[str]
    """Names of the statistics in the condition."""
    tree: ast.expr

    @property
    def percentages(self) -> tuple[int, ...]:
        """Percentages of the percentiles in the condition."""
        return tuple(sorted(int(name[1:]) for name in self.names if _PERCENTILE.fullmatch(name)))

    def holds(self, values: Mapping[str, float]) -> bool:
        """Return True if the condition is true. A comparison with NaN is false, except `!=`.

        Parameters
        ----------
        values : mapping
            The statistics by name.
        """
        return _is_true(self.tree, values)


@lru_cache(maxsize=256)
def parse_condition(text: str) -> Condition:
    """Return a condition.

    Raises
    ------
    ValueError
        If the text is not a condition. The message states the reason.
    """
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    try:
        with ignored_warnings():  # of Python, about numbers that are joined with words
            tree = ast.parse(text.strip(), mode="eval").body
        nodes = sum(1 for _ in ast.walk(tree))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f'{shown!r} is not a condition; write a comparison, such as "max > 25"') from None
    if nodes > _MAX_NODES:
        raise ValueError(f"{shown!r} is too long")
    try:
        names = frozenset(_checked_condition(tree, 0))
    except _RefusedError as refused:
        raise ValueError(f"{shown!r}: {refused}") from None
    if not names:
        raise ValueError(f"{shown!r} does not depend on the data; use {_NAMES}")
    return Condition(text, names, tree)


def check_condition(text: str) -> str:
    """Return a text unchanged if it is a condition.

    Raises
    ------
    ValueError
        As for `parse_condition`.
    """
    parse_condition(text)
    return text


def _checked_condition(node: ast.expr, depth: int) -> Iterator[str]:
    """Yield the names in a condition. Refuse parts that are not true or false."""
    if depth > _MAX_DEPTH:
        raise _RefusedError("nested too deeply")
    match node:
        case ast.BoolOp():
            for each in node.values:
                yield from _checked_condition(each, depth + 1)
        case ast.UnaryOp(op=ast.Not()):
            yield from _checked_condition(node.operand, depth + 1)
        case ast.Compare() if all(type(each) in _COMPARISONS for each in node.ops):
            for each in (node.left, *node.comparators):
                yield from _checked_number(each, depth + 1)
        case _:
            raise _RefusedError(_refusal(node))


def _checked_number(node: ast.expr, depth: int) -> Iterator[str]:
    """Yield the names in an arithmetic expression. Refuse parts that are not numbers."""
    if depth > _MAX_DEPTH:
        raise _RefusedError("nested too deeply")
    match node:
        case ast.Constant():
            _check_constant(node.value)
        case ast.Name(id=name):
            if name not in STATISTICS and not _PERCENTILE.fullmatch(name):
                raise _RefusedError(f"there is no {name[:_LONGEST]!r}; use {_NAMES}")
            yield name
        case ast.UnaryOp() if type(node.op) in _SIGNS:
            yield from _checked_number(node.operand, depth + 1)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            yield from _checked_number(node.left, depth + 1)
            yield from _checked_number(node.right, depth + 1)
        case _:
            raise _RefusedError(_refusal(node))


def _check_constant(value: object) -> None:
    if type(value) not in (int, float):
        raise _RefusedError(f"{str(value)[:_LONGEST]!r} is not a number")
    try:
        is_finite = math.isfinite(float(value))  # type: ignore[arg-type]
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise _RefusedError("a number is too large")


def _refusal(node: ast.expr) -> str:
    part = ast.unparse(node)[:_LONGEST]
    if _is_bitwise(node):
        return "write and, or, not instead of & | ~"
    is_arithmetic = isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC
    if is_arithmetic or isinstance(node, ast.Name | ast.Constant | ast.UnaryOp):
        return f"{part!r} is a number; compare it, as in 'max > 25'"
    if isinstance(node, ast.BoolOp | ast.Compare):
        return f"{part!r} is true or false, and cannot be used as a number"
    return f"{part!r} is not allowed; use {_NAMES}, numbers, + - * /, comparisons, and, or, not"


def _is_bitwise(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.BitAnd | ast.BitOr)
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert)


def _is_true(node: ast.expr, values: Mapping[str, float]) -> bool:
    match node:
        case ast.BoolOp(op=ast.And()):
            return all(_is_true(each, values) for each in node.values)
        case ast.BoolOp():
            return any(_is_true(each, values) for each in node.values)
        case ast.UnaryOp():
            return not _is_true(node.operand, values)
        case ast.Compare():
            numbers = [_number(each, values) for each in (node.left, *node.comparators)]
            return all(_COMPARISONS[type(own)](*pair) for own, pair in zip(node.ops, pairwise(numbers), strict=True))
    raise AssertionError("the condition has been checked")


def _number(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant():
            return float(node.value)  # type: ignore[arg-type]
        case ast.Name():
            return values[node.id]
        case ast.UnaryOp():
            return _SIGNS[type(node.op)](_number(node.operand, values))
        case ast.BinOp():
            left, right = _number(node.left, values), _number(node.right, values)
            try:
                return _ARITHMETIC[type(node.op)](left, right)
            except ZeroDivisionError:
                return math.nan
    raise AssertionError("the condition has been checked")
