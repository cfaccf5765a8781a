"""Labels that can be read from file settings."""

from asli.auditing.checks.check import Check
from asli.auditing.checks.shortcut import FILE_LIMITS, examine_shortcut

WHAT = (
    "files",
    "format, JPEG tables, quality, size, mode and metadata",
    FILE_LIMITS,
    "labels are readable from the files: ",
)
"""Arguments of `examine_shortcut`."""

CHECK = Check(
    name="file-settings",
    title="Labels in the file settings",
    meaning="A detector that reads format, JPEG tables or size instead of the image fails on other files.",
    remedy="write a copy in which both labels went through the same processing: asli audit DATA --equalize OUT",
    examine=examine_shortcut(*WHAT),
)
