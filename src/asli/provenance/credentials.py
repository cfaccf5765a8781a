"""Content credentials (C2PA): signed statements, checked by the standard's own library (extra `provenance`)."""

import io
from typing import Any

from asli.provenance.claims import Claim, claim

_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
"""Checking a picture must not tell anyone that it is being checked."""


def credentials(data: bytes) -> dict[str, Any] | None:
    """Check the content credentials inside a file.

    Args:
        data: The file's bytes.

    Returns:
        None without any; else `state`: `valid` (the file is as it was signed), `trusted` (and the signer is on a trust
        list, of which none is built in), `invalid` (changed since, or badly made) or `unchecked` (the extra is not
        installed, or the library refuses the file), with `why` for the last two; `signer`, `made_with` and `claims`.
    """
    if b"jumb" not in data or b"c2pa" not in data:
        return None
    try:
        import c2pa
    except ImportError:
        return _unchecked("install the extra provenance (pip install 'asli[provenance]')")
    except Exception as error:  # its native part raises other errors where it does not fit the machine
        return _unchecked(_line(error))
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(_OFFLINE))
        reader = c2pa.Reader.try_create(io.BytesIO(data), context=context)
        if reader is None:
            return None
        with reader:
            manifest = reader.get_active_manifest() or {}
            results = reader.get_validation_results() or {}
            return _checked(manifest, results, str(reader.get_validation_state()).lower())
    except Exception as error:  # a manifest is foreign JSON: any part of it may be of another shape
        return _unchecked(_line(error))


def _checked(manifest: dict[str, Any], results: dict[str, Any], state: str) -> dict[str, Any]:
    failures = {failure["code"] for failure in results.get("activeManifest", {}).get("failure", [])}
    made_with = [" ".join(filter(None, (maker.get("name"), maker.get("version")))) for maker in _makers(manifest)]
    return {
        "state": state,
        "why": ", ".join(sorted(failures - {"signingCredential.untrusted"})) or None,
        "signer": (manifest.get("signature_info") or {}).get("issuer"),
        "made_with": list(dict.fromkeys(filter(None, made_with))),
        "claims": _claims(manifest),
    }


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _unchecked(why: str) -> dict[str, Any]:
    return {"state": "unchecked", "why": why, "signer": None, "made_with": [], "claims": []}


def _actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found = [a.get("data", {}) for a in manifest.get("assertions", []) if a.get("label", "").startswith("c2pa.actions")]
    return [action for data in found for action in data.get("actions", [])]


def _makers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    agents = [action.get("softwareAgent") for action in _actions(manifest)]
    named = [{"name": agent} if isinstance(agent, str) else agent for agent in agents if agent]
    return [*(manifest.get("claim_generator_info") or []), *named]


def _claims(manifest: dict[str, Any]) -> list[Claim]:
    return [
        claim("C2PA", f"{action.get('action')}/DigitalSourceType", kind)
        for action in _actions(manifest)
        if (kind := action.get("digitalSourceType"))
    ]
