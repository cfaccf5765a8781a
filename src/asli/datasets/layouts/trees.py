"""Layouts told by folder names. Each is a pure function from the folders that hold images to what they say.

A function returns None where the folders do not have its layout. `recognise` in `asli.datasets.survey` chooses.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from asli.datasets.images import EXTENSIONS
from asli.datasets.layouts.labels import SPLIT_ALIASES, LabelNames
from asli.datasets.layouts.listing import Entry, Listing
from asli.errors import DataError

Parts = tuple[str, ...]
"""The names of the folders on the way to an image, outermost first."""

CLASSES = frozenset(
    [
        # ForenSynths: the LSUN objects of ProGAN, then the classes of its other generators.
        *("airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
        *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
        *("apple", "orange", "summer", "winter", "zebra", "bedroom", "church"),
        *("automobile", "deer", "frog", "ship", "truck"),  # CIFAR-10
    ]
)
"""Folder names that are classes of pictures and never generators."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a folder says of the images in it."""

    label: str
    said: str
    """The name that says the label, as written."""
    split: str | None = None
    category: str | None = None
    generator: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What one layout makes of a tree.

    Attributes:
        places: By folder.
        sure: No other kind of tree looks like this.
        notes: What was decided and is not plain to see.
    """

    places: dict[Parts, Place]
    sure: bool = False
    notes: tuple[str, ...] = ()


TreeLayout = Callable[[Collection[Parts], LabelNames], Reading | None]


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
        if rest and len(rest) == 1 and rest[0].lower() in CLASSES:  # ForenSynths' own train part: ProGAN alone
            rest = ("", rest[0])
        places[folder] = _place(
            names, said, split, category="/".join(rest[1:]) or None, generator=rest[0] if rest else None
        )
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
        places[folder] = _place(names, folder[-1], split, generator=above[0] if above else None)
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
        is_class = above[0].lower() in CLASSES
        places[folder] = _place(
            names,
            folder[-1],
            _split(folder),
            category=above[0] if is_class else None,
            generator=None if is_class else above[0],
        )
    return Reading(places, sure=True) if len(found) > 1 else None


def imagefolder(parts: Collection[Parts], names: LabelNames) -> Reading:
    """Read a tree in which one folder on the way to each image names its label, and perhaps another its split.

    `train/REAL/x.jpg`, `fake/x.png`, `photos/nature/2023/x.webp`: any depth, any case, the aliases of `names`.

    Raises:
        DataError: An image without a label, or with two, or with two splits.
    """
    places = {}
    for folder in parts:
        labels = {names.label(part): part for part in folder}
        labels.pop(None, None)
        where = f"the images in {'/'.join(folder)}/" if folder else "the images that lie in no folder"
        if not labels:
            raise names.trouble(where, [part for part in folder if part.lower() not in SPLIT_ALIASES])
        if len(labels) > 1:
            raise DataError(f"{where} lie in folders of both labels; keep real and fake images in separate folders")
        (said,) = labels.values()
        places[folder] = _place(names, said, _split(folder))
    return Reading(places)


def listing(names: Iterable[str], read: Callable[[Collection[Parts]], Reading]) -> Listing:
    """List the images of a tree by what a layout says of their folders.

    Raises:
        DataError: There is no image, or the layout refuses the folders.
    """
    images, extra = split_images(names)
    if not images:
        raise DataError("no images found; images end in " + ", ".join(sorted(EXTENSIONS)))
    reading = read({parts(name): None for name in images}.keys())
    said: Counter[tuple[str, str]] = Counter()
    entries = []
    for name in sorted(images):
        place = reading.places[parts(name)]
        said[place.label, place.said] += 1
        entries.append(Entry(name, name, place.label, place.split, place.category, place.generator))
    return Listing(entries, extra, said=said, notes=list(reading.notes))


def folders(names: Iterable[str], labels: LabelNames | None = None) -> Listing:
    """List the images of a plain tree (see `imagefolder`).

    Raises:
        DataError: No image, or an image without a label, or with two.
    """
    return listing(names, lambda found: imagefolder(found, labels or LabelNames()))


def stated_place(folder: Parts, label: str, said: str) -> Place:
    """Return the place of a folder whose label is stated outright; its first part is the key of its source."""
    return Place(label, said, _split(folder[1:]))


def split_images(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Part file names into images and others."""
    images: list[str] = []
    extra: list[str] = []
    for name in names:
        base = name[name.rfind("/") + 1 :]
        is_image = base[base.rfind(".") :].lower() in EXTENSIONS and not base.startswith(".")
        (images if is_image else extra).append(name)
    return images, extra


def parts(name: str) -> Parts:
    """Return the folders on the way to a file."""
    return PurePosixPath(name[: name.rfind("/")]).parts if "/" in name else ()


def _place(
    names: LabelNames, said: str, split: str | None, category: str | None = None, generator: str | None = None
) -> Place:
    label = names.label(said)
    assert label is not None  # every layout's own names are aliases
    # A photograph in a generator's folder was made by no generator.
    return Place(label, said, split, category, generator or None if label == "fake" else None)


def _split(folder: Parts) -> str | None:
    splits = {SPLIT_ALIASES[part.lower()] for part in folder if part.lower() in SPLIT_ALIASES}
    if len(splits) > 1:
        raise DataError(f"{'/'.join(folder)} lies in folders of two splits: {', '.join(sorted(splits))}")
    return splits.pop() if splits else None


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
    "imagefolder": imagefolder,
}
"""In the order in which they are tried; the last takes whatever the others do not."""
