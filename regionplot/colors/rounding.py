"""Round the limits of a color scale outward to the ticks of its color bar.

The ticks are those of matplotlib's `MaxNLocator`, which a test compares. Importing it takes 0.1 s and 15 MB.
"""

from __future__ import annotations

import math

_MOST_STEPS = 10
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Steps between ticks, apart from a power of ten."""
_FAR = 100
"""Distance of a range from zero, in widths of the range, from which ticks are counted from a round number near it."""
_TOLERANCE = 1e-10
"""Part of a step by which a limit may lie beyond a tick."""
_DIGITS = 12
"""Digits of a number far from zero that are certain."""
_LARGEST_TOLERANCE = 0.4999


def rounded_limits(low: float, high: float) -> tuple[float, float]:
    """Return the ticks that enclose a range, if at most ten steps between ticks cover it.

    Parameters
    ----------
    low, high : float
        Finite limits of the range. `low` is less than `high`.

    Returns
    -------
    (float, float)
        The last tick that is not above `low`, and the first tick that is not below `high`.
    """
    width, middle = high - low, (high + low) / 2
    offset = 0.0 if abs(middle) / width < _FAR else math.copysign(_power_of_ten(abs(middle)), middle)
    low, high = low - offset, high - offset
    least = (high - low) / _MOST_STEPS
    scale = _power_of_ten(width / _MOST_STEPS)
    step = next(step * scale for step in (*_STEPS, _MOST_STEPS * _STEPS[1]) if step * scale >= least)
    tolerance = _tolerance(offset, step)
    origin = low // step * step
    below, rest = divmod(low - origin, step)
    first = below + 1 if abs(rest / step - 1) < tolerance else below
    above, rest = divmod(high - origin, step)
    last = above if abs(rest / step) < tolerance else above + 1
    return first * step + origin + offset, last * step + origin + offset


def _tolerance(offset: float, step: float) -> float:
    if not offset:
        return _TOLERANCE
    return min(_LARGEST_TOLERANCE, max(_TOLERANCE, 10 ** (math.log10(abs(offset) / step) - _DIGITS)))


def _power_of_ten(value: float) -> float:
    """Return the largest power of ten that is not greater than a positive number."""
    power: float = 10 ** (math.log10(value) // 1)
    return power
