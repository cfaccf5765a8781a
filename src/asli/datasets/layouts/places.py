"""Meaning of folder names: the words that layouts of folder names share."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

from asli.datasets.layouts.labels import LABEL_ALIASES, SPLIT_ALIASES, LabelNames
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
        *("people", "man", "woman", "men", "women", "child", "children", "face", "faces", "portrait", "portraits"),
        *("animal", "animals", "landscape", "landscapes", "scenery", "building", "buildings", "food", "flower"),
        *("flowers", "art", "artwork", "nature", "human", "humans", "object", "objects", "vehicle", "vehicles"),
    ]
)
"""Folder names that are classes of pictures and never generators."""

PLATFORMS = frozenset(
    {
        *("reddit", "twitter", "facebook", "instagram", "flickr", "pinterest", "tiktok", "whatsapp", "telegram"),
        *("weibo", "wechat", "xiaohongshu", "youtube", "tumblr", "imgur", "discord", "snapchat", "linkedin", "vk"),
        *("unsplash", "pexels", "pixabay", "shutterstock", "wikimedia", "civitai", "artstation", "deviantart"),
    }
)
"""Sites where images were found: sources, never generators."""


@dataclass(frozen=True, slots=True)
class FolderMeaning:
    """Facts that a folder's name states about the images in it."""

    label: str
    said: str
    """The name that means the label, as written."""
    split: str | None = None
    category: str | None = None
    generator: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A tree of folders as one layout reads it.

    Attributes:
        places: Places by folder.
        sure: No other kind of tree looks like this.
        notes: What was decided and is not plain to see.
        loose: Folders above those that name a label; images that lie in them themselves are ignored.
        one_label: Whether the layout is one of images of one label.
    """

    places: dict[Parts, FolderMeaning]
    sure: bool = False
    notes: tuple[str, ...] = ()
    loose: tuple[Parts, ...] = ()
    one_label: bool = False


TreeLayout = Callable[[Collection[Parts], LabelNames], Reading | None]


def place(
    names: LabelNames, said: str, split: str | None, above: str | None = None, category: str | None = None
) -> FolderMeaning:
    """Return the place of a folder named by a label.

    Args:
        names: What names of labels mean.
        said: The name of the label.
        split: The part the images belong to.
        above: The folder that says where images come from: a generator, a platform, or a class of pictures.
        category: What the images show.
    """
    label = names.label(said)
    assert label is not None  # every layout's own names are aliases
    key = (above or "").lower()
    if key in PLATFORMS:
        return FolderMeaning(label, said, split, category, source=above)
    if key in CLASSES or key.removesuffix("s") in CLASSES or key in LABEL_ALIASES:
        return FolderMeaning(label, said, split, category or above)
    # A photograph in a generator's folder was made by no generator.
    return FolderMeaning(label, said, split, category, above or None if label == "fake" else None)


def parts(name: str) -> Parts:
    """Return the folders on the way to a file."""
    return PurePosixPath(name[: name.rfind("/")]).parts if "/" in name else ()


def shown(folder: Parts) -> str:
    """Return a folder for a message."""
    return f"{'/'.join(folder)}/" if folder else "."


def split_of_folder(folder: Parts) -> str | None:
    """Return the split that a folder's path names.

    Raises:
        DataError: It names two.
    """
    splits = {SPLIT_ALIASES[part.lower()] for part in folder if part.lower() in SPLIT_ALIASES}
    if len(splits) > 1:
        raise DataError(f"{'/'.join(folder)} lies in folders of two splits: {', '.join(sorted(splits))}")
    return splits.pop() if splits else None
