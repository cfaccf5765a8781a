"""All that a file says of its origin, as `predict` gives it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from PIL import Image

from asli.provenance.claims import Claim
from asli.provenance.credentials import Credentials, credentials
from asli.provenance.metadata import metadata_claims


def provenance(data: bytes, image: Image.Image) -> dict[str, Any] | None:
    """Read what a file says of its origin. It bears on no score and no verdict; saying nothing proves nothing.

    Args:
        data: The file's bytes.
        image: The same, loaded (see `asli.datasets.images.load`).

    Returns:
        As plain JSON, `says`: what is understood, a line each with how far it is proven; `claims` of its metadata;
        `credentials` (see `asli.provenance.credentials`). None where it has neither claims nor credentials.
    """
    claims, signed = metadata_claims(image), credentials(data)
    if not claims and signed is None:
        return None
    return {
        "says": _statements(claims, signed),
        "claims": [dataclasses.asdict(claim) for claim in claims],
        "credentials": None if signed is None else dataclasses.asdict(signed),
    }


def names_a_source(found: dict[str, Any]) -> bool:
    """Return whether a `provenance` holds a claim that is understood."""
    signed = found["credentials"]
    return any(claim["says"] for claim in [*found["claims"], *(signed["claims"] if signed else ())])


def _statements(claims: Sequence[Claim], signed: Credentials | None) -> list[str]:
    lines = [f"{claim.says}; {claim.source} {claim.field}, not signed" for claim in claims if claim.says]
    if signed is not None:
        proof = _proof(signed)
        said = [f"{claim.says or claim.value}; {claim.source}, {proof}" for claim in signed.claims]
        lines += said or [f"content credentials (C2PA) {proof}"]
    return list(dict.fromkeys(lines))


def _proof(signed: Credentials) -> str:
    signer = signed.signer or "nobody named"
    return {
        "valid": f"unchanged since signing by someone named {signer}, whose identity was not checked",
        "trusted": f"unchanged since signing by {signer}, who is on a trust list",
        "unchecked": f"that were not checked: {signed.why}",
    }.get(signed.state, f"that do not fit the file: {signed.why or signed.state}")
