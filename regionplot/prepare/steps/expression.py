"""Expression: combine bands by a formula, evaluated by numexpr, never by Python."""

from __future__ import annotations

import ast
import multiprocessing
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.geo.grid import GridGeometry
from regionplot.prepare.base import BlockContext, Operation

MOST_CHARACTERS = 2_000


_MOST_NODES = 500


_DEEPEST = 60


_FUNCTIONS = {
    **dict.fromkeys(("abs", "sqrt", "exp", "expm1", "log", "log10", "log1p", "floor", "ceil", "isnan"), 1),
    **dict.fromkeys(("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"), 1),
    **dict.fromkeys(("arctan2", "minimum", "maximum", "fmod"), 2),
    "where": 3,
}
"""Names, and how many arguments each takes."""


_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor)


_UNARY = (ast.UAdd, ast.USub, ast.Invert)


_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


@dataclass(frozen=True)
class Expression(Operation):
    """A formula over bands: `b1`, `b2` ... of the raster, `NAME.b1` or `NAME_b1` of further inputs.

    Arithmetic, comparisons, `&`, `|`, `~`, and the functions that numexpr has (https://numexpr.readthedocs.io). It is
    computed in double precision. A cell that is missing in a band that the formula names is missing in the result,
    unless the formula asks with `isnan`; so is a result that is not finite.

    Raises
    ------
    ConfigError
        If the formula is anything else: attributes, indices, texts, calls of other functions, too long.

    Examples
    --------
    >>> sorted(Expression("(b4 - b3) / (b4 + b3)").names)
    ['b3', 'b4']
    """

    formula: str
    long_name: str | None = None
    """Of the result; that of the input by default."""
    units: str | None = None
    """Of the result; none by default, for a formula says nothing of them."""

    def __post_init__(self) -> None:
        _ = self._checked

    def __getstate__(self) -> dict[str, object]:
        return {"formula": self.formula, "long_name": self.long_name, "units": self.units}

    @cached_property
    def _checked(self) -> tuple[str, frozenset[str]]:
        return _check(self.formula)

    @property
    def names(self) -> frozenset[str]:
        """The bands that the formula names, those of further inputs as `NAME_b1`."""
        return self._checked[1]

    def bands(self, count: int) -> int:
        """See `Operation`."""
        missing = sorted(name for name in self.names if "_" not in name and int(name[1:]) > count)
        if missing:
            raise ConfigError(f"{self.formula!r}: there is no {', '.join(missing)}; the bands are b1 to b{count}")
        return 1

    def on(self, geometry: GridGeometry) -> Operation:
        """See `Operation`; the formula is tried once, so that what numexpr cannot do is found now."""
        try:
            _evaluate(self._checked[0], dict.fromkeys(self.names, np.ones(2)))
        except Exception as error:  # whatever numexpr, or Python where it joins two numbers, may raise
            raise ConfigError(f"{self.formula[:200]!r} cannot be evaluated: {error or type(error).__name__}") from None
        return self

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """See `Operation`."""
        long_name = description.get("long_name", "") if self.long_name is None else self.long_name
        return {**description, "long_name": long_name, "units": self.units or ""}

    def check_others(self, counts: Mapping[str, int]) -> None:
        """See that further inputs have the bands that the formula names.

        Raises
        ------
        ConfigError
            If one is not there.
        """
        known = {f"{name}_b{band}" for name, count in counts.items() for band in range(1, count + 1)}
        missing = sorted(name for name in self.names if "_" in name and name not in known)
        if missing:
            there = ", ".join(sorted(known)[:20]) or "none"
            raise ConfigError(f"{self.formula!r}: there is no {', '.join(missing)}; further inputs' bands are: {there}")

    def apply(self, values: Values, site: BlockContext) -> Values:
        """See `Operation`."""
        bands = {name: _band(name, values, site.others) for name in self.names}
        result = np.broadcast_to(np.asarray(_evaluate(self._checked[0], bands), np.float64), values.shape[1:])
        missing = ~np.isfinite(result)
        if "isnan" not in self.formula:
            for band in bands.values():
                missing |= np.isnan(band)
        return np.where(missing, np.nan, result)[None].astype(values.dtype)


def _evaluate(formula: str, bands: Mapping[str, Values]) -> object:
    """The formula's value; what it names is in `bands`, and nothing else can be reached."""
    numexpr = _numexpr()
    doubles = {name: np.ascontiguousarray(band, np.float64) for name, band in bands.items()}
    return numexpr.evaluate(formula, local_dict=doubles, global_dict={}, sanitize=True, truediv=True)


def _numexpr() -> Any:
    """The library, kept to one thread: there is a worker for each CPU already, and threads stand in the way of a fork.

    Where a host program uses it, too, its setting is left alone but for our worker processes.
    """
    is_ours = "numexpr" not in sys.modules or multiprocessing.parent_process() is not None
    import numexpr  # noqa: PLC0415 (only who evaluates pays for its import)

    if is_ours and numexpr.get_num_threads() != 1:
        numexpr.set_num_threads(1)
    return numexpr


def _band(name: str, values: Values, others: Mapping[str, Values]) -> Values:
    source, _, band = name.rpartition("_")
    found: Values = (others[source] if source else values)[int(band[1:]) - 1]
    return found


def _check(formula: str) -> tuple[str, frozenset[str]]:
    """The formula as numexpr is given it, made from what was understood of it, and the bands that it names."""
    if len(formula) > MOST_CHARACTERS:
        raise ConfigError(f"an expression of {len(formula):,} characters is too long; {MOST_CHARACTERS:,} are the most")
    try:
        tree = ast.parse(formula.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ConfigError(f"{formula[:200]!r} is not an expression: {getattr(error, 'msg', error)}") from None
    if sum(1 for _ in ast.walk(tree)) > _MOST_NODES:
        raise ConfigError(f"{formula[:200]!r} is too long: do it in steps")
    names: set[str] = set()
    try:
        rebuilt = ast.unparse(_rebuilt(tree.body, names, 0))
    except _RefusedError as refused:
        raise ConfigError(f"{formula[:200]!r}: {refused}") from None
    if not names:
        raise ConfigError(f"{formula!r} names no band; the bands are b1, b2 ...")
    return rebuilt, frozenset(names)


class _RefusedError(Exception):
    """Part of a formula that is not allowed."""


def _rebuilt(node: ast.expr, names: set[str], depth: int) -> ast.expr:
    """The same formula out of nothing but what is allowed."""
    if depth > _DEEPEST:
        raise _RefusedError("nested too deeply: do it in steps")
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
        raise _RefusedError(f"{'.'.join(parts)!r} is no band; bands are b1, b2 ..., and NAME.b1 of further inputs")
    names.add(name)
    return ast.Name(name, ast.Load())


def _parts(node: ast.expr) -> Iterator[str]:
    """The names in `a.b`."""
    if isinstance(node, ast.Attribute):
        yield from _parts(node.value)
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
    else:
        raise _RefusedError(_refusal(node))


def _number(node: ast.Constant) -> ast.expr:
    """A number, in floating point: powers of integers could grow without an end."""
    if type(node.value) not in (int, float):
        raise _RefusedError(f"{str(node.value)[:40]!r} is no number")
    try:
        value = float(node.value)  # type: ignore[arg-type]
    except OverflowError:
        value = float("inf")
    if not np.isfinite(value):
        raise _RefusedError("a number is too large")
    return ast.Constant(value)


def _refusal(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return f"there is no function {node.func.id!r}; there are: {', '.join(_FUNCTIONS)}"
    if isinstance(node, ast.BoolOp | ast.UnaryOp):
        return "write & | ~ for and, or, not, with what they join in parentheses"
    if isinstance(node, ast.Compare):
        return "compare two things at a time, and join the comparisons with &"
    return (
        f"{ast.unparse(node)[:60]!r} is not allowed; use bands, numbers, + - * / % **, comparisons, & | ~ and functions"
    )
