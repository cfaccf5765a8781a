"""Reasons, caveats and statements of files in the reader's language: English sentences are recognized by their form."""

import re

from asli.messages import Message, Number, message
from asli.messages.statements import STATEMENTS

SIZE = r"(?P<width>\d+) x (?P<height>\d+) pixels; supported are images of (?P<sizes>[\d to]+)"

RANGES = ("sizes", "qualities")
"""Values that may be a range: `32 to 64`."""

PARTS = ("said", "proof")
"""Values that are sentences themselves."""

PATTERNS = tuple(
    (re.compile(rf"^(?:outside domain: )?{pattern}$"), key if "." in key else f"reason.{key}")
    for pattern, key in (
        (rf"{SIZE} px a side", "size"),
        (rf"{SIZE} px or more a side", "size_from"),
        (rf"{SIZE} px a side; give the original, larger picture", "size_small"),
        (rf"{SIZE} px or more a side; give the original, larger picture", "size_from_small"),
        (r"looks like a screenshot or drawing \((?P<flat>\d+)% of it flat\); give the photograph itself", "drawn"),
        (r"(?P<format>\S+) file; supported formats: (?P<formats>.+)", "format"),
        (r"JPEG quality (?P<quality>\d+); supported: (?P<qualities>.+)", "quality"),
        (r"pixels unlike the known images' \(distance .+; more (?P<what>.+)\)", "pixels_more"),
        (r"pixels unlike the known images' \(distance .+; less (?P<what>.+)\)", "pixels_less"),
        (r"weak evidence: (?P<wrong>[\d,]+) of (?P<images>[\d,]+) fake .+ were called real, too", "weak_real"),
        (r"weak evidence: (?P<wrong>[\d,]+) of (?P<images>[\d,]+) real .+ were called fake, too", "weak_fake"),
        (r"not shown to beat a constant answer: .+", "constant"),
        (r"not calibrated: scores are .+, (?P<threshold>[\d.]+) is its author's threshold", "author"),
        (
            r"not calibrated: (?P<real>[\d,]+) real and (?P<fake>[\d,]+) fake .+, (?P<needed>\d+) of each are needed",
            "few",
        ),
        (r"not an image of a kind that is read \((?P<formats>.+)\)", "no_image"),
        (r"empty file \(0 bytes\)", "empty"),
        (r"cannot be decoded: (?P<why>.+)", "damaged"),
        *((pattern, f"statement.{key}") for pattern, key in STATEMENTS),
    )
)
"""Form of each sentence and its key in the catalog; a page's script uses them, too."""


def reason_text(reason: str) -> Message | str:
    """Return a reason or statement as a message of the catalog, or as it is where its form is not known."""
    for pattern, key in PATTERNS:
        found = pattern.match(reason)
        if found:
            return message(key, **{name: _value(name, value) for name, value in found.groupdict().items()})
    return reason


def _value(name: str, value: str) -> Message | Number | str:
    if name == "what":
        return message(f"reason.{value.replace(' ', '_')}")
    if name in PARTS:
        return reason_text(value)
    if re.fullmatch(r"\d[\d,.]*[,.]\d+", value):
        return Number(value)
    return value.replace(" to ", "\u2013") if name in RANGES else value
