"""Sections of the evaluation report, each from a part of the result."""
