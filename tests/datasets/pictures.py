"""Small real image files made in a test, and archives of them."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int = 0, kind: str = "JPEG", size: tuple[int, int] = (24, 16)) -> bytes:
    """Return an image file of random colors, different for each seed."""
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(stream, kind)
    return stream.getvalue()


def put(path: Path, content: bytes | str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def tree(root: Path, *names: str, kind: str = "JPEG") -> Path:
    """Write a different picture under each name."""
    for seed, name in enumerate(names):
        put(root / name, picture(seed, kind))
    return root


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """Write a zip archive; names stay as they are, backslashes too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            archive.writestr(entry, content)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    """Write a tar archive; `mode` as `tarfile.open` takes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def encrypted(path: Path) -> Path:
    """Set the flag `encrypted` of every entry of a zip archive."""
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 4)
    path.write_bytes(content)
    return path


PAIR = {"real/a.jpg": picture(1), "fake/b.jpg": picture(2)}


def labels(found):
    return {entry.id: entry.label for entry in found.listing.entries}
