"""Statements of a file about its own origin: evidence beside the score, which they do not affect."""
