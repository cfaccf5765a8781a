"""Layouts told by folder names. Each is a pure function from the folders that hold images to what they say.

A function returns None where the folders do not have its layout. `recognize` in `asli.datasets.survey` chooses.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from asli.datasets.images import is_image
from asli.datasets.layouts.imagefolder import imagefolder
from asli.datasets.layouts.labels import SPLIT_ALIASES, LabelNames
from asli.datasets.layouts.listing import Entry, Listing
from asli.datasets.layouts.places import (
    CLASSES,
    FolderMeaning,
    Parts,
    Reading,
    TreeLayout,
    parts,
    place,
    shown,
    split_of_folder,
)
from asli.errors import DataError

_KNOWN_GENERATORS = re.compile(
    r"(dall|midjourney|mj|firefly|glide|stable|sd|sdxl|flux|imagen|ideogram|kandinsky|pixart|wukong|vqdm|adm|ldm"
    r"|biggan|progan|stylegan|stargan|cyclegan|gaugan|gigagan|deepfloyd|playground|recraft|hunyuan|cogview|hidream|qwen"
    r"|gpt|gemini|nano|seedream|kolors|lumina|aura|janus|grok|runway|leonardo|bing|titan|reve)([^a-z]|diffusion|e|$).*",
    re.IGNORECASE,
)
"""Names of generators, as far as they are known: a tree of nothing else holds fake images only."""


def forensynths(parts: Collection[Parts], names: LabelNames) -> Reading | None:
    """Read `[split/]<generator>[/<class>]/{0_real,1_fake}` (Wang et al. 2020, arXiv 1912.11035).

    Its class `train` (the vehicle) beside other classes is not taken for a split.
    """
    cut: dict[Parts, tuple[Parts, str]] = {}
    for folder in parts:
        at = [i for i, part in enumerate(folder) if part.lower() in ("0_real", "1_fake")]
        if len(at) != 1:
            return None
        cut[folder] = (folder[: at[0]], folder[at[0]])
    drop = _wrapper([above for above, _ in cut.values()])
    below: dict[Parts, set[str]] = {}
    for above, _ in cut.values():
        head = _head(above[drop:])
        below.setdefault(above[: drop + head + 1], set()).update(above[drop + head + 1 : drop + head + 2])
    places = {}
    for folder, (above, said) in cut.items():
        head = _head(above[drop:])
        split = SPLIT_ALIASES[above[drop].lower()] if head else None
        rest = above[drop + head :]
        inner = below[above[: drop + head + 1]]
        if len(rest) > 1 and split is None and all(name.lower() in SPLIT_ALIASES for name in inner):
            split, rest = SPLIT_ALIASES[rest[1].lower()], (rest[0], *rest[2:])
        # A lone class, as in ForenSynths' own train part, is no generator: `place` tells.
        places[folder] = place(names, said, split, rest[0] if rest else None, "/".join(rest[1:]) or None)
    return Reading(places, sure=True)


def genimage(parts: Collection[Parts], names: LabelNames) -> Reading | None:
    """Read `<generator>[/...]/{train,val}/{ai,nature}` (Zhu et al. 2023, arXiv 2306.08571).

    GenImage has no `test`: its figures are computed on `val`, which is therefore the test part here.
    """
    if not all(len(f) > 1 and f[-1].lower() in ("ai", "nature") and f[-2].lower() in ("train", "val") for f in parts):
        return None
    drop = _wrapper([folder[:-2] for folder in parts])
    places, sure = {}, True
    for folder in parts:
        above = folder[drop:-2]
        sure = sure and bool(above)
        split = "train" if folder[-2].lower() == "train" else "test"
        places[folder] = place(names, folder[-1], split, above[0] if above else None)
    used = any(folder[-2].lower() == "val" for folder in parts)
    note = "val is GenImage's official evaluation part: it becomes test; validation comes out of train"
    return Reading(places, sure, (note,) if used else ())


def community_forensics(parts: Collection[Parts], names: LabelNames) -> Reading | None:
    """Read `[root/]<generator>/{real,fake}`, two generators or more (Park & Owens 2024, arXiv 2411.04125)."""
    if not all(folder and folder[-1].lower() in ("real", "fake") for folder in parts):
        return None
    drop = _wrapper([folder[:-1] for folder in parts])
    places, found = {}, set()
    for folder in parts:
        above = [part for part in folder[drop:-1] if part.lower() not in SPLIT_ALIASES]
        if len(above) != 1:
            return None
        found.add(above[0])
        places[folder] = place(names, folder[-1], split_of_folder(folder), above[0])
    return Reading(places, sure=True) if len(found) > 1 else None


def generators(folders: Collection[Parts], names: LabelNames) -> Reading | None:
    """Read `GENERATOR/*`, known generators only (Synthbuster), or `AI_Images/GENERATOR/*` (MNW): fake images only."""
    least, most = min(folders), max(folders)
    shared = [a for a, b in zip(least, most, strict=False) if a == b]
    drop = next((i + 1 for i, part in enumerate(shared) if re.fullmatch("ai[ _-]images", part.lower())), 0)
    stated = drop > 0
    if not stated:
        drop = max(min(len(shared), len(least) - 1, len(most) - 1), 0)
    makers = {folder[drop] if len(folder) > drop else "" for folder in folders}
    known = len(makers) > 1 and all(_KNOWN_GENERATORS.fullmatch(name) for name in makers)
    if not (stated or known) or any(names.label(part) for folder in folders for part in folder[drop:]):
        return None
    places = {}
    for folder in folders:
        maker = folder[drop] if len(folder) > drop else None
        said = folder[drop - 1] if stated else "GENERATOR"
        places[folder] = FolderMeaning("fake", said, split_of_folder(folder), generator=maker)
    return Reading(places, sure=True, notes=("the layout generators has fake images only",), one_label=True)


def listing(
    images: Sequence[str], extra: Sequence[str], names: LabelNames, read: Callable[[Collection[Parts]], Reading]
) -> Listing:
    """List the images of a tree by what a layout says of their folders.

    Raises:
        DataError: There is no image, or the layout refuses the folders.
    """
    above = {name: parts(name) for name in images}
    drops = {folder: next((part for part in folder if names.drops(part)), None) for folder in set(above.values())}
    kept = [name for name in images if drops[above[name]] is None]
    dropped = Counter(part for name in images if (part := drops[above[name]]) is not None)
    if not kept:
        raise DataError(f"no images left: --drop leaves out all {len(images):,}" if images else "no images found")
    try:
        reading = read({above[name]: None for name in kept}.keys())
    except DataError as error:
        raise _counted(error, kept, names) from error
    said: Counter[tuple[str, str]] = Counter()
    loose = set(reading.loose)
    entries, ignored = [], []
    for name in sorted(kept):
        if above[name] in loose:
            ignored.append(f"{name}: lies above the folders that name a label")
            continue
        found = reading.places[above[name]]
        said[found.label, found.said] += 1
        entries.append(
            Entry(name, name, found.label, found.split, found.category, found.generator, found.source),
        )
    return Listing(
        entries,
        list(extra),
        said=said,
        notes=list(reading.notes),
        dropped=dropped,
        ignored=ignored,
        one_label=reading.one_label,
    )


def _counted(error: DataError, images: Sequence[str], names: LabelNames) -> DataError:
    """Add to the error for a label that cannot be told how many images lie in folders that say none."""
    if not str(error).startswith("cannot tell"):
        return error
    counts = Counter(
        shown(folder)
        for folder in map(parts, images)
        if not any(names.meaning(part) for part in folder if part.lower() not in SPLIT_ALIASES)
    )
    named = ", ".join(f"{folder} {count:,}" for folder, count in counts.most_common(10))
    return DataError(f"{error}; images without a label: {named}") if named else error


def folders(names: Iterable[str], labels: LabelNames | None = None) -> Listing:
    """List the images of a plain tree (see `imagefolder`), told by their names.

    Raises:
        DataError: No image, or an image without a label, or with two.
    """
    labels = labels or LabelNames()
    images, extra = split_images(names)
    return listing(images, extra, labels, lambda found: imagefolder(found, labels))


def stated_place(folder: Parts, label: str, said: str) -> FolderMeaning:
    """Return the place of a folder whose label is stated outright; its first part is the key of its source."""
    return FolderMeaning(label, said, split_of_folder(folder[1:]))


def split_images(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Part file names into images and others, by the names alone."""
    images: list[str] = []
    extra: list[str] = []
    for name in names:
        (images if is_image(name) else extra).append(name)
    return images, extra


def _head(above: Parts) -> int:
    """Return 1 where a split stands before the generator, else 0."""
    return int(bool(above) and above[0].lower() in SPLIT_ALIASES)


def _wrapper(aboves: Collection[Parts]) -> int:
    """Return 1 where all lies in one outer folder that only wraps several others, as archives often have it, else 0.

    It does not wrap, but is itself a generator, where it holds labels at once, or nothing but classes or splits.
    """
    if len({above[:1] for above in aboves}) != 1 or any(len(above) < 2 for above in aboves):
        return 0
    inner = {above[1].lower() for above in aboves}
    if inner <= SPLIT_ALIASES.keys():
        inner = {above[2].lower() if len(above) > 2 else "" for above in aboves}
        return int(not inner & {"", *CLASSES})
    top = next(iter(aboves))[0]
    return int(len(inner) > 1 and not inner <= CLASSES and top.lower() not in SPLIT_ALIASES)


LAYOUTS: dict[str, TreeLayout] = {
    "forensynths": forensynths,
    "genimage": genimage,
    "community-forensics": community_forensics,
    "generators": generators,
    "imagefolder": imagefolder,
}
"""In the order in which they are tried; the last takes whatever the others do not."""
