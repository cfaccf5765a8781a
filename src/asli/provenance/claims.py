"""What a file's metadata claim, and what that means where it is known to mean something."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

SOURCE_TYPES = {
    "trainedAlgorithmicMedia": "AI-generated",
    "compositeWithTrainedAlgorithmicMedia": "partly AI-generated",
    "compositeSynthetic": "partly generated",
    "algorithmicMedia": "generated without learning",
    "virtualRecording": "recorded from a virtual scene",
    "digitalCapture": "camera",
    "computationalCapture": "camera, several exposures",
    "compositeCapture": "composite of camera pictures",
    "negativeFilm": "film",
    "positiveFilm": "film",
    "print": "scan of a print",
    "minorHumanEdits": "photograph, slightly edited",
    "humanEdits": "photograph, edited",
    "digitalArt": "made by a person with software",
    "digitalCreation": "made by a person with software",
    "softwareImage": "screenshot or drawn by software",
    "screenCapture": "screenshot",
}
"""IPTC's Digital Source Types (cv.iptc.org/newscodes/digitalsourcetype) in plain words."""

_NAMES_SOFTWARE = ("Software", "CreatorTool", "Credit", "Source")
"""Fields that say what made a file. Titles and comments say what is to be seen, which may be a generator's name."""

_MAKER = re.compile(
    r"\b(midjourney|dall[-·]e|stable diffusion|novelai|comfyui|invokeai|fooocus|adobe firefly|google imagen|ideogram"
    r"|leonardo\.ai|made with google ai|openai|stability ai|black forest labs)\b",
    re.IGNORECASE,
)
"""What generators write of themselves."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of a file about its origin.

    Attributes:
        source: What holds it: PNG text, EXIF, XMP, C2PA, or C2PA of an earlier version.
        field: Its name there.
        value: As written, cut after 200 characters.
        says: In plain words, or None where the value is only shown.
    """

    source: str
    field: str
    value: str
    says: str | None


MOST = 50
"""Claims of one kind that are kept of a file: more are a flood."""


def distinct(claims: Iterable[Claim]) -> list[Claim]:
    """Return the first `MOST` different claims."""
    return list(dict.fromkeys(claims))[:MOST]


def claim(source: str, field: str, value: str) -> Claim:
    """Return a claim, understood as far as its field and value are known to mean something."""
    return Claim(source, field, " ".join(value.split())[:200], _meaning(field, value))


def _meaning(field: str, value: str) -> str | None:
    if field.endswith("DigitalSourceType"):
        return SOURCE_TYPES.get(value.strip().rsplit("/", 1)[-1])
    if field in ("parameters", "UserComment") and "Steps:" in value and "Sampler:" in value:
        return "AI-generated (settings of a Stable Diffusion interface)"
    if field in ("prompt", "workflow") and _is_workflow(value):
        return "AI-generated (a ComfyUI workflow)"
    if field in ("invokeai_metadata", "sd-metadata", "invokeai_graph", "fooocus_scheme"):
        return "AI-generated (settings of an image generator)"
    if field in ("AISystemUsed", "AIPromptInformation", "AIPromptWriterName"):
        return "AI-generated or edited with AI (IPTC)"
    maker = _MAKER.search(value) if field in _NAMES_SOFTWARE else None
    return f"AI-generated or edited with AI (names {maker[0].lower()})" if maker else None


def _is_workflow(value: str) -> bool:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict):
        return False
    return "nodes" in found or any(isinstance(node, dict) and "class_type" in node for node in found.values())
