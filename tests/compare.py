"""Comparison of results that contain scores: no score is promised to the last bit, all to 1e-5."""

from typing import Any

SAME = 1e-5
"""How far scores of one image may lie apart, whatever computes them and in whatever batch."""


def differences(found: Any, expected: Any, tolerance: float = SAME, place: str = "") -> list[str]:
    """Name every place where two JSON-like values differ: floats by more than the tolerance, all else at all."""
    if isinstance(found, float) and isinstance(expected, float):
        near = abs(found - expected) <= tolerance or (found != found and expected != expected)
        return [] if near else [f"{place}: {found} is not {expected}"]
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        pairs = [(f"{place}.{key}", found[key], expected[key]) for key in found]
    elif isinstance(found, list | tuple) and isinstance(expected, list | tuple) and len(found) == len(expected):
        pairs = [(f"{place}[{i}]", *pair) for i, pair in enumerate(zip(found, expected, strict=True))]
    else:
        return (
            [] if type(found) is type(expected) and found == expected else [f"{place}: {found!r} is not {expected!r}"]
        )
    return [line for where, one, other in pairs for line in differences(one, other, tolerance, where)]
