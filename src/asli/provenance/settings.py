"""Settings and labels that image generators leave as text, recognized by their form, in whatever field they lie."""

import json
import re
from collections.abc import Iterator
from typing import Any

_PROMPTS = frozenset(
    {"prompt", "positiveprompt", "negativeprompt", "fullprompt", "uc", "promptstrength", "basecaption", "c"}
)
_SAMPLING = frozenset(
    (
        *("steps", "sampler", "samplername", "samplingmethod", "scheduler", "cfgscale", "cfg", "guidancescale"),
        *("guidance", "numinferencesteps", "denoisingstrength", "clipskip", "ksampler", "noiseschedule"),
    )
)
_MODELS = frozenset(
    ("model", "modelhash", "modelname", "basemodel", "seed", "loras", "usestablediffusionmodel", "scale", "vae")
)
_DECISIVE = {
    "suiimageparams": "SwarmUI",
    "invokeaimetadata": "InvokeAI",
    "sdmetadata": "InvokeAI",
    "fooocusscheme": "Fooocus",
    "usestablediffusionmodel": "Easy Diffusion",
}
_PREFIX = re.compile(r"^[\w .-]{0,40}[:=]\s*(?=[{\[])")
_LINE = re.compile(r"\bSteps: \d")
_OTHERS = re.compile(r"\b(?:Sampler|CFG scale|Guidance Scale|Seed|Model hash|Scheduler): ?\S", re.IGNORECASE)
_LABEL = re.compile(r"""["']?\bLabel["']?\s*[:=]\s*["']?([123])\b""", re.IGNORECASE)
_LABELED = re.compile(r"\bAIGC\b|\bContentProducer\b", re.IGNORECASE)
_LABELS = {
    "1": "AI-generated (label after China's GB 45438)",
    "2": "possibly AI-generated (label after China's GB 45438)",
    "3": "suspected to be AI-generated (label after China's GB 45438)",
}
_NODE = re.compile(r"""["']class_type\\?["']\s*:\s*\\?["']\w""")
_DEPTH, _NODES = 6, 20_000


def meaning_of_settings(field: str, text: str) -> tuple[str, bool] | None:
    """Return what a text says of the picture's origin by its form; None for any other text.

    Args:
        field: Name of its field, in lower case.
        text: Its value.
    """
    if _LINE.search(text) and _OTHERS.search(text):
        return "AI-generated (settings of a Stable Diffusion interface)", True
    if field.startswith("aigc") or _LABELED.search(text):
        label = _LABEL.search(text) or (re.match(r"\s*([123])\s*$", text) if field == "aigc" else None)
        if label:
            return _LABELS[label[1]], True
    for found in _objects(text):
        if said := _of_object(found):
            return said, True
    if _NODE.search(text):  # of a workflow that was cut off, as fields of limited length do
        return "AI-generated (a ComfyUI workflow)", True
    return None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON text, from the outside in, texts that are JSON themselves included."""
    waiting: list[tuple[Any, int]] = [(text, 0)]
    for _ in range(_NODES):
        if not waiting:
            return
        value, depth = waiting.pop(0)
        if isinstance(value, str):
            value = _parsed(value)
        if isinstance(value, dict):
            yield value
        if depth < _DEPTH and isinstance(value, (dict, list)):
            inner = value.values() if isinstance(value, dict) else value
            waiting.extend((v, depth + 1) for v in list(inner)[:1000] if isinstance(v, (dict, list, str)))


def _parsed(text: str) -> Any:
    text = _PREFIX.sub("", text.strip(), count=1)
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _of_object(found: dict[str, Any]) -> str | None:
    if "class_type" in found or ("nodes" in found and isinstance(found["nodes"], list)):
        return "AI-generated (a ComfyUI workflow)"
    keys = {re.sub(r"\W|_", "", str(key)).casefold() for key in list(found)[:500]}
    for key, name in _DECISIVE.items():
        if key in keys:
            return f"AI-generated (settings of {name})"
    if "appversion" in keys and "generationmode" in keys:
        return "AI-generated (settings of InvokeAI)"
    sampling = keys & _SAMPLING
    if sampling and (keys & _PROMPTS or len(keys & _MODELS) > 1) and len(sampling) + len(keys & _MODELS) > 1:
        return "AI-generated (settings of an image generator)"
    return None
