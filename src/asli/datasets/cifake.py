"""CIFAKE (Bird & Lotfi 2023, arXiv 2303.14126): 60,000 CIFAR-10 photographs and 60,000 Stable Diffusion 1.4 images."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from asli.datasets.folder import DataFolder
from asli.datasets.layouts import Entry, Listing
from asli.datasets.layouts.trees import split_images
from asli.errors import DataError

CATEGORIES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
GENERATOR = "stable-diffusion-1.4"

DATA_HASH = "007d22ba1d3643ffcca26ac39ddcf5bd10f3d86fae7ea94f80d4d231da03c83f"
"""Content hash (`asli.datasets.manifest.content_hash`) of the complete, unaltered data set."""

PIXEL_HASHES = {
    "train": "3c4a6714d2461755a48cafdf26646b056186ebcc092ad29118faf62f0d9d8fae",
    "test": "0d11fe4a0d5e72734006585897b43506a005e5bd85a7dca31fac12b0fab3d158",
}
"""Hash (`pixel_hash`) of each part's labels and decoded pixels, in no order: the same under any file names."""

# CIFAKE itself has only train and test; the bundled sample has all four.
_BASE = re.compile(r"(?:.*/)?(\d+)(?: \((\d+)\))?\.jpg")
_NAME = re.compile(r"(?:.*/)?(train|validation|calibration|test)/(REAL|FAKE)/((\d+)(?: \((\d+)\))?\.jpg)")


def is_cifake(names: Iterable[str]) -> bool:
    """Tell whether all images are named as CIFAKE's are, in all ten categories of both labels."""
    images, _ = split_images(names)
    found = set()
    for name in images:
        match = _NAME.fullmatch(name)
        if not match:
            return False
        found.add((match[2], match[5]))
    return len(found) == 2 * len(CATEGORIES)


def cifake(names: Iterable[str], *, complete: bool = True) -> Listing:
    """Read `{train,test}/{REAL,FAKE}/NUMBER[ (K)].jpg`, where K from 2 to 10 is the category and no K is the first.

    Args:
        names: File names; folders above `train` and `test` are left out of the ids.
        complete: Name the files of the full data set that are missing.

    Raises:
        DataError: None of the names is of that form.
    """
    entries: dict[str, Entry] = {}
    extra = []
    for name in names:
        match = _NAME.fullmatch(name)
        number = int(match[5] or 1) if match else 0
        if not match or not 1 <= number <= len(CATEGORIES):
            extra.append(name)
            continue
        split, folder, base = match[1], match[2], match[3]
        identity = f"{split}/{folder}/{base}"
        if identity in entries:
            raise DataError(f"{identity} is there twice: as {entries[identity].name} and as {name}")
        fake = folder == "FAKE"
        entries[identity] = Entry(
            name,
            identity,
            "fake" if fake else "real",
            split,
            CATEGORIES[number - 1],
            GENERATOR if fake else None,
        )
    if not entries:
        raise DataError(
            "not CIFAKE: no file is named {train,test}/{REAL,FAKE}/NUMBER.jpg; for your own: asli data open"
        )
    missing = sorted(set(expected_names()) - entries.keys()) if complete else []
    said = Counter((entry.label, entry.label.upper()) for entry in entries.values())
    return Listing([entries[identity] for identity in sorted(entries)], extra, missing, said)


def expected_names() -> list[str]:
    """Return the 120,000 ids of the complete data set."""
    names = []
    # First number and digits in each folder, read off the original files.
    for folder, first, count, digits in (
        ("train/REAL", 0, 5000, 4),
        ("train/FAKE", 1000, 5000, 4),
        ("test/REAL", 0, 1000, 4),
        ("test/FAKE", 0, 1000, 1),
    ):
        for category in range(1, len(CATEGORIES) + 1):
            suffix = f" ({category})" if category > 1 else ""
            names += [f"{folder}/{number:0{digits}d}{suffix}.jpg" for number in range(first, first + count)]
    return names


def mirrored(listing: Listing, original_names: Iterable[tuple[str, str]]) -> Listing:
    """Add what is known of CIFAKE to the listing of a mirror: the generator, and the category out of file names.

    Args:
        listing: Says label and split.
        original_names: Name in the listing and file name in CIFAKE, of the images of which it is kept.
    """
    categories: dict[str, str] = {}
    for name, original in original_names:
        match = _BASE.fullmatch(original)
        number = int(match[2] or 1) if match else 0
        if 1 <= number <= len(CATEGORIES):
            categories[name] = CATEGORIES[number - 1]
    entries = [
        replace(e, category=categories.get(e.name, e.category), generator=GENERATOR if e.label == "fake" else None)
        for e in listing.entries
    ]
    return replace(listing, entries=entries)


def verify(data: DataFolder) -> str:
    """Compare a data folder with the complete, unaltered CIFAKE and say in one line what was found.

    Names, labels, splits and pixels are compared first; where names differ, as in mirrors, labels and pixels.
    """
    if data.hash == DATA_HASH:
        return "this is the complete, unaltered CIFAKE: names, labels, splits and pixels"
    table = data.table(["label", "split", "pixel_sha256"])
    is_test = pc.equal(table["split"], "test")
    parts = {"train": table.filter(pc.invert(is_test)), "test": table.filter(is_test)}
    same = [part for part, rows in parts.items() if pixel_hash(rows) == PIXEL_HASHES[part]]
    if len(same) == len(parts):
        return "labels, splits and pixels are those of the complete CIFAKE; file names are others"
    counts = ", ".join(f"{part} {len(rows):,}" for part, rows in parts.items())
    if same:
        return f"this is NOT the complete, unaltered CIFAKE ({counts} images): only its {same[0]} part is the same"
    return f"this is NOT the complete, unaltered CIFAKE ({counts} images): labels or pixels differ in both parts"


def pixel_hash(rows: pa.Table) -> str:
    """Return the SHA-256 of the sorted lines `label TAB pixel_sha256`, unreadable images among them as `-`."""
    lines = pc.binary_join_element_wise(
        rows["label"], rows["pixel_sha256"], "\t", null_handling="replace", null_replacement="-"
    )
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines.to_pylist())).encode()).hexdigest()
