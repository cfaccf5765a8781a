"""All that a file says of its origin, as `predict` gives it."""

import dataclasses
from typing import Any

from PIL import Image

from asli.provenance.credentials import credentials
from asli.provenance.metadata import metadata_claims


def provenance(data: bytes, image: Image.Image) -> dict[str, Any] | None:
    """Read what a file says of its origin. It bears on no score and no verdict; saying nothing proves nothing.

    Args:
        data: The file's bytes.
        image: The same, loaded (see `asli.data.images.load`).

    Returns:
        `claims` of its metadata and `credentials` (see `asli.provenance.credentials`), as plain JSON; None where it has
        neither.
    """
    claims, signed = [dataclasses.asdict(found) for found in metadata_claims(image)], credentials(data)
    if signed is not None:
        signed = {**signed, "claims": [dataclasses.asdict(found) for found in signed["claims"]]}
    return {"claims": claims, "credentials": signed} if claims or signed else None


def statements(found: dict[str, Any]) -> list[str]:
    """Return what the parts of a `provenance` say that are understood, each with how far it is proven.

    Args:
        found: From `provenance`.
    """
    unsigned = [f"{claim['says']}; {claim['source']}, not signed" for claim in found["claims"] if claim["says"]]
    signed = found["credentials"]
    if signed is None:
        return list(dict.fromkeys(unsigned))
    if signed["state"] == "unchecked":
        return list(dict.fromkeys([*unsigned, "content credentials, not checked"]))
    says = [claim["says"] for claim in signed["claims"] if claim["says"]] or ["no source"]
    return list(dict.fromkeys([*unsigned, *(f"{said}; content credentials, {signed['state']}" for said in says)]))
