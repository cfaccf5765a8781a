"""Limits that several layers share."""

MAX_PIXELS = 250_000_000
"""Of an image, at every entry point. Larger ones are refused: decoding them is the classic way to exhaust memory."""
