"""Pages that asli writes for people: known again, so that nothing else is written over."""

from pathlib import Path

from asli.errors import AsliError
from asli.files import printable

MARK = '<meta name="generator" content="asli">'
"""In the head of every page."""


def require_page(path: Path, option: str = "--html") -> None:
    """Refuse to write a page where something else is.

    Args:
        path: Path of the page.
        option: By which another is given.

    Raises:
        AsliError: Something is there that is no page of asli, or the name is not UTF-8.
    """
    if printable(path) != str(path):
        raise AsliError(f"{printable(path)} is a name that is not UTF-8; give another {option}")
    if not path.exists():
        return
    if path.is_file():
        with path.open("rb") as page:
            if MARK.encode() in page.read(1000):
                return
    raise AsliError(f"{path} is there already and is no page of asli; give another {option}")
