"""The pictures of a form, as clients of all kinds send them, and what to do where there is none, in their terms."""

import hashlib
from dataclasses import dataclass
from typing import Any, BinaryIO

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from asli.datasets.images import is_image

FIELD = "images"


@dataclass(slots=True)
class Upload:
    """A picture of a form.

    Attributes:
        name: Name of its file.
        size: Size of its file, in bytes.
        content: The file.
        sha256: SHA-256 of its bytes; empty before `read`, which runs in a thread, where a large file holds nobody up.
    """

    name: str
    size: int
    content: BinaryIO | bytes
    sha256: str = ""

    def read(self) -> bytes:
        """Return the file's bytes."""
        data = self.content
        if not isinstance(data, bytes):
            data.seek(0)
            data = data.read()
        self.sha256 = hashlib.sha256(data).hexdigest()
        return data


def form_body(*, one: bool = False) -> dict[str, Any]:
    """Return the body of a request, in OpenAPI's terms.

    Args:
        one: Whether it holds one picture, not several.
    """
    file: dict[str, Any] = {"type": "string", "format": "binary"}
    several = {"type": "array", "items": file, "minItems": 1, "description": "Image files"}
    field = {**file, "description": "An image file"} if one else several
    schema = {"type": "object", "required": [FIELD], "properties": {FIELD: field}}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


_EXAMPLE = f"for example with: curl -F {FIELD}=@photo.jpg"


def pictures_of(form: FormData, kind: str) -> list[Upload]:
    """Return the pictures in a form.

    Args:
        form: What came.
        kind: The request's content type.

    Raises:
        HTTPException: There is none (422). The message names what came instead and what to send.
    """
    if not kind.startswith("multipart/form-data"):
        what = (
            f"the request's content type is {kind.partition(';')[0]!r}" if kind else "the request has no content type"
        )
        raise HTTPException(422, f"{what}; send pictures as a form (multipart/form-data), {_EXAMPLE}")
    found = [_picture(value) for value in form.getlist(FIELD)]
    if not found:
        others = ", ".join(repr(name) for name in list(dict.fromkeys(form))[:5])
        what = f"the form has no field {FIELD!r}, only {others}" if others else "the form is empty"
        raise HTTPException(422, f"{what}; send pictures in the field {FIELD!r}, {_EXAMPLE}")
    return found


def _picture(value: UploadFile | str) -> Upload:
    if isinstance(value, UploadFile):
        if not value.filename and not value.size:
            raise HTTPException(422, "no file was chosen: one came without name and content")
        name = (value.filename or "picture").encode(errors="backslashreplace").decode()
        return Upload(name, value.size or 0, value.file)
    # A part without a file name counts as text; of bytes that are not UTF-8 Starlette makes Latin-1.
    content = value.encode("latin-1", errors="replace")
    if is_image("", content[:32]):
        return Upload("picture", len(content), content)
    shown = repr(value[:60])
    raise HTTPException(422, f"the field {FIELD!r} holds the text {shown}, no file; send the file itself, {_EXAMPLE}")
