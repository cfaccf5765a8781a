"""Labels that can be read from the number of bytes."""

from asli.auditing.checks.check import Check
from asli.auditing.checks.shortcut import examine_shortcut

WHAT = ("weight", "the size of the file in bytes")
"""Arguments of `examine_shortcut`."""

CHECK = Check(
    name="file-size",
    title="Labels in the file size",
    meaning="The number of bytes reflects compression and detail; a detector must not depend on it.",
    remedy="equalize first; what is left is how much detail the images hold",
    examine=examine_shortcut(*WHAT),
)
