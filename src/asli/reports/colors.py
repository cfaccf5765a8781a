"""Colors with a meaning that color-blind readers can tell apart (Okabe & Ito 2008); pages add a word or symbol."""

from enum import StrEnum

REAL, FAKE, INK, GRID, FAINT, RAISED = "#0072B2", "#D55E00", "#333333", "#E5E5E5", "#AAAAAA", "#F3F6F9"
VOID = "#6B6B6B"
"""Colors of figures, on a light background."""

VARIABLES = {REAL: "--real", FAKE: "--fake", INK: "--ink", GRID: "--grid", FAINT: "--faint", RAISED: "--raised"}
VARIABLES |= {VOID: "--void"}
"""The same in a page's style sheet, which has another value for a dark ground."""


class Status(StrEnum):
    """Meaning of a number or finding for the reader; each has its own color, symbol and word."""

    GOOD = "good"
    CAUTION = "caution"
    BAD = "bad"
    NEUTRAL = "neutral"
    VOID = "void"

    @property
    def symbol(self) -> str:
        """Return its sign."""
        return {"good": "✓", "caution": "!", "bad": "✕", "neutral": "?", "void": "/"}[self.value]
