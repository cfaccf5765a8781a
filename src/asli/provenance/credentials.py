"""Content credentials (C2PA): signed statements, checked by the standard's own library (extra `provenance`)."""

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from asli.provenance.claims import Claim, claim, distinct

State = Literal["valid", "trusted", "invalid", "unchecked"]

_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
"""Checking a picture must not tell anyone that it is being checked."""

_MOST_VERSIONS = 20
"""Versions of a picture that are followed back."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What content credentials say, and how far that is proven.

    Attributes:
        state: `valid`: the file is as it was signed, by whomever; `trusted`: and the signer is on a trust list, which
            is not built in; `invalid`: changed since, or badly made; `unchecked`: the extra is not installed, or the
            library cannot read them.
        why: Of the last two.
        signer: Whom the certificate names.
        made_with: Software that the statements name.
        claims: Of sources, by this version of the picture and by those it was made from, as they were taken over.
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
    except c2pa.C2paError.NotSupported:  # a kind of file that holds none
        return None
    except Exception as error:  # a manifest is foreign JSON: any part of it may be of another shape
        return Credentials("unchecked", _line(error))


def _checked(store: dict[str, Any], results: dict[str, Any], state: State) -> Credentials:
    failures = {failure["code"] for failure in results.get("activeManifest", {}).get("failure", [])}
    own, *earlier = _versions(store)
    claims = [
        *_claims(own, "C2PA"),
        *(found for version in earlier for found in _claims(version, "C2PA, earlier version")),
    ]
    return Credentials(
        state,
        ", ".join(sorted(failures - {"signingCredential.untrusted"})) or None,
        (own.get("signature_info") or {}).get("issuer"),
        list(dict.fromkeys(_makers(own))),
        distinct(claims),
    )


def _versions(store: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the manifest of the picture as it is, then of what it was made from, as far back as the file says."""
    seen: set[str] = set()
    manifests, label = store["manifests"], store["active_manifest"]
    while label in manifests and label not in seen and len(seen) < _MOST_VERSIONS:
        seen.add(label)
        yield manifests[label]
        parents = [i for i in manifests[label].get("ingredients") or () if i.get("relationship") == "parentOf"]
        label = parents[0].get("active_manifest") if parents else None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found = [a.get("data", {}) for a in manifest.get("assertions", []) if a.get("label", "").startswith("c2pa.actions")]
    return [action for data in found for action in data.get("actions", [])]


def _makers(manifest: dict[str, Any]) -> Iterator[str]:
    agents = [action.get("softwareAgent") for action in _actions(manifest)]
    named = [{"name": agent} if isinstance(agent, str) else agent for agent in agents if agent]
    for maker in (*(manifest.get("claim_generator_info") or ()), *named):
        if name := " ".join(filter(None, (maker.get("name"), maker.get("version")))):
            yield name


def _claims(manifest: dict[str, Any], source: str) -> Iterable[Claim]:
    return (
        claim(source, f"{action.get('action')}/DigitalSourceType", kind)
        for action in _actions(manifest)
        if (kind := action.get("digitalSourceType"))
    )
