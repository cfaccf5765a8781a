"""Labels that can be read from blurred colors."""

from asli.auditing.checks.check import Check
from asli.auditing.checks.shortcut import examine_shortcut

CHECK = Check(
    name="colors",
    title="Labels in blurred colors",
    meaning="An 8x8 thumbnail holds subject, light and framing, no trace of a generator.",
    remedy="real and fake show different subjects, light or framing: match them, or compare detectors with this AUROC",
    examine=examine_shortcut("colors", "an 8x8 thumbnail"),
)
