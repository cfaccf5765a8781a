"""The pictures of a form, as clients of all kinds send them, and what to do where there is none, in their terms."""

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from asli.datasets.images import is_image

FIELD = "images"

FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "description": "Image files",
                    }
                },
            }
        }
    },
}
"""The body of a request, in OpenAPI's terms."""

_EXAMPLE = f"for example with: curl -F {FIELD}=@photo.jpg"


def pictures_of(form: FormData, kind: str) -> list[tuple[str, Callable[[], bytes]]]:
    """Return name and reader of each picture in a form.

    Args:
        form: What came.
        kind: The request's content type.

    Raises:
        HTTPException: There is none (422); the message says what came instead, and what to send.
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


def _picture(value: UploadFile | str) -> tuple[str, Callable[[], bytes]]:
    if isinstance(value, UploadFile):
        if not value.filename and not value.size:
            raise HTTPException(422, "no file was chosen: one came without name and content")
        return (value.filename or "picture").encode(errors="backslashreplace").decode(), value.file.read
    # A part without a file name counts as text; of bytes that are not UTF-8 Starlette makes Latin-1.
    content = value.encode("latin-1", errors="replace")
    if is_image("", content[:32]):
        return "picture", partial(bytes, content)
    shown = repr(value[:60])
    raise HTTPException(422, f"the field {FIELD!r} holds the text {shown}, no file; send the file itself, {_EXAMPLE}")
