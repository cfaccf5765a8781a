"""Content credentials (C2PA): signed statements, checked by the standard's own library (extra `provenance`)."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from asli.provenance.claims import Claim, claim, distinct, plain, states_source_type

State = Literal["valid", "trusted", "invalid", "unchecked"]

_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
"""Checking a picture must not tell anyone that it is being checked."""

_MOST_MANIFESTS, _MOST_VALUES = 100, 20_000
"""Manifests of a file, and values of an assertion, that are looked at."""

_EARLIER, _PART, _OTHER = "C2PA, earlier version", "C2PA, an ingredient", "C2PA, another manifest in the file"

_AGENTS = frozenset({"softwareagent", "softwareagents", "claimgenerator", "claimgeneratorinfo"})
_NOT_ORIGIN = frozenset({"title", "thumbnail", "validationstatus", "validationresults", "instanceid", "documentid"})
_GENERATOR_INPUT = ("c2pa.types.generator", "c2pa.types.prompt")
_AI_ASSERTION = re.compile(r"generative[-_]?ai\b|\bai[-_]?(?:disclosure|generated|generation)\b", re.IGNORECASE)
"""Labels of assertions that exist for pictures made with AI only."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Content of content credentials, and how far it is proven.

    Attributes:
        state: `valid` means unmodified since signing; the signer is not verified. `trusted` means that the signer is
            also on a trust list; none is built in. `invalid` means modified since signing, or malformed. `unchecked`
            means that the extra is not installed or the library cannot read them.
        why: Reason, if it is `invalid` or `unchecked`.
        signer: Name in the certificate.
        made_with: Software that the statements name.
        claims: Claims of origin, by this version of the picture, by earlier ones and by what else it was made from.
    """

    state: State
    why: str | None = None
    signer: str | None = None
    made_with: list[str] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)


def credentials(data: bytes) -> Credentials | None:
    """Check the content credentials inside a file.

    Args:
        data: The file's bytes.

    Returns:
        None without any.
    """
    if b"jumb" not in data or b"c2pa" not in data:
        return None
    try:
        import c2pa
    except ImportError:
        return Credentials("unchecked", "install the extra provenance (pip install 'asli[provenance]')")
    except Exception as error:  # its native part raises other errors where it does not fit the machine
        return Credentials("unchecked", _line(error))
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(_OFFLINE))
        reader = c2pa.Reader.try_create(io.BytesIO(data), context=context)
        if reader is None:
            return None
        with reader:
            state: Any = str(reader.get_validation_state()).lower()
            return _checked(json.loads(reader.json()), reader.get_validation_results() or {}, state)
    except c2pa.C2paError.NotSupported:
        return Credentials("unchecked", "the library reads none in files of this kind")
    except Exception as error:  # a manifest is foreign JSON: any part of it may be of another shape
        return Credentials("unchecked", _line(error))


def _checked(store: dict[str, Any], results: dict[str, Any], state: State) -> Credentials:
    failures = {failure["code"] for failure in results.get("activeManifest", {}).get("failure", [])}
    manifests = list(_manifests(store))
    own = manifests[0][0]
    return Credentials(
        state,
        ", ".join(sorted(failures - {"signingCredential.untrusted"})) or None,
        (own.get("signature_info") or {}).get("issuer"),
        list(dict.fromkeys(_makers(own))),
        distinct(found for manifest, source in manifests for found in _claims(manifest, source)),
    )


def _manifests(store: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every manifest of a file once, and what it describes: the picture, what it was made from, or neither."""
    manifests, active = store["manifests"], store["active_manifest"]
    seen, waiting = {active}, [(active, "C2PA")]
    while waiting:
        label, source = waiting.pop(0)
        yield manifests[label], source
        for ingredient in manifests[label].get("ingredients") or ():
            inner = ingredient.get("active_manifest")
            if inner in manifests and inner not in seen and len(seen) < _MOST_MANIFESTS:
                seen.add(inner)
                parent = ingredient.get("relationship") == "parentOf" and source in ("C2PA", _EARLIER)
                waiting.append((inner, _EARLIER if parent else _PART))
    for label in list(manifests)[:_MOST_MANIFESTS]:
        if label not in seen:
            yield manifests[label], _OTHER


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _makers(manifest: dict[str, Any]) -> Iterator[str]:
    actions = [
        a.get("data", {}) for a in manifest.get("assertions", []) if a.get("label", "").startswith("c2pa.actions")
    ]
    agents = [action.get("softwareAgent") for data in actions for action in data.get("actions", [])]
    agents += [agent for data in actions for agent in data.get("softwareAgents") or ()]
    named = [{"name": agent} if isinstance(agent, str) else agent for agent in agents if agent]
    for maker in (*(manifest.get("claim_generator_info") or ()), *named):
        if name := " ".join(filter(None, (maker.get("name"), maker.get("version")))):
            yield name


def _claims(manifest: dict[str, Any], source: str) -> Iterator[Claim]:
    """Find every statement of origin in a manifest, wherever it stands.

    The standard has several places, makers add their own, and all may be repeated: in actions, their parameters and
    templates, in software agents, metadata assertions, ingredients and data types. So every value is looked at.
    """
    parts = [(a.get("label", "assertion"), a.get("data")) for a in manifest.get("assertions") or ()]
    parts += [(f"ingredient {i.get('relationship', '')}".strip(), i) for i in manifest.get("ingredients") or ()]
    parts += [(key, manifest.get(key)) for key in ("claim_generator", "claim_generator_info")]
    for label, data in parts:
        if "training-mining" in label:  # whether others may train on the picture, not what made it
            continue
        if _AI_ASSERTION.search(label):
            yield Claim(source, label, " ".join(json.dumps(data).split())[:200], "AI-generated or edited with AI", True)
        for context, path, text in _texts(data, label):
            if found := _statement(source, context, path, text):
                yield found


def _statement(source: str, context: str, path: tuple[str, ...], text: str) -> Claim | None:
    keys = [plain(key) for key in path]
    key = keys[-1] if keys else plain(context)
    if any(name in _NOT_ORIGIN for name in keys):
        return None
    if states_source_type(key):
        return claim(source, f"{context}/DigitalSourceType", text)
    if text.startswith(_GENERATOR_INPUT):
        return Claim(source, f"{context}/type", text[:200], "AI-generated or edited with AI (made from a prompt)", True)
    agent = any(name in _AGENTS for name in [plain(context), *keys])
    if agent and key in (*_AGENTS, "name", "version", "description", "operatingsystem"):
        named = claim(source, "softwareAgent", text)
        return replace(named, field=f"{context}/softwareAgent") if named.says else None
    if key == "description" and keys[0] in ("actions", "templates"):  # what was done, by which feature
        named = claim(source, "softwareAgent", text)
        return replace(named, field=f"{context}/description") if named.says else None
    found = claim(source, "/".join((context, *path[-1:])), text)
    return found if found.says else None


def _texts(data: Any, label: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield every text in an assertion, the keys that lead to it, and the action or assertion it belongs to."""
    waiting: list[tuple[Any, str, tuple[str, ...]]] = [(data, label, ())]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return
        value, context, path = waiting.pop(0)
        if isinstance(value, str):
            yield context, path, value
        elif isinstance(value, dict):
            own = value.get("action")
            inside = own if isinstance(own, str) else context
            # JSON-LD writes a value as an object, too: its key is the one that counts.
            waiting += [(v, inside, path if k in ("@id", "@value") else (*path, k)) for k, v in value.items()]
        elif isinstance(value, list):
            waiting += [(v, context, path) for v in value]
