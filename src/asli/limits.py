"""Limits that several layers share."""

MAX_PIXELS = 100_000_000
"""Larger images are refused: decoding them is the classic way to exhaust memory."""
