"""Which folders and files are searched for images: one rule for data folders, audits and scans.

Hidden files and the folders of systems, cameras and programs hold copies, previews and deleted pictures. They are left
out, counted, and shown; `--include-hidden` takes them in.
"""

import re
from collections import Counter

SYSTEM_FOLDERS = frozenset(
    {
        *("$recycle.bin", "recycler", "recycled", "system volume information", "lost+found", "found.000"),  # systems
        *("@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot", "@__thumb"),  # network storage
        *("__macosx", "network trash folder", "temporary items", "resource.frk"),  # macOS
        *("thumbnail", "thumbnails", "thumbs", "_thumbs", "_thumbnails", "_vti_cnf"),  # previews
        *("__pycache__", "node_modules", "cvs"),  # programs
    }
)
"""Names of folders, in lower case, that hold no pictures of the user's own."""

_PREVIEWS = re.compile(r".*\.(lrdata|cocatalogdb|cot)")
"""Folders of Lightroom and Capture One with previews."""

HIDDEN_FILES = "hidden files"
INCLUDE_HIDDEN = "--include-hidden takes them in"


def is_system_folder(name: str) -> bool:
    """Return whether a folder is hidden or holds copies that a system or program made."""
    lower = name.lower()
    return lower.startswith(".") or lower in SYSTEM_FOLDERS or _PREVIEWS.fullmatch(lower) is not None


def is_hidden_file(name: str) -> bool:
    """Return whether a file is hidden, such as `._a.jpg`, which macOS writes beside a picture on foreign disks."""
    return name.startswith(".")


def left_out(name: str) -> str | None:
    """Return what a relative, `/`-separated name is left out for: the outermost such folder, hidden files, or None."""
    *folders, base = name.split("/")
    return next(
        (f"{folder}/" for folder in folders if is_system_folder(folder)), HIDDEN_FILES if is_hidden_file(base) else None
    )


def describe(hidden: Counter[str]) -> str:
    """Return in words what was left out, by folder name; empty where nothing was."""
    if not hidden:
        return ""
    named = [f"{name} {count:,}" for name, count in hidden.most_common(5)]
    more = f", {len(hidden) - 5} more" if len(hidden) > 5 else ""
    return f"{hidden.total():,} hidden or system files not searched ({', '.join(named)}{more}); {INCLUDE_HIDDEN}"
