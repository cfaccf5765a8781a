"""The plain tree: one folder on the way to each image names its label, and perhaps others its split and origin."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from asli.datasets.layouts.labels import SPLIT_ALIASES, LabelNames, Meaning, numbered_generator, words_of
from asli.datasets.layouts.places import PLATFORMS, FolderMeaning, Parts, Reading, shown, split_of_folder
from asli.datasets.layouts.table_layout import proposal
from asli.errors import DataError

_PLAIN = frozenset({"images", "image", "imgs", "img", "pictures", "data", "all", "files", "jpg", "png", "raw", "full"})
"""Names of folders that say nothing of what is in them."""


def imagefolder(parts: Collection[Parts], names: LabelNames) -> Reading:
    """Read a tree in which one folder on the way to each image names its label, and perhaps another its split.

    `train/REAL/x.jpg`, `fake/x.png`, `photos/nature/2023/x.webp`: any depth, any case, the aliases of `names`, or a
    word in a longer name. Where several folders on the way name labels, the one counts whose neighbors name the other
    label: in `photo/{real,fake}` the inner one. A folder below it is the generator where only fake images have it, and
    the source where only real ones have it.

    Args:
        parts: Folders that hold images.
        names: What names of labels mean.

    Raises:
        DataError: An image without a label, or with two, or with two splits.
    """
    tree = _Tree(parts, names)
    places: dict[Parts, FolderMeaning] = {}
    loose, bare = [], []
    for folder in parts:
        at = tree.label_at(folder)
        meaning = None if at is None else tree.meaning(folder[at])
        if at is not None and meaning is not None:
            places[folder] = FolderMeaning(meaning.label, folder[at], split_of_folder(folder))
        elif folder in tree.above:
            loose.append(folder)
        else:
            bare.append(folder)
    if bare or not places:
        folder = [*bare, *loose][0]
        where = f"the images in {shown(folder)}" if folder else "the images that lie in no folder"
        raise names.trouble(where, [part for part in folder if part.lower() not in SPLIT_ALIASES])
    notes = [
        proposal(said, meaning.label, meaning.word)
        for said in dict.fromkeys(place.said for place in places.values())
        if (meaning := tree.meaning(said)) is not None and meaning.word is not None
    ]
    return Reading(_with_origins(places, tree), notes=(*notes, *tree.notes()), loose=tuple(loose))


class _Tree:
    """Folder names that mean a label, and folders that contain both labels."""

    def __init__(self, parts: Collection[Parts], names: LabelNames) -> None:
        self.names = names
        self._meanings: dict[str, Meaning | None] = {}
        self._beside: dict[Parts, set[str]] = defaultdict(set)
        self._outer: Counter[str] = Counter()
        self._at: dict[Parts, int | None] = {}
        self._subjects: dict[Parts, bool] = {}
        for folder in parts:
            for depth, part in enumerate(folder):
                if meaning := self.meaning(part):
                    self._beside[folder[:depth]].add(meaning.label)
        self._parts, self._common = parts, _common(parts)
        self.above = {
            folder[:depth] for folder in parts if self.label_at(folder) is not None for depth in range(len(folder))
        }
        """Folders that hold folders with labels."""

    def meaning(self, part: str) -> Meaning | None:
        """Return what a folder name says of labels."""
        if part not in self._meanings:
            self._meanings[part] = None if part.lower() in SPLIT_ALIASES else self.names.meaning(part)
        return self._meanings[part]

    def label_at(self, folder: Parts) -> int | None:
        """Return which part of a folder's path says the label; None where none does.

        Raises:
            DataError: Parts disagree, and nothing shows which counts.
        """
        if folder not in self._at:
            self._at[folder] = self._found(folder)
        return self._at[folder]

    def _found(self, folder: Parts) -> int | None:
        said = {depth: meaning for depth, part in enumerate(folder) if (meaning := self.meaning(part))}
        if self.names.depth is not None:
            at = self.names.depth - 1
            return at if at in said else None
        if not said:
            return None
        deciding = [depth for depth in said if len(self._beside[folder[:depth]]) == 2]
        if len({said[depth].label for depth in deciding or said}) == 1:
            at = (deciding or list(said))[-1]
        elif not deciding and len(inner := {d: m for d, m in said.items() if d >= self._common}) > 0:
            if len({meaning.label for meaning in inner.values()}) > 1:
                raise self._disagree(folder)
            at = max(inner)
        elif deciding and all(self._is_subject(folder[:depth]) for depth in deciding[:-1]):
            at = deciding[-1]
        else:
            raise self._disagree(folder)
        self._outer.update({folder[depth] for depth in said if said[depth].label != said[at].label})
        return at

    def _is_subject(self, parent: Parts) -> bool:
        """Return whether each folder in `parent` that names a label holds both itself, and so names a subject."""
        if parent not in self._subjects:
            depth = len(parent)
            children = {
                folder[depth]
                for folder in self._parts
                if folder[:depth] == parent and len(folder) > depth and self.meaning(folder[depth])
            }
            holding = {
                inner[depth]
                for inner, labels in self._beside.items()
                if len(labels) == 2 and len(inner) > depth and inner[:depth] == parent
            }
            self._subjects[parent] = children <= holding
        return self._subjects[parent]

    def _disagree(self, folder: Parts) -> DataError:
        told = ", ".join(
            f"{depth + 1}: '{part}' {meaning.label}"
            for depth, part in enumerate(folder)
            if (meaning := self.meaning(part))
        )
        return DataError(
            f"the images in {shown(folder)} lie in folders of both labels ({told}); say which folder counts with"
            " --label-depth N, 1 being the outermost, or keep real and fake images in separate folders"
        )

    def notes(self) -> list[str]:
        """Return which folder names do not count as labels although they are such names."""
        if not self._outer:
            return []
        named = ", ".join(f"'{name}'" for name in sorted(self._outer))
        return [f"{named}: not used as labels, another folder on the way to these images names it"]


def _common(parts: Collection[Parts]) -> int:
    """Return how many outer folders all images share; 0 where there is one folder only."""
    if len(parts) < 2:
        return 0
    least, most = min(parts), max(parts)
    return next((i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), min(len(least), len(most)))


def _with_origins(places: Mapping[Parts, FolderMeaning], tree: _Tree) -> dict[Parts, FolderMeaning]:
    """Add what the folders below the label say of an image's origin."""
    below = {folder: origin(folder, tree.label_at(folder) or 0) for folder in places}
    labels: dict[str, set[str]] = defaultdict(set)
    for folder, name in below.items():
        if name is not None:
            labels[name].add(places[folder].label)
    result = {}
    for folder, place in places.items():
        name = below[folder]
        own = name is not None and len(labels[name]) == 1
        platform = next((part for part in folder if part.lower() in PLATFORMS), None)
        generator = source = None
        if place.label == "fake":
            generator = numbered_generator(place.said) or (name if own and name != platform else None)
            source = platform
        else:
            source = platform or (name if own else None)
        result[folder] = FolderMeaning(place.label, place.said, place.split, place.category, generator, source)
    return result


def origin(folder: Parts, at: int) -> str | None:
    """Return the first folder below the label that may name an origin."""
    for part in folder[at + 1 :]:
        plain = part.lower() in _PLAIN or part.lower() in SPLIT_ALIASES
        if not plain and not all(word.isdigit() for word in words_of(part)):
            return part
    return None
