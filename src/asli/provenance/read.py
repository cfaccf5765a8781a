"""All statements of a file about its origin, as `predict` returns them."""

from collections.abc import Sequence
from dataclasses import dataclass

from asli.provenance.claims import Claim, states_source_type
from asli.provenance.credentials import Credentials, credentials
from asli.provenance.metadata import Unread, metadata_claims
from asli.records import Json, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance(Record):
    """All statements of a file about its origin. A file without statements proves nothing.

    Attributes:
        says: The understood statements and how far each is proven, those of AI origin first.
        claims: Claims in the metadata.
        unread: Metadata that could not be read, and why.
        not_understood: Number of claims and unread parts without a known meaning.
        credentials: Content credentials (`asli.provenance.credentials`); None without any.
    """

    says: tuple[str, ...]
    claims: tuple[Claim, ...]
    unread: tuple[Unread, ...]
    not_understood: int
    credentials: Credentials | None


def provenance(data: bytes) -> Provenance | None:
    """Read the statements of a file about its origin, which do not affect scores.

    A file without statements proves nothing.

    Args:
        data: The file's bytes.

    Returns:
        The statements; None if the file has none.
    """
    (claims, unread), signed = metadata_claims(data), credentials(data)
    if not claims and not unread and signed is None:
        return None
    stated = [*claims, *(signed.claims if signed else ())]
    return Provenance(
        says=tuple(_statements(claims, unread, signed)),
        claims=tuple(claims),
        unread=tuple(unread),
        not_understood=sum(claim.says is None for claim in stated) + len(unread),
        credentials=signed,
    )


def names_a_source(found: Json) -> bool:
    """Return whether the JSON of a `Provenance`, as tables hold it, has a claim that is understood."""
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
