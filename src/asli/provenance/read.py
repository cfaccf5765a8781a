"""All statements of a file about its origin, as `predict` returns them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from asli.provenance.claims import Claim, states_source_type
from asli.provenance.credentials import Credentials, credentials
from asli.provenance.metadata import Unread, metadata_claims


def provenance(data: bytes) -> dict[str, Any] | None:
    """Read the statements of a file about its origin, which do not affect scores.

    A file without statements proves nothing.

    Args:
        data: The file's bytes.

    Returns:
        Plain JSON. `says` lists the understood statements and how far each is proven, those of AI origin first.
        `claims` are those of the metadata. `credentials` are content credentials (see `asli.provenance.credentials`).
        `unread` lists metadata that could not be read, and why. `not_understood` is the number of claims and unread
        parts without a known meaning. None if the file has none of these.
    """
    (claims, unread), signed = metadata_claims(data), credentials(data)
    if not claims and not unread and signed is None:
        return None
    stated = [*claims, *(signed.claims if signed else ())]
    return {
        "says": _statements(claims, unread, signed),
        "claims": [dataclasses.asdict(claim) for claim in claims],
        "unread": [dataclasses.asdict(part) for part in unread],
        "not_understood": sum(claim.says is None for claim in stated) + len(unread),
        "credentials": None if signed is None else dataclasses.asdict(signed),
    }


def names_a_source(found: dict[str, Any]) -> bool:
    """Return whether a `provenance` holds a claim that is understood."""
    signed = found["credentials"]
    return any(claim["says"] for claim in [*found["claims"], *(signed["claims"] if signed else ())])


def _statements(claims: Sequence[Claim], unread: Sequence[Unread], signed: Credentials | None) -> list[str]:
    said = [
        (claim.ai, f"{_words(claim)}; {claim.source} {claim.field}, not signed") for claim in claims if _tells(claim)
    ]
    if signed is not None:
        proof = _proof(signed)
        signed_claims = [(claim.ai, f"{_words(claim)}; {claim.source}, {proof}") for claim in signed.claims]
        said += signed_claims or [
            (None, f"content credentials (C2PA) {proof}; asli finds no statement of origin there")
        ]
    said += [(None, f"{part.source} that could not be read: {part.why}") for part in unread]
    return list(dict.fromkeys(line for ai, line in sorted(said, key=lambda pair: pair[0] is not True)))


def _tells(claim: Claim) -> bool:
    return claim.says is not None or states_source_type(claim.field) or claim.field.upper() == "AIGC"


def _words(claim: Claim) -> str:
    return claim.says or f"{claim.field.rpartition('/')[2]} '{claim.value}', which asli does not know"


def _proof(signed: Credentials) -> str:
    signer = signed.signer or "nobody named"
    return {
        "valid": f"unchanged since signing by someone named {signer}, whose identity was not checked",
        "trusted": f"unchanged since signing by {signer}, who is on a trust list",
        "unchecked": f"that were not checked: {signed.why}",
    }.get(signed.state, f"that do not fit the file: {signed.why or signed.state}")
