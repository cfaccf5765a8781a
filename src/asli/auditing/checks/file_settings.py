"""Labels that can be read from file settings."""

from asli.auditing.checks.check import Check
from asli.auditing.checks.shortcut import examine_shortcut

CHECK = Check(
    name="file-settings",
    title="Labels in the file settings",
    meaning="A detector that reads format, JPEG tables or size instead of the image fails on other files.",
    remedy="write a copy in which both labels went through the same processing: asli audit DATA --equalize OUT",
    examine=examine_shortcut(
        "files",
        "format, JPEG tables, quality, size, mode and metadata",
        (0.55, 0.60),
        "labels are readable from the files: ",
    ),
)
