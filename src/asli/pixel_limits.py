"""Limits that several layers share."""

MAX_PIXELS = 250_000_000
"""Most pixels of an image, at every entry point. Larger ones are refused, since decoding them can exhaust memory."""
