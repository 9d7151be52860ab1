"""Parse formulas over bands. The parser rebuilds a formula from an allow-list, so that only allowed operations run."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

_MAX_NODES = 500
_MAX_DEPTH = 60
_FUNCTIONS = {
    **dict.fromkeys(("abs", "sqrt", "exp", "expm1", "log", "log10", "log1p", "floor", "ceil", "isnan"), 1),
    **dict.fromkeys(("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"), 1),
    **dict.fromkeys(("arctan2", "minimum", "maximum", "fmod"), 2),
    "where": 3,
}
"""Functions of numexpr, and their number of arguments."""
_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor)
_UNARY = (ast.UAdd, ast.USub, ast.Invert)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


def check_formula(formula: str) -> str:
    """Return a formula unchanged. Refuse a text that is not a formula over bands.

    Raises
    ------
    ValueError
        If the text is not a formula. The message states the reason.
    """
    parse_formula(formula)
    return formula


def parse_formula(formula: str) -> tuple[str, frozenset[str]]:
    """Return a formula for numexpr, rebuilt from its parsed parts, and the names of the bands in it.

    Raises
    ------
    ValueError
        If a part is not allowed, or the formula is too long or nested too deeply.

    Examples
    --------
    >>> parse_formula("2 * snow.b1")
    ('2.0 * snow_b1', frozenset({'snow_b1'}))
    """
    try:
        tree = ast.parse(formula.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"{formula[:200]!r} is not an expression: {getattr(error, 'msg', error)}") from None
    if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
        raise ValueError(f"{formula[:200]!r} is too long; split it into several steps")
    names: set[str] = set()
    try:
        rebuilt = ast.unparse(_rebuilt(tree.body, names, 0))
    except _RefusedError as refused:
        raise ValueError(f"{formula[:200]!r}: {refused}") from None
    if not names:
        raise ValueError(f"{formula!r} has no band; the bands are b1, b2 ...")
    return rebuilt, frozenset(names)


class _RefusedError(Exception):
    """Part of a formula that is not allowed."""


def _rebuilt(node: ast.expr, names: set[str], depth: int) -> ast.expr:
    """Return the same formula, built from allowed parts only."""
    if depth > _MAX_DEPTH:
        raise _RefusedError("nested too deeply; split it into several steps")
    match node:
        case ast.Name() | ast.Attribute():
            return _variable(node, names)
        case ast.Constant():
            return _number(node)
        case ast.BinOp(op=operator) if isinstance(operator, _BINARY):
            return ast.BinOp(_rebuilt(node.left, names, depth + 1), operator, _rebuilt(node.right, names, depth + 1))
        case ast.UnaryOp(op=sign) if isinstance(sign, _UNARY):
            return ast.UnaryOp(sign, _rebuilt(node.operand, names, depth + 1))
        case ast.Compare(ops=[comparison], comparators=[right]) if isinstance(comparison, _COMPARISONS):
            left = _rebuilt(node.left, names, depth + 1)
            return ast.Compare(left, [comparison], [_rebuilt(right, names, depth + 1)])
        case ast.Call(func=ast.Name(id=function), keywords=[]) if function in _FUNCTIONS:
            return _call(function, node.args, names, depth)
    raise _RefusedError(_refusal(node))


def _call(function: str, arguments: list[ast.expr], names: set[str], depth: int) -> ast.expr:
    if len(arguments) != _FUNCTIONS[function]:
        raise _RefusedError(f"{function} takes {_FUNCTIONS[function]} argument(s), not {len(arguments)}")
    rebuilt = [_rebuilt(argument, names, depth + 1) for argument in arguments]
    return ast.Call(ast.Name(function, ast.Load()), rebuilt, [])


def _variable(node: ast.Name | ast.Attribute, names: set[str]) -> ast.expr:
    parts = list(_parts(node))
    name = "_".join(parts)
    band = name.rpartition("_")[2]
    is_band = len(parts) <= 2 and band[:1] == "b" and band[1:].isascii() and band[1:].isdecimal() and band[1] != "0"
    if not is_band or len(band) > 6 or "__" in name or name.startswith("_"):
        raise _RefusedError(f"{'.'.join(parts)!r} is not a band; bands are b1, b2 ..., and NAME.b1 for further inputs")
    names.add(name)
    return ast.Name(name, ast.Load())


def _parts(node: ast.expr) -> Iterator[str]:
    """Yield the names in `a.b`."""
    if isinstance(node, ast.Attribute):
        yield from _parts(node.value)
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
    else:
        raise _RefusedError(_refusal(node))


def _number(node: ast.Constant) -> ast.expr:
    """Return a number in floating point. Powers of integers could need unlimited memory."""
    if type(node.value) not in (int, float):
        raise _RefusedError(f"{str(node.value)[:40]!r} is not a number")
    try:
        value = float(node.value)  # type: ignore[arg-type]
    except OverflowError:
        value = float("inf")
    if not math.isfinite(value):
        raise _RefusedError("a number is too large")
    return ast.Constant(value)


def _refusal(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return f"there is no function {node.func.id!r}; the functions are: {', '.join(_FUNCTIONS)}"
    if isinstance(node, ast.BoolOp | ast.UnaryOp):
        return "write & | ~ instead of and, or, not, and put the operands in parentheses"
    if isinstance(node, ast.Compare):
        return "compare two values at a time, and join the comparisons with &"
    return (
        f"{ast.unparse(node)[:60]!r} is not allowed; use bands, numbers, + - * / % **, comparisons, & | ~ and functions"
    )
