"""Labels that can be read from sharpness and traces of resampling."""

from asli.auditing.checks.check import Check
from asli.auditing.checks.shortcut import examine_shortcut

CHECK = Check(
    name="sharpness",
    title="Labels in sharpness and resampling",
    meaning="Spectrum and resampling hold the generator's trace, but also how files were resized and encoded.",
    remedy=(
        "only images made alike can separate the generator's trace from a different history of resizing and encoding: "
        "test the detector on resized and re-encoded photographs"
    ),
    examine=examine_shortcut("spectrum", "spectrum and resampling statistics"),
)
