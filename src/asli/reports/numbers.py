"""Numbers as pages print them: as many digits as the interval supports, counts beside rates."""

import math
from typing import Any

MOST = 4
"""Decimals printed at most."""


def ends(figure: Any) -> tuple[float | None, float | None, float | None, int]:
    """Return value, low, high and n of a measured figure, a dict or a dataclass with these fields."""
    if isinstance(figure, dict):
        return figure["value"], figure["low"], figure["high"], figure.get("n", 0)
    return figure.value, figure.low, figure.high, figure.n


def decimals(low: float | None, high: float | None, most: int = MOST) -> int:
    """Return how many decimals a 95 % interval supports, by the rule of the Particle Data Group.

    The standard error keeps two digits where its three leading ones lie between 100 and 354, else one; the value ends
    where the error ends.
    """
    if low is None or high is None or high <= low:
        return most
    error = (high - low) / 3.92
    exponent = math.floor(math.log10(error))
    kept = 1 if error / 10**exponent <= 3.545 else 0
    return min(max(kept - exponent, 0), most)


def value_text(figure: Any) -> str:
    """Return a figure's value, or `undefined`."""
    value, low, high, _ = ends(figure)
    return "undefined" if value is None else f"{value:.{decimals(low, high)}f}"


def interval_text(figure: Any) -> str:
    """Return a figure's 95 % interval, `0.943 to 0.950`, or nothing where it has none."""
    _, low, high, _ = ends(figure)
    if low is None or high is None:
        return ""
    digits = decimals(low, high)
    return f"{low:.{digits}f} to {high:.{digits}f}"


def percent(figure: Any) -> str:
    """Return a rate in per cent: `10.5 %`, or `undefined`."""
    value, low, high, _ = ends(figure)
    return "undefined" if value is None else _percent(value, _percent_decimals(low, high))


def percent_interval(figure: Any) -> str:
    """Return a rate's 95 % interval in per cent: `7.0 % to 15.5 %`, or nothing where it has none."""
    _, low, high, _ = ends(figure)
    if low is None or high is None:
        return ""
    digits = _percent_decimals(low, high)
    return f"{_percent(low, digits)} to {_percent(high, digits)}"


def counted(figure: Any) -> str:
    """Return a share of images as its counts: `21 of 200`."""
    value, _, _, n = ends(figure)
    return "" if value is None else f"{round(value * n):,} of {n:,}"


def percent_counted(figure: Any) -> str:
    """Return a share of images with its counts: `10.5 % (21 of 200)`."""
    return percent(figure) if ends(figure)[0] is None else f"{percent(figure)} ({counted(figure)})"


def percent_text(figure: Any) -> str:
    """Return a share with counts and interval, for sentences: `10.5 % (21 of 200; 95 % CI 7.0 % to 15.5 %)`."""
    if ends(figure)[0] is None:
        return "undefined"
    interval = percent_interval(figure)
    return f"{percent(figure)} ({counted(figure)}{f'; 95 % CI {interval}' if interval else ''})"


def of_hundred(figure: Any) -> tuple[str, str, str]:
    """Return a rate and the ends of its interval as numbers of 100, `11`, `7`, `16`; small ones keep two digits."""
    value, low, high, _ = ends(figure)
    return hundred(value), hundred(low), hundred(high)


def hundred(share: float | None) -> str:
    """Return a share as a number of 100; a small one keeps two digits."""
    if share is None:
        return "-"
    if share >= 0.095 or share in (0, 1):
        return str(math.floor(100 * share + 0.5))  # 84.5 and 89.5 both round up
    return f"{100 * share:.2g}"


def score_text(score: float) -> str:
    """Return a score with four digits; none looks certain."""
    return "<0.0001" if score < 0.00005 else ">0.9999" if score > 0.99995 else f"{score:.4f}"


def p_text(value: float) -> str:
    """Return a p-value: two digits, or `<0.0001`."""
    return "<0.0001" if value < 1e-4 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _percent(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f} %"


def _percent_decimals(low: float | None, high: float | None) -> int:
    return 1 if low is None or high is None else decimals(100 * low, 100 * high, MOST - 1)
