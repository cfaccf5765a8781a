"""Claims in a file's metadata, and their meaning where it is known."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from asli.provenance.settings import meaning_of_settings

Meaning = tuple[str, bool | None]
"""In plain words, and whether it states AI origin."""

SOURCE_TYPES: dict[str, Meaning] = {
    "trainedAlgorithmicMedia": ("AI-generated", True),
    "compositeWithTrainedAlgorithmicMedia": ("partly AI-generated", True),
    "trainedAlgorithmicData": ("AI-generated", True),
    "compositeSynthetic": ("partly generated", True),
    "algorithmicMedia": ("generated without learning", False),
    "algorithmicallyEnhanced": ("photograph, enhanced by an algorithm", False),
    "dataDrivenMedia": ("made from data by software", False),
    "virtualRecording": ("recorded from a virtual scene", False),
    "digitalCapture": ("camera", False),
    "computationalCapture": ("camera, several exposures", False),
    "multiFrameComputationalCapture": ("camera, several exposures", False),
    "compositeCapture": ("composite of camera pictures", False),
    "composite": ("composite", False),
    "negativeFilm": ("film", False),
    "positiveFilm": ("film", False),
    "print": ("scan of a print", False),
    "minorHumanEdits": ("photograph, slightly edited", False),
    "humanEdits": ("photograph, edited", False),
    "digitalArt": ("made by a person with software", False),
    "digitalCreation": ("made by a person with software", False),
    "softwareImage": ("screenshot or drawn by software", False),
    "screenCapture": ("screenshot", False),
    "empty": ("begun as an empty picture", None),
}
"""Digital Source Types: IPTC's (cv.iptc.org/newscodes/digitalsourcetype) and C2PA's own (c2pa.org/digitalsourcetype:
`trainedAlgorithmicData`, `empty`)."""

_TERMS = {re.sub(r"\W", "", term).casefold(): known for term, known in SOURCE_TYPES.items()}
_NAMES_OF_TYPES = {  # IPTC's names of them, which people enter by hand
    "createdusinggenerativeai": SOURCE_TYPES["trainedAlgorithmicMedia"],
    "editedusinggenerativeai": SOURCE_TYPES["compositeWithTrainedAlgorithmicMedia"],
    "originalmediawithgenerativeai": SOURCE_TYPES["compositeWithTrainedAlgorithmicMedia"],
    "compositewithtrainedalgorithmic": SOURCE_TYPES["compositeWithTrainedAlgorithmicMedia"],
}
_TYPE_ADDRESS = re.compile(r"(?:digitalsourcetype/|digsrctype:|schema\.org/(?=\w+DigitalSource\b))(\w+)", re.IGNORECASE)

_NAMES_SOFTWARE = frozenset(
    (
        *("software", "creatortool", "softwareagent", "credit", "source", "processingsoftware", "originatingprogram"),
        *("imageeditingsoftware", "rawdevelopingsoftware", "imageeditor", "program", "hostcomputer", "generator"),
        *("make", "model", "claimgenerator", "tool", "modelname", "provider", "engine", "aisystem"),
    )
)
"""Fields that name what made a file. Titles and comments say what is to be seen, which may be a generator's name."""

_NAMES_PERSON = frozenset({"artist", "author", "creator", "byline"})

_AI_FIELDS = frozenset(
    {"aisystemused", "aisystemversionused", "aipromptinformation", "aipromptwritername", "aigeneratedcontent"}
)
"""IPTC Photo Metadata 2025.1: filled only for pictures made or edited with AI."""

_SETTING_FIELDS = frozenset({"invokeaimetadata", "sdmetadata", "invokeaigraph", "fooocusscheme", "dream"})

_MAKER = re.compile(
    r"(?<!not )\b(midjourney|niji ?journey|dall[-·•∙ ]?e\b|chatgpt|gpt-4o|gpt-image|sora|openai|stable ?diffusion\w*"
    r"|sdxl|stability ?ai|stable ?image|stablestudio|dreamstudio|novelai|comfyui|invokeai|automatic1111|fooocus"
    r"|swarmui|draw things|diffusionbee|mochi diffusion|easy diffusion|adobe[ _]firefly|firefly image|google imagen"
    r"|imagen[- ]?[1-9]|gemini[- ]?\d[\w.-]*|google gemini|nano[- ]banana|(?:made|edited|created) with google ai"
    r"|google generative ai|imagined with ai|meta ai|ideogram|leonardo\.?ai|black forest labs|flux[.-]?(?:1|2|dev|pro"
    r"|schnell|kontext)|playground ?ai|bing image creator|image creator from|microsoft designer|microsoft copilot"
    r"|microsoft_responsible_ai|craiyon|nightcafe|starryai|wombo|dream by wombo|runwayml|runway gen|recraft|krea"
    r"|magic media|grok|xai|kling|jimeng|dreamina|doubao|seedream|tongyi|wanx|hunyuan|ernie|cogview|kolors"
    r"|image playground|generative (?:fill|expand|remove|ai)|ai[- ]generated|generated (?:by|with|using) ai"
    r"|text[- ]to[- ]image|txt2img|img2img)(?!\w)|即梦|豆包|通义|文心|混元|可灵",
    re.IGNORECASE,
)
"""Names that generators write into files."""

_KEYWORD_FIELDS = frozenset({"keywords", "subject", "xpkeywords", "hierarchicalsubject", "supplementalcategories"})
_KEYWORD = re.compile(
    r"(?:^|[;,|])\s*((?:made|created|generated) (?:with|by|using) (?:generative )?ai"
    r"|ai[- _]?generated(?: content| image)?|generated[- _]ai|generative[- _]ai|genai|aigc)\s*(?:$|[;,|])",
    re.IGNORECASE,
)
"""Keywords that state AI origin as a whole, as picture agencies ask for; `AI` alone may be a subject."""

_JOB = re.compile(r"\bJob ID: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_REMOTE = re.compile(r"https?://\S+", re.IGNORECASE)

MOST = 50
"""Claims of one kind that are kept of a file: more are a flood."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of a file about its origin.

    Attributes:
        source: What holds it: PNG text, EXIF, XMP, C2PA, C2PA of an earlier version, and the like.
        field: Its name there.
        value: Value, as written, cut after 200 characters.
        says: In plain words, or None where the value is only shown.
        ai: True where it states that AI made or edited the picture or a part of it, False where it states another
            origin, None where it is not understood.
    """

    source: str
    field: str
    value: str
    says: str | None
    ai: bool | None = None


def distinct(claims: Iterable[Claim]) -> list[Claim]:
    """Return the first `MOST` different claims; of a flood of them, those that are understood."""
    found = list(dict.fromkeys(claims))
    return found if len(found) <= MOST else sorted(found, key=lambda claim: not claim.says)[:MOST]


def claim(source: str, field: str, value: str) -> Claim:
    """Return a claim, understood as far as its field and value are known to mean something."""
    says, ai = meaning(field, value) or (None, None)
    return Claim(source, field, " ".join(value[:2000].split())[:200], says, ai)


def plain(name: str) -> str:
    """Return the last part of a field's name, without prefix and signs, in lower case."""
    return re.sub(r"\W|_", "", re.split(r"[:/#.]", name)[-1]).casefold()


def states_source_type(field: str) -> bool:
    """Return whether a field is made to state a Digital Source Type."""
    return plain(field) in ("digitalsourcetype", "digitalsourcefiletype")


def meaning(field: str, value: str) -> Meaning | None:
    """Return what a field of metadata states of the picture's origin, in plain words, and whether that is AI."""
    name, value = plain(field), value.strip()
    if states_source_type(field):
        term = re.sub(r"\W|_", "", re.split(r"[/:#]", value.rstrip("/#"))[-1]).casefold()
        known = _TERMS.get(term) or _TERMS.get(term.removesuffix("digitalsource")) or _NAMES_OF_TYPES.get(term)
        if known:
            return known
    if named := [known for term in _TYPE_ADDRESS.findall(value) if (known := _term(term))]:
        return max(named, key=lambda known: known[1] is True)
    if name in _AI_FIELDS and value:
        return "AI-generated or edited with AI (IPTC)", True
    if name in _SETTING_FIELDS:
        return "AI-generated (settings of an image generator)", True
    if found := meaning_of_settings(name, value):
        return found
    if _JOB.search(value):
        return "AI-generated (a job number of Midjourney)", True
    maker = _MAKER.search(value[:10_000]) if name in _NAMES_SOFTWARE else None
    if maker is None and name in _NAMES_PERSON:
        maker = _MAKER.fullmatch(value)
    if maker:
        return f"AI-generated or edited with AI (names {maker[0].lower()})", True
    if name in _KEYWORD_FIELDS and (keyword := _KEYWORD.search(value[:10_000])):
        return f"AI-generated or edited with AI (keyword {keyword[1].lower()})", True
    if name == "provenance" and _REMOTE.fullmatch(value):
        return "content credentials (C2PA) are kept elsewhere; asli does not fetch them", None
    return None


def _term(text: str) -> Meaning | None:
    term = text.casefold()
    return _TERMS.get(term) or _TERMS.get(term.removesuffix("digitalsource"))
